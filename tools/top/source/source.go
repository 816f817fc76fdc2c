// Package source tells a [top.Screen] what there is on a node: from a plugin's
// binary, or from the API of a Nomad agent.
package source

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/top"
)

// A Source knows devices.
type Source interface {
	// Name is the name that its reports have.
	Name() string
	// Run tells all that the source knows, whenever that changes and at least
	// once per interval, until ctx ends. What goes wrong is told, too, and tried
	// again.
	Run(ctx context.Context, pace *Pace, tell func(top.Report))
}

// The time after which a source that is in trouble is asked again; it doubles
// from the first to the last.
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// settleTime is how long to wait for devices after an answer without any. A
// plugin that answers at once may still be looking.
const settleTime = 3 * time.Second

// Pace is the time between two measurements, which can change. The zero value is
// of no use: see [NewPace].
type Pace struct {
	mu       sync.Mutex
	interval time.Duration
	changed  chan struct{}
}

// NewPace returns a pace with an interval.
func NewPace(interval time.Duration) *Pace {
	return &Pace{interval: interval, changed: make(chan struct{})}
}

// Get returns the interval and a channel that is closed when it changes.
func (p *Pace) Get() (time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.interval, p.changed
}

// Set changes the interval.
func (p *Pace) Set(interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interval = interval
	close(p.changed)
	p.changed = make(chan struct{})
}

// Start runs the sources on goroutines of wait and returns their reports. A
// source that panics ends in a report that says so.
func Start(ctx context.Context, wait *sync.WaitGroup, pace *Pace, sources ...Source) <-chan top.Report {
	reports := make(chan top.Report)
	for _, s := range sources {
		wait.Go(func() {
			tell := func(r top.Report) {
				select {
				case reports <- r:
				case <-ctx.Done():
				}
			}
			defer func() {
				if cause := recover(); cause != nil {
					tell(top.Report{Source: s.Name(), Trouble: bug(cause).Error()})
				}
			}()
			s.Run(ctx, pace, tell)
		})
	}
	return reports
}

// First takes reports until each source has told all that it can be asked for, or
// is in trouble, and returns the last of each, in the order of the sources. A
// source that has told too little within the limit is in trouble.
func First(ctx context.Context, reports <-chan top.Report, limit time.Duration, sources ...Source) ([]top.Report, error) {
	told := make([]top.Report, len(sources))
	done := make([]bool, len(sources))
	for i, s := range sources {
		told[i].Source = s.Name()
	}
	left := len(sources)
	over := time.After(limit)
	settled := make([]<-chan time.Time, len(sources))
	finish := func(i int) {
		if !done[i] {
			done[i] = true
			left--
		}
	}
	for left > 0 {
		var settle <-chan time.Time
		for i := range settled {
			if !done[i] && settled[i] != nil {
				settle = settled[i]
			}
		}
		select {
		case r := <-reports:
			for i := range told {
				if told[i].Source != r.Source {
					continue
				}
				told[i] = r
				switch {
				case r.Trouble != "" || r.Complete && len(r.Devices) > 0:
					finish(i)
				case r.Complete && settled[i] == nil:
					settled[i] = time.After(min(settleTime, limit/2))
				}
			}
		case <-settle:
			for i := range settled {
				if settled[i] == settle {
					finish(i)
				}
			}
		case <-over:
			for i := range told {
				if !done[i] {
					told[i].Trouble = fmt.Sprintf("it has not told everything within %s", limit)
					finish(i)
				}
			}
		case <-ctx.Done():
			return told, context.Cause(ctx)
		}
	}
	return told, nil
}

// message is one step of what a goroutine tells.
type message[V any] struct {
	value V
	err   error
}

// produce runs a function on a goroutine of wait, which sends what it knows until
// ctx ends. If it panics, that is the last thing it tells: the terminal must not be
// left as it is.
func produce[V any](ctx context.Context, wait *sync.WaitGroup, run func(send func(V, error) bool)) <-chan message[V] {
	out := make(chan message[V])
	send := func(value V, err error) bool {
		select {
		case out <- message[V]{value, err}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	wait.Go(func() {
		defer func() {
			if cause := recover(); cause != nil {
				var none V
				send(none, bug(cause))
			}
		}()
		run(send)
	})
	return out
}

// bug is a panic in words.
func bug(cause any) error { return fmt.Errorf("a bug in devctl: %v\n%s", cause, debug.Stack()) }

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
