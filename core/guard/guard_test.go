package guard_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nomad-devices/nomad-devices/core/guard"
)

const timeout = 5 * time.Second

func value(v int, err error) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return v, err }
}

func TestCallReturnsWhatTheCallReturns(t *testing.T) {
	t.Parallel()
	g := guard.NewGroup(nil)
	cause := errors.New("sensor gone")
	got, err := guard.Call(t.Context(), g, "a", timeout, value(7, cause))
	if got != 7 || !errors.Is(err, cause) {
		t.Errorf("Call = %d, %v; want 7 and the call's own error", got, err)
	}
	if g.AnyRunning() {
		t.Error("the lane is still taken after the call returned")
	}
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	g := guard.NewGroup(nil)
	_, err := guard.Call(t.Context(), g, "a", timeout, func(context.Context) (int, error) { panic("boom") })
	p, ok := errors.AsType[*guard.PanicError](err)
	if !ok || p.Value != "boom" || len(p.Stack) == 0 {
		t.Fatalf("Call = %v; want a PanicError with value and stack", err)
	}
	if _, err := guard.Call(t.Context(), g, "a", timeout, value(1, nil)); err != nil {
		t.Errorf("the lane did not survive the panic: %v", err)
	}
}

// A call that never returns costs its callers the deadline once, and nobody else
// is sent after it until it returns.
func TestHungCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Value
		g := guard.NewGroup(func(lane string) { released.Store(lane) })
		hang := make(chan struct{})
		var calls atomic.Int32
		hanging := func(context.Context) (int, error) { calls.Add(1); <-hang; return 0, nil }

		start := time.Now()
		_, err := guard.Call(t.Context(), g, "card", timeout, hanging)
		if !errors.Is(err, guard.ErrHung) || time.Since(start) != timeout {
			t.Errorf("first call: %v after %v; want ErrHung after %v", err, time.Since(start), timeout)
		}
		if !g.Hung("card") {
			t.Error("the lane is not known as hung")
		}

		start = time.Now()
		for range 100 {
			if _, err := guard.Call(t.Context(), g, "card", timeout, hanging); !errors.Is(err, guard.ErrHung) {
				t.Fatalf("call behind a hung one: %v; want ErrHung", err)
			}
		}
		if time.Since(start) != 0 || calls.Load() != 1 {
			t.Errorf("100 calls behind a hung one took %v and made %d driver calls; want none of either", time.Since(start), calls.Load()-1)
		}
		if _, err := guard.Call(t.Context(), g, "other", timeout, value(1, nil)); err != nil {
			t.Errorf("another card's lane: %v", err)
		}

		close(hang)
		synctest.Wait()
		if released.Load() != "card" {
			t.Errorf("released told %v; want card", released.Load())
		}
		if _, err := guard.Call(t.Context(), g, "card", timeout, value(1, nil)); err != nil {
			t.Errorf("after the hung call returned: %v", err)
		}
	})
}

func TestOneCallAtATimePerLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := guard.NewGroup(nil)
		var running, most atomic.Int32
		var wg sync.WaitGroup
		start := time.Now()
		for range 4 {
			wg.Go(func() {
				_, err := guard.Call(t.Context(), g, "card", timeout, func(context.Context) (int, error) {
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(time.Second)
					running.Add(-1)
					return 0, nil
				})
				if err != nil {
					t.Errorf("queued call: %v", err)
				}
			})
		}
		wg.Wait()
		if most.Load() != 1 || time.Since(start) != 4*time.Second {
			t.Errorf("%d calls ran at once, all took %v; want 1 and 4s", most.Load(), time.Since(start))
		}
	})
}

func TestCancelledCallerIsNotAHungDriver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := guard.NewGroup(nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := guard.Call(ctx, g, "card", timeout, func(context.Context) (int, error) {
			time.Sleep(2 * time.Second) // deaf to its context, but not hung
			return 0, nil
		})
		if !errors.Is(err, context.Canceled) || g.Hung("card") {
			t.Errorf("Call = %v, hung %v; want context.Canceled and a lane that is not hung", err, g.Hung("card"))
		}
		time.Sleep(2 * time.Second)
	})
}

func BenchmarkCall(b *testing.B) {
	g := guard.NewGroup(nil)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = guard.Call(b.Context(), g, "card", timeout, value(1, nil))
	}
}

// A caller that gave up must not make the next one wait behind a hung call.
func TestHungCallOfACallerThatLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := guard.NewGroup(nil)
		hang := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = guard.Call(ctx, g, "card", timeout, func(context.Context) (int, error) { <-hang; return 0, nil })

		start := time.Now()
		_, err := guard.Call(t.Context(), g, "card", time.Minute, value(1, nil))
		if !errors.Is(err, guard.ErrHung) || time.Since(start) != timeout {
			t.Errorf("Call = %v after %v; want ErrHung as soon as the call before is overdue (%v)", err, time.Since(start), timeout)
		}
		close(hang)
	})
}
