package plugin

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// orphanAfter is how long a process lives without an open fingerprint
	// stream. An agent that was killed cannot end its plugins, and the next
	// agent starts its own.
	orphanAfter = time.Minute
	// youngest is the age before which a process does not end itself to be
	// replaced: Nomad starts a new one at once, however often that happens.
	youngest = 10 * time.Second
)

// lifetime decides when the process ends of its own accord.
type lifetime struct {
	log     hclog.Logger
	exit    func(code int)
	born    time.Time
	crashes *crashes // nil: nothing is remembered

	mu      sync.Mutex
	streams int
	orphan  *time.Timer
}

func newLifetime(log hclog.Logger, exit func(int)) *lifetime {
	return &lifetime{log: log, exit: exit, born: time.Now()}
}

// watchOrphan ends the process when no fingerprint stream is open for a while,
// from now on.
func (l *lifetime) watchOrphan() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orphan = time.AfterFunc(orphanAfter, func() {
		l.mu.Lock()
		open := l.streams
		l.mu.Unlock()
		if open == 0 {
			l.log.Warn("no Nomad agent listens any more; this process ends", "after", orphanAfter)
			l.exit(0)
		}
	})
}

// opened counts a fingerprint stream, until the function that it returns is
// called.
func (l *lifetime) opened() (closed func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams++
	if l.orphan != nil {
		l.orphan.Stop()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.streams--
		if l.orphan != nil && l.streams == 0 {
			l.orphan.Reset(orphanAfter)
		}
	}
}

// restart ends the process so that Nomad starts a new one. The streams stay
// open until it is gone: a stream that ends in order is never opened again.
func (l *lifetime) restart(cause error) {
	l.log.Warn("this process ends so that Nomad starts a new one", "because", cause)
	time.Sleep(youngest - time.Since(l.born))
	l.crashes.clean() // ending on purpose is no crash
	l.exit(1)
}

// pauseBeforeHardware returns how long to leave the hardware alone, because
// processes before this one died soon after they touched it.
func (l *lifetime) pauseBeforeHardware() time.Duration {
	pause, deaths := l.crashes.begin(time.Now())
	if pause > 0 {
		l.log.Error("this plugin died again and again after it touched the hardware; waiting before the next try", "deaths", deaths, "wait", pause)
	}
	return pause
}
