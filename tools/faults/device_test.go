package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func deviceLost(t *trial) {
	s := newStand(t, options{})
	// With the driver's event, and without.
	for _, fault := range []string{"xid79", "lost"} {
		t.do(s.machine.Break(3, fault))
		s.sick(3)
		s.refuses(3)
		s.reserves(4)
		s.measures(0, 1, 2, 4, 5, 6, 7)
		t.do(s.machine.Repair(3))
		s.sick()
		s.reserves(3)
		s.measures(3)
	}
}

func allDevicesLost(t *trial) {
	s := newStand(t, options{})
	for n := range s.gpus {
		t.do(s.machine.Break(n, "xid79"))
	}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7}
	s.sick(all...)
	s.refuses(0)
	for n := range s.gpus {
		t.do(s.machine.Repair(n))
	}
	s.sick()
	s.reserves(0)
	s.measures(all...)
}

func slowCall(t *trial) {
	s := newStand(t, options{settings: strings.Replace(quick, `driver_timeout = "2s"`, `driver_timeout = "10s"`, 1)})
	t.do(s.machine.Set("gpu.2.call.nvmlDeviceGetPowerUsage.latency_us", "1000000"))
	// The others' statistics do not wait for it; its own come when they are there.
	for range 3 {
		s.measures(0, 1, 3, 4, 5, 6, 7)
	}
	s.measures(2)
	// And so it is with a call of the scan.
	t.do(s.machine.Set("gpu.2.call.nvmlDeviceGetFieldValues.latency_us", "1000000"))
	t.do(s.machine.Break(5, "lost"))
	s.sick(5)
	s.reserves(2)
	t.do(s.machine.Repair(2))
	t.do(s.machine.Repair(5))
	s.sick()
}

func verySlowCall(t *trial) {
	s := newStand(t, options{})
	begun := time.Now()
	t.do(s.machine.Set("gpu.2.call.nvmlDeviceGetFieldValues.latency_us", "10000000 x1"))
	s.sick(2)
	if took := time.Since(begun); took > 9*time.Second {
		t.Logf("it took %v to notice, on a busy machine", took)
	}
	s.refuses(2)
	s.reserves(3)
	s.measures(0, 1, 3, 4, 5, 6, 7)
	s.sick() // the call returned by itself
	s.measures(2)
}

func oneDeviceHangs(t *trial) {
	s := newStand(t, options{})
	before := threads(t, s)
	t.do(s.machine.Hang(6, nvidia.EveryFunction))
	s.sick(6)
	s.refuses(6)
	for range 5 {
		s.measures(0, 1, 2, 3, 4, 5, 7)
		s.reserves(0)
	}
	// Nobody is sent after the call that hangs: one lane, one thread. The Go
	// runtime keeps some more that it once needed.
	if after := threads(t, s); after > before+10 {
		t.Errorf("one hung device took %d threads", after-before)
	}
	t.do(s.machine.Release(6, nvidia.EveryFunction))
	s.sick()
	s.reserves(6)
	s.measures(6)
}

func libraryHangs(t *trial) {
	s := newStand(t, options{})
	t.do(s.machine.Hang(nvidia.AllGPUs, nvidia.EveryFunction))
	s.sick(0, 1, 2, 3, 4, 5, 6, 7)
	s.refuses(0)
	second := listen(t, s.plugin)
	second.soon(t)
	t.do(s.machine.Release(nvidia.AllGPUs, nvidia.EveryFunction))
	s.sick()
	s.measures(0, 7)

	// A process that starts while everything hangs, and is told to end.
	t.do(s.machine.Hang(nvidia.AllGPUs, nvidia.EveryFunction))
	fresh := &stand{t: t, machine: s.machine, options: options{mayEnd: true}}
	fresh.launch()
	fresh.stream.soon(t)
	if now, _, _ := fresh.stream.now(); len(now.devices()) > 0 {
		t.Errorf("a process that could ask nothing offers %v", now)
	}
	fresh.stream.close()
	begun := time.Now()
	fresh.plugin.Close()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("ending a process with hung calls took %v", took)
	}
	t.do(s.machine.Release(nvidia.AllGPUs, nvidia.EveryFunction))
	s.sick()
}

// soon checks that the first message came before Nomad, which waits for it at
// its start, could mind. The promise is a second; a busy machine gets more.
func (s *stream) soon(t *trial) {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		_, messages, changed := s.now()
		if messages > 0 {
			break
		}
		select {
		case <-changed:
		case <-late.C:
			t.Fatal("no first message")
		}
	}
	if s.first > 5*time.Second {
		t.Errorf("the first message took %v", s.first)
	}
}

func flapping(t *trial) {
	s := newStand(t, options{})
	_, before, _ := s.stream.now()
	const length = 6 * time.Second
	flips := 0
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		flips++
		if flips%2 == 1 {
			t.do(s.machine.Remove(7))
			t.do(s.machine.Lose(1))
		} else {
			t.do(s.machine.Add(7))
			t.do(s.machine.Return(1))
		}
	}
	_, after, _ := s.stream.now()
	if came := after - before; came > 24 {
		t.Errorf("%d changes of two devices in %v became %d messages, each of which is a write to Nomad's servers", flips, length, came)
	}
	s.reserves(0)
	t.do(s.machine.Add(7))
	t.do(s.machine.Return(1))
	// Both are listed. Whether they are trusted again depends on how often they
	// were seen to fail: three times in ten minutes is too often.
	s.until("both devices to be listed and the others healthy", func(_ *stand, now state) bool {
		for n, g := range s.gpus {
			d := now.device(g.UUID)
			held := d != nil && !d.Healthy && (n == 1 || n == 7) && heldBack(d)
			if d == nil || !d.Healthy && !held {
				return false
			}
		}
		return true
	})

	// New devices, one after the other.
	t.do(s.machine.Remove(2))
	s.until("the removed device to be unhealthy", func(s *stand, now state) bool {
		d := now.device(s.uuid(2))
		return d == nil || !d.Healthy
	})
	t.do(s.machine.Add(2))
	s.until("the device to be back", func(s *stand, now state) bool {
		d := now.device(s.uuid(2))
		return d != nil && d.Healthy
	})
	s.reserves(2)
}

func migLayout(t *trial) {
	s := newStand(t, options{prepare: func(m *nvidia.Machine) error { return m.MIG(0, "3g.40gb", "2g.20gb") }})
	instances := func() []nvidia.MIGDevice {
		gpus, err := s.machine.GPUs()
		t.do(err)
		return gpus[0].MIG
	}
	offered := func(want []nvidia.MIGDevice) func(*stand, state) bool {
		return func(_ *stand, now state) bool {
			for _, m := range want {
				if d := now.device(m.UUID); d == nil || !d.Healthy {
					return false
				}
			}
			return true
		}
	}
	old := instances()
	s.until("the instances to be healthy", offered(old))
	running, err := s.plugin.Reserve(t.Context(), []string{old[0].UUID})
	t.do(err)

	// One instance stays, the other is cut into two.
	t.do(s.machine.MIG(0, "3g.40gb", "1g.10gb", "1g.10gb"))
	cut := instances()
	if cut[0].UUID != old[0].UUID {
		t.Fatalf("the simulator renamed the instance that stays: %v, %v", old, cut)
	}
	s.until("the new instances to be healthy", offered(cut))
	now := s.until("the instance that went to be unhealthy", func(_ *stand, now state) bool {
		d := now.device(old[1].UUID)
		return d == nil || !d.Healthy
	})
	if d := now.device(old[0].UUID); d == nil || !d.Healthy {
		t.Errorf("the instance of the running task is %v", d)
	}
	if _, err := s.plugin.Reserve(t.Context(), []string{old[1].UUID}); err == nil {
		t.Error("an instance that is gone can be reserved")
	}
	again, err := s.plugin.Reserve(t.Context(), []string{old[0].UUID})
	t.do(err)
	if fmt.Sprint(running.Envs) != fmt.Sprint(again.Envs) {
		t.Errorf("the instance of the running task was %v and is %v", running.Envs, again.Envs)
	}
	s.statistics(500*time.Millisecond, "every instance", func(m measured) bool {
		return !slices.ContainsFunc(cut, func(d nvidia.MIGDevice) bool { return m[d.UUID] == nil })
	})
	s.reserves(1)
}

func manyReservations(t *trial) {
	s := newStand(t, options{})
	t.do(s.machine.Break(7, "lost"))
	s.sick(7)
	const calls = 1000
	var wg sync.WaitGroup
	failed := make([]error, calls)
	for i := range calls {
		wg.Go(func() {
			n := i % len(s.gpus)
			r, err := s.plugin.Reserve(t.Context(), []string{s.uuid(n)})
			switch {
			case n == 7 && err == nil:
				failed[i] = fmt.Errorf("the sick GPU was given out")
			case n == 7:
			case err != nil:
				failed[i] = err
			case r.Envs["CUDA_VISIBLE_DEVICES"] != s.uuid(n):
				failed[i] = fmt.Errorf("GPU %d was answered with %v", n, r.Envs)
			}
		})
	}
	wg.Wait()
	wrong := slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	if len(wrong) > 0 {
		t.Errorf("%d of %d reservations went wrong, the first: %v", len(wrong), calls, wrong[0])
	}
	t.do(s.machine.Repair(7))
	s.sick()
}
