package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
)

// Target is a plugin that can be launched any number of times, also several
// times side by side: a [Binary] or what [InProcess] returns.
type Target interface {
	// Label says which plugin this is, for people.
	Label() string

	launch(ctx context.Context, args ...string) (*instance, error)
}

// instance is a plugin that runs.
type instance struct {
	device.DevicePlugin

	// process is nil if the plugin runs in this process.
	process *process
	// gone is closed when the plugin has ended.
	gone <-chan struct{}
	// panics returns what panicked while the plugin served, if that is known.
	panics func() []string
	// goroutines returns how many the plugin has and where most of them are,
	// if that can be known while it lives.
	goroutines func() (int, string)
	// shutdown ends the plugin as Nomad does, and kills it after two seconds.
	shutdown func()
	// kill ends the plugin without a word, as a crash does.
	kill func()
	// disconnect breaks the connection and leaves the plugin alone.
	disconnect func()

	limits limits
	calls  sync.WaitGroup // those that outlived their deadline

	mu     sync.Mutex
	ending bool   // on our account
	death  string // how it died before that
}

// close ends the plugin, and waits for everything that belongs to it.
func (i *instance) close() {
	i.ends()
	i.shutdown()
	i.calls.Wait()
}

// leave ends the plugin and returns how long that took, how its process ended,
// and which processes it left behind.
func (i *instance) leave() (took time.Duration, status string, left []int) {
	var children []int
	if i.process != nil {
		children = childrenOf(i.process.pid())
	}
	start := time.Now()
	i.close()
	took = time.Since(start)
	if i.process == nil {
		return took, "", nil
	}
	return took, i.process.status(), slices.DeleteFunc(children, func(pid int) bool { return !alive(pid) })
}

// crash ends the plugin as a crash does.
func (i *instance) crash() {
	i.ends()
	i.kill()
}

// ends notes that the end of the plugin is not its own doing from now on.
func (i *instance) ends() {
	death := i.dead()
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ending {
		i.ending, i.death = true, death
	}
}

// died returns how the plugin came to an end that it was not told to come to, or
// "" if it did not.
func (i *instance) died() string {
	i.mu.Lock()
	ending, death := i.ending, i.death
	i.mu.Unlock()
	if ending {
		return death
	}
	return i.dead()
}

func (i *instance) dead() string {
	if p := i.panics(); len(p) > 0 {
		return "the plugin panicked: " + p[0]
	}
	select {
	case <-i.gone:
	default:
		return ""
	}
	if i.process != nil {
		return "the process ended (" + i.process.status() + ")" + i.process.lastWords()
	}
	return "the plugin ended"
}

// errNoAnswer says that a call was not answered in time.
var errNoAnswer = errors.New("no answer")

// call runs f, which knows no deadline, under one. A call that outlives it ends
// with the plugin.
func call[T any](ctx context.Context, i *instance, limit time.Duration, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	i.calls.Go(func() {
		value, err := f()
		answers <- answer{value, err}
	})
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	var none T
	select {
	case a := <-answers:
		return a.value, plainError(a.err)
	case <-timeout.C:
		return none, fmt.Errorf("%w within %v", errNoAnswer, limit)
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
