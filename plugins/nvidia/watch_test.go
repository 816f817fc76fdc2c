package nvidia

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// watching runs a watcher over the fake driver in a synctest bubble.
type watching struct {
	lib  *nvmltest.Library
	gpus []*nvmltest.GPU

	mu     sync.Mutex
	events []core.Event
	err    error
	ended  bool
}

func startWatch(t *testing.T, gpus ...*nvmltest.GPU) (*watching, []*watched) {
	t.Helper()
	return startWatchAfter(t, func() {}, gpus...)
}

// startWatchAfter calls happen between getting the handles and watching.
func startWatchAfter(t *testing.T, happen func(), gpus ...*nvmltest.GPU) (*watching, []*watched) {
	t.Helper()
	lib, devices := fakeDriver(t, gpus...)
	happen()
	w := &watching{lib: lib, gpus: gpus}
	cards := make([]*watched, len(gpus))
	for i, g := range gpus {
		cards[i] = &watched{gpu: devices[i], name: g.UUID, xids: new(xidLog)}
		if !g.MIG {
			cards[i].devices = []watchedDevice{{g.UUID, wholeGPU}}
			continue
		}
		for _, m := range g.Slots {
			if m != nil {
				cards[i].devices = append(cards[i].devices, watchedDevice{m.UUID, instance{uint32(m.GI), uint32(m.CI)}})
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		watcher := &watcher{lib: lib, policy: newXIDPolicy(nil, nil), emit: func(e core.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		}}
		err := watcher.watch(ctx, cards)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err, w.ended = err, true
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		if n := lib.EventSets(); n != 0 {
			t.Errorf("%d event sets were not freed", n)
		}
	})
	synctest.Wait()
	return w, cards
}

// take returns the events since the last take.
func (w *watching) take() []core.Event {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}

func (w *watching) xid(gpu *nvmltest.GPU, code uint64, gi, ci uint32) int {
	return w.lib.Emit(gpu, nvml.Event{Kind: nvml.EventXID, Data: code, GPUInstance: gi, ComputeInstance: ci})
}

func TestWatchGPU(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gpu := nvmltest.H100(0)
		w, cards := startWatch(t, gpu, nvmltest.H100(1))
		if got := w.take(); len(got) != 1 || !got[0].Look || got[0].Fault != nil {
			t.Fatalf("after registering: %+v, want one look", got)
		}
		time.Sleep(10 * time.Second) // several waits without an event
		if got := w.take(); got != nil {
			t.Errorf("events out of nothing: %+v", got)
		}

		w.xid(gpu, 79, nvml.AnyInstance, nvml.AnyInstance)
		got := w.take()
		if len(got) != 1 || got[0].Fault == nil || got[0].Fault.Code != "xid-79" || !got[0].Look ||
			!slices.Equal(got[0].Devices, []string{gpu.UUID}) {
			t.Errorf("XID 79: %+v", got)
		}
		w.xid(gpu, 31, nvml.AnyInstance, nvml.AnyInstance)
		if got := w.take(); len(got) != 1 || got[0].Fault != nil || !got[0].Look || !strings.Contains(got[0].Text, "XID 31") {
			t.Errorf("XID 31: %+v", got)
		}
		if count, last, known := cards[0].xids.of(wholeGPU); count != 2 || last != 31 || !known {
			t.Errorf("counted %d, last %d, known %v", count, last, known)
		}
		if count, _, known := cards[1].xids.of(wholeGPU); count != 0 || !known {
			t.Errorf("the other GPU: counted %d, known %v", count, known)
		}

		for kind, fault := range map[nvml.EventMask]string{
			nvml.EventRecoveryActionReady: "", nvml.EventMIGConfig: "", nvml.EventDoubleBitECC: "",
			nvml.EventFatalPoison: "fatal-poison", nvml.EventGPUUnavailable: "gpu-unavailable",
		} {
			if w.lib.Emit(gpu, nvml.Event{Kind: kind}) != 1 {
				t.Errorf("event %#x was not registered", kind)
			}
			got := w.take()
			if len(got) != 1 || !got[0].Look || !slices.Equal(got[0].Devices, []string{gpu.UUID}) ||
				(got[0].Fault != nil) != (fault != "") || fault != "" && (got[0].Fault.Code != fault || got[0].Fault.Latched) {
				t.Errorf("event %#x: %+v", kind, got)
			}
		}
		if w.lib.Emit(gpu, nvml.Event{Kind: nvml.EventSingleBitECC}) != 0 {
			t.Error("corrected errors are listened to; they are frequent and say nothing")
		}
	})
}

func TestWatchMIG(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gpu := nvmltest.SplitA100(0) // instances 2/0 and 9/0
		w, cards := startWatch(t, gpu)
		w.take()
		first, second := cards[0].devices[0].id, cards[0].devices[1].id
		both := []string{first, second}
		slices.Sort(both)
		for _, tt := range []struct {
			gi, ci uint32
			want   []string
		}{
			{nvml.AnyInstance, nvml.AnyInstance, both},
			{2, nvml.AnyInstance, []string{first}},
			{9, 0, []string{second}},
		} {
			w.xid(gpu, 95, tt.gi, tt.ci)
			if got := w.take(); len(got) != 1 || got[0].Fault == nil || !slices.Equal(got[0].Devices, tt.want) {
				t.Errorf("XID at %x/%x: %+v, want %v", tt.gi, tt.ci, got, tt.want)
			}
		}
		// An instance that is not offered must not make everything unhealthy,
		// which is what a fault without devices means.
		w.xid(gpu, 95, 5, 0)
		if got := w.take(); len(got) != 1 || got[0].Fault != nil || !got[0].Look {
			t.Errorf("XID at an unknown instance: %+v", got)
		}
		if count, last, _ := cards[0].xids.of(instance{9, 0}); count != 2 || last != 95 {
			t.Errorf("instance 9/0 counts %d, last %d; want its own and the whole GPU's", count, last)
		}
	})
}

// An application that fails in a loop must not fill the log.
func TestWatchTellsOfAStormOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gpu := nvmltest.H100(0)
		w, cards := startWatch(t, gpu)
		w.take()
		for range 50 {
			w.xid(gpu, 13, nvml.AnyInstance, nvml.AnyInstance)
			synctest.Wait()
		}
		if got := w.take(); len(got) != 1 {
			t.Errorf("%d events for 50 XIDs of an application, want 1", len(got))
		}
		time.Sleep(textPause)
		w.xid(gpu, 13, nvml.AnyInstance, nvml.AnyInstance)
		if got := w.take(); len(got) != 1 || !strings.Contains(got[0].Text, "49 more") {
			t.Errorf("a minute later: %+v", got)
		}
		if count, _, _ := cards[0].xids.of(wholeGPU); count != 51 {
			t.Errorf("counted %d, want 51", count)
		}
		for range 3 { // faults are never held back
			w.xid(gpu, 119, nvml.AnyInstance, nvml.AnyInstance)
		}
		if got := w.take(); len(got) != 3 {
			t.Errorf("%d events for 3 XIDs that matter", len(got))
		}
	})
}

func TestWatchRegistration(t *testing.T) {
	t.Parallel()
	t.Run("old driver", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gpu := nvmltest.T4(0)
			w, _ := startWatch(t, gpu)
			if w.xid(gpu, 79, nvml.AnyInstance, nvml.AnyInstance) != 1 {
				t.Error("XIDs were not registered where newer events do not exist")
			}
		})
	})
	t.Run("no events", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, cards := startWatch(t, nvmltest.GB10())
			if !w.ended || w.err != nil || w.take() != nil {
				t.Errorf("ended %v with %v, want nil at once: nothing to watch", w.ended, w.err)
			}
			if _, _, known := cards[0].xids.of(wholeGPU); known {
				t.Error("no XIDs are claimed where none can be heard of")
			}
		})
	})
	t.Run("no event sets", func(t *testing.T) {
		t.Parallel()
		lib, devices := fakeDriver(t, nvmltest.H100(0))
		lib.Missing = map[nvml.Call]bool{nvml.CallEventSetCreate: true}
		w := &watcher{lib: lib, emit: func(core.Event) {}}
		if err := w.watch(t.Context(), []*watched{{gpu: devices[0], xids: new(xidLog)}}); err != nil {
			t.Errorf("an old library: %v", err)
		}
	})
	t.Run("one GPU is lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			lost, good := nvmltest.H100(0), nvmltest.H100(1)
			w, _ := startWatchAfter(t, func() { lost.Lost = true }, lost, good)
			if w.xid(good, 31, nvml.AnyInstance, nvml.AnyInstance) != 1 {
				t.Error("the good GPU is not listened to")
			}
			time.Sleep(2 * partialWait)
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.ended || !errors.Is(w.err, nvml.ErrGPUIsLost) || !strings.Contains(w.err.Error(), lost.UUID) {
				t.Errorf("ended %v with %v, want an error that names the GPU, so that it is tried again", w.ended, w.err)
			}
		})
	})
	t.Run("registering fails", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			gpu := nvmltest.H100(0)
			gpu.Fail(nvml.CallRegisterEvents, nvml.ErrUnknown)
			w, _ := startWatch(t, gpu)
			if !w.ended || !errors.Is(w.err, nvml.ErrUnknown) {
				t.Errorf("ended %v with %v", w.ended, w.err)
			}
		})
	})
}

func TestWatchWaitErrors(t *testing.T) {
	t.Parallel()
	for _, code := range []nvml.Return{nvml.ErrGPUIsLost, nvml.ErrUnknown} {
		t.Run(code.Error(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, _ := startWatch(t, nvmltest.H100(0))
				w.take()
				w.lib.Update(func() { w.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallEventSetWait: code} })
				time.Sleep(2 * time.Second)
				got := w.take()
				if !w.ended || !errors.Is(w.err, code) || len(got) != 1 || !got[0].Look {
					t.Errorf("ended %v with %v and %+v, want a look and the error", w.ended, w.err, got)
				}
			})
		})
	}
	t.Run("timeouts that come at once", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, _ := startWatch(t, nvmltest.H100(0))
			w.lib.Update(func() { w.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallEventSetWait: nvml.ErrTimeout} })
			w.lib.ResetCounts()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := w.lib.Counts()[nvml.CallEventSetWait]; n > 110 {
				t.Errorf("%d waits in 10 s: a busy loop", n)
			}
		})
	})
}
