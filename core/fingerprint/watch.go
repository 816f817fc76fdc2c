package fingerprint

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

const (
	watchLane       = "watch"
	forever         = 100 * 365 * 24 * time.Hour
	watchPauseFirst = time.Second
	watchPauseMost  = time.Minute
)

// watch keeps a vendor's Watch running for the devices of the newest scan, on
// one goroutine however often the devices change. Its zero value watches
// nothing; its methods belong to the scheduler's goroutine.
type watch struct {
	ids    []string
	cancel context.CancelFunc // ends the Watch that runs
	next   chan watched       // holds the newest set that is not watched yet
	done   chan struct{}
}

// watched is a set of devices to watch until ctx ends.
type watched struct {
	ctx     context.Context
	devices []core.Device
}

// follow restarts the watch if the set of devices changed.
func (w *watch) follow(ctx context.Context, s *Scheduler) {
	watcher, ok := s.vendor.(core.Watcher)
	if !ok {
		return
	}
	wholes := s.Current().Wholes()
	ids := slices.Sorted(maps.Keys(wholes))
	if w.next != nil && slices.Equal(ids, w.ids) {
		return
	}
	w.ids = ids
	devices := make([]core.Device, len(ids))
	for i, id := range ids {
		devices[i] = wholes[id].Whole()
	}
	if w.next == nil {
		w.next = make(chan watched, 1)
		w.done = make(chan struct{})
		go func() {
			defer close(w.done)
			for set := range w.next {
				s.watching(set.ctx, watcher, set.devices)
			}
		}()
	} else {
		w.cancel()
		select {
		case <-w.next: // never begun
		default:
		}
	}
	ctx, w.cancel = context.WithCancel(ctx)
	w.next <- watched{ctx, devices}
}

// stop ends the watch and waits for it, but not for a driver call that waits for
// events.
func (w *watch) stop() {
	if w.next == nil {
		return
	}
	w.cancel()
	close(w.next)
	<-w.done
}

// watching calls Watch again and again, with a growing pause after errors.
func (s *Scheduler) watching(ctx context.Context, watcher core.Watcher, devices []core.Device) {
	pause := watchPauseFirst
	var said string
	for ctx.Err() == nil {
		start := time.Now()
		// A lane of its own makes a Watch that is deaf to its context, in a
		// driver call that waits for events, hold up the next one and nothing
		// else.
		_, err := guard.Call(ctx, s.calls, watchLane, forever, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, watcher.Watch(ctx, devices, s.Tell)
		})
		if ctx.Err() != nil || err == nil {
			return
		}
		if time.Since(start) > watchPauseMost {
			pause = watchPauseFirst
		}
		if err.Error() != said {
			said = err.Error()
			s.options.Log.Warn("the driver's events cannot be read; looking goes on by period", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, watchPauseMost)
	}
}
