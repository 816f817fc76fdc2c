package fingerprint

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

const (
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
	snapshot := s.Current()
	ids := slices.Sorted(maps.Keys(snapshot.byID))
	if slices.Equal(ids, w.ids) {
		return
	}
	w.ids = ids
	devices := make([]core.Device, len(ids))
	for i, id := range ids {
		devices[i] = snapshot.byID[id].Device
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

// stop ends the watch and waits for it, but not for a driver call that hangs.
func (w *watch) stop() {
	if w.next == nil {
		return
	}
	w.cancel()
	close(w.next)
	select {
	case <-w.done:
	case <-time.After(2 * time.Second):
	}
}

// watching calls Watch again and again, with a growing pause after errors.
func (s *Scheduler) watching(ctx context.Context, watcher core.Watcher, devices []core.Device) {
	pause := watchPauseFirst
	var said string
	for len(devices) > 0 && ctx.Err() == nil {
		start := time.Now()
		err := watchOnce(ctx, watcher, devices, func(e core.Event) {
			select {
			case s.events <- e:
			default: // overrun by events: a look finds what they told
				s.Wake()
			}
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

func watchOnce(ctx context.Context, w core.Watcher, devices []core.Device, emit func(core.Event)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("watching for events: %w", &guard.PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	return w.Watch(ctx, devices, emit)
}
