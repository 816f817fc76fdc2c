package uevent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
)

// burstOf returns the times of n events that follow each other by step.
func burstOf(start, step time.Duration, n int) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = start + time.Duration(i)*step
	}
	return times
}

// TestWatchDebounces has events at some times, and looks at others.
func TestWatchDebounces(t *testing.T) {
	t.Parallel()
	const second, ms = time.Second, time.Millisecond
	for _, test := range []struct {
		name   string
		events []time.Duration
		looks  []time.Duration
	}{
		{"none", nil, []time.Duration{0}},
		{"one", []time.Duration{10 * second}, []time.Duration{0, 10 * second}},
		{"two far apart", []time.Duration{10 * second, 20 * second}, []time.Duration{0, 10 * second, 20 * second}},
		{"two at once", []time.Duration{10 * second, 10 * second}, []time.Duration{0, 10 * second, 10*second + 500*ms}},
		{"right after the first look", []time.Duration{100 * ms}, []time.Duration{0, 600 * ms}},
		{"a burst", burstOf(10*second, 10*ms, 50), []time.Duration{0, 10 * second, 10*second + 990*ms}},
		{
			"one after each look of a burst",
			[]time.Duration{10 * second, 10*second + 100*ms, 10*second + 700*ms},
			[]time.Duration{0, 10 * second, 10*second + 600*ms, 10*second + 1200*ms},
		},
		{
			"a storm of twelve seconds", burstOf(10*second, 100*ms, 120),
			[]time.Duration{0, 10 * second, 15 * second, 20 * second, 22*second + 400*ms},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var looks []time.Duration
				listen := func(ctx context.Context, got func(Event)) error {
					got(Event{Lost: true})
					for _, at := range test.events {
						time.Sleep(at - time.Since(start))
						got(Event{Subsystem: "pci"})
						got(Event{Subsystem: "net"})
					}
					<-ctx.Done()
					return ctx.Err()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				err := watch(ctx, listen, pci, func(e core.Event) {
					if diff := cmp.Diff(core.Event{Look: true}, e); diff != "" {
						t.Errorf("-want +got:\n%s", diff)
					}
					looks = append(looks, time.Since(start))
				})
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
				if diff := cmp.Diff(test.looks, looks); diff != "" {
					t.Errorf("looks (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func pci(e Event) bool { return e.Subsystem == "pci" }

func TestWatchLeavesOutWhatIsNotRelevant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks int
		listen := func(ctx context.Context, got func(Event)) error {
			for range 5 {
				got(Event{Action: "add", Subsystem: "net"})
				time.Sleep(time.Minute)
			}
			got(Event{Lost: true})
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := watch(ctx, listen, pci, func(core.Event) { looks++ }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if looks != 1 {
			t.Errorf("%d looks, want one for what was lost", looks)
		}
	})
}

// TestWatchEnds: with everything it started, however the listening ends. What was
// heard before waits in vain.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		err, want error
	}{
		{"no uevents on this host", fmt.Errorf("socket: %w", errors.ErrUnsupported), nil},
		{"reading fails", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
	} {
		synctest.Test(t, func(t *testing.T) {
			var looks int
			listen := func(_ context.Context, got func(Event)) error {
				got(Event{Lost: true})
				synctest.Wait()
				got(Event{Lost: true})
				return test.err
			}
			start := time.Now()
			if err := watch(t.Context(), listen, pci, func(core.Event) { looks++ }); !errors.Is(err, test.want) {
				t.Errorf("%s: error %v, want %v", test.name, err, test.want)
			}
			if took := time.Since(start); took != 0 || looks != 1 {
				t.Errorf("%s: took %v and %d looks", test.name, took, looks)
			}
		})
	}
}
