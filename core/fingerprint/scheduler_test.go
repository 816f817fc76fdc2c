package fingerprint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/health"
)

const period = time.Minute

// bubble runs the test in a synctest bubble with a scheduler over hardware, and
// ends the scheduler when the test is over.
func bubble(t *testing.T, prepare func(*coretest.Hardware), test func(*coretest.Hardware, *fingerprint.Scheduler)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hardware := &coretest.Hardware{}
		prepare(hardware)
		s, end := run(t, hardware)
		synctest.Wait()
		test(hardware, s)
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v, want its context's cause", err)
		}
	})
}

func run(t *testing.T, vendor core.Vendor) (*fingerprint.Scheduler, func() error) {
	t.Helper()
	return runLogging(t, vendor, t.Output())
}

// runLogging is run with a place of its own for the log.
func runLogging(t *testing.T, vendor core.Vendor, log io.Writer) (*fingerprint.Scheduler, func() error) {
	t.Helper()
	var s *fingerprint.Scheduler
	calls := guard.NewGroup(func(string) { s.Wake() })
	s = fingerprint.New(vendor, calls, fingerprint.Options{
		Period:        period,
		DriverTimeout: 5 * time.Second,
		Health:        health.Policy{UnhealthyAfter: config.Span{Looks: 3}, RecoverAfter: config.Span{Time: 30 * time.Second}},
		Ignored:       func(d core.Device) bool { return d.ID == "ignored" },
		Log:           hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() error { cancel(); return <-ended }
}

// states returns the health of all devices, "ok" or the reason.
func states(s *fingerprint.Snapshot) map[string]string {
	all := map[string]string{}
	for _, g := range s.Groups {
		for _, d := range g.Devices {
			all[d.ID] = "ok"
			if !d.Health.Healthy {
				all[d.ID] = d.Health.Reason
			}
		}
	}
	return all
}

func wantStates(t *testing.T, when string, s *fingerprint.Scheduler, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, states(s.Current())); diff != "" {
		t.Errorf("%s: devices -want +got\n%s", when, diff)
	}
}

const (
	hungReason    = "the driver does not answer for this device; look at the kernel log (dmesg); the device comes back by itself when the driver answers"
	missingReason = "the device is no longer there; if it was not removed on purpose, look at the kernel log (dmesg); after a minute it is listed no more"
	panicReason   = "the plugin failed while it read this device; report the stack in the plugin's log as a bug"
)

func threeCards(h *coretest.Hardware) {
	for _, id := range []string{"a", "b", "c"} {
		h.Put("card "+id, coretest.Device(id))
	}
}

func TestFindsDevicesAndThenSaysNothingMore(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		wantStates(t, "first scan", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
		first := s.Current()
		if !first.Complete || first.Generation == 0 {
			t.Errorf("after the first scan: complete %v, generation %d", first.Complete, first.Generation)
		}
		if got := first.Groups[0].Attributes[fingerprint.HealthyCount]; got != core.Count(3) {
			t.Errorf("healthy_count is %v, want 3", got)
		}
		time.Sleep(100 * period)
		if got := h.Calls("Read card a"); got < 100 || got > 102 {
			t.Errorf("%d looks in 100 periods", got)
		}
		if got := s.Current().Generation; got != first.Generation {
			t.Errorf("generation went from %d to %d while nothing changed and cards came in random order", first.Generation, got)
		}
	})
}

func TestNothingThereAndThenSomething(t *testing.T) {
	bubble(t, func(*coretest.Hardware) {}, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		if s := s.Current(); !s.Complete || len(s.Groups) != 0 {
			t.Errorf("no hardware: complete %v with groups %v", s.Complete, s.Groups)
		}
		h.Put("card a", coretest.Device("a"))
		time.Sleep(period + time.Second)
		wantStates(t, "hardware appeared", s, map[string]string{"a": "ok"})
	})
}

func TestOneHungCardCostsThatCard(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		release := h.Hang("card b")
		time.Sleep(period + 10*time.Second)
		wantStates(t, "hung", s, map[string]string{"a": "ok", "b": hungReason, "c": "ok"})
		before := h.Calls("Read card b")
		time.Sleep(100 * period)
		if got := h.Calls("Read card b"); got != before {
			t.Errorf("%d more calls were sent after the one that hangs", got-before)
		}
		if h.Calls("Read card a") < 100 {
			t.Error("the other cards were not looked at any more")
		}
		release()
		time.Sleep(29 * time.Second)
		wantStates(t, "just released", s, map[string]string{"a": "ok", "b": hungReason, "c": "ok"})
		time.Sleep(10 * time.Second)
		wantStates(t, "clean for 30 s", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
	})
}

func TestACardThatHangsFromTheStartDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		threeCards(h)
		release := h.Hang("card b")
		s, end := run(t, h)
		time.Sleep(500 * time.Millisecond)
		if s.Current().Complete {
			t.Error("the scan is complete although a card has not answered")
		}
		wantStates(t, "half a second after the start", s, map[string]string{"a": "ok", "c": "ok"})
		release()
		synctest.Wait()
		wantStates(t, "released", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
		_ = end()
	})
}

func TestTheWholeDriverHangs(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		release := h.HangDiscover()
		time.Sleep(2 * period)
		wantStates(t, "hung", s, map[string]string{"a": hungReason, "b": hungReason, "c": hungReason})
		release()
		time.Sleep(40 * time.Second)
		wantStates(t, "released", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
	})
}

func TestErrors(t *testing.T) {
	tests := map[string]struct {
		breakIt func(*coretest.Hardware)
		want    map[string]string
	}{
		"an error of one card is soft": {
			func(h *coretest.Hardware) { h.Fail("card a", errors.New("cannot read it")) },
			map[string]string{"a": "cannot read it", "b": "ok", "c": "ok"},
		},
		"a fault of one card": {
			func(h *coretest.Hardware) {
				h.Fail("card a", fmt.Errorf("reading: %w", &core.Fault{Severity: core.Hard, Code: "lost", Reason: "lost", Remedy: "reboot"}))
			},
			map[string]string{"a": "lost; reboot", "b": "ok", "c": "ok"},
		},
		"a panic": {
			func(h *coretest.Hardware) { h.Panic("card a", true) },
			map[string]string{"a": panicReason, "b": "ok", "c": "ok"},
		},
		"looking fails": {
			func(h *coretest.Hardware) { h.FailDiscover(errors.New("no answer")) },
			map[string]string{"a": "no answer", "b": "no answer", "c": "no answer"},
		},
		"a card without identity is known by its key": {
			func(h *coretest.Hardware) {
				h.Put("card a", core.Device{Faults: []core.Fault{{Code: "lost", Severity: core.Hard, Reason: "lost"}}})
			},
			map[string]string{"a": "lost", "b": "ok", "c": "ok"},
		},
		"a fault in a reading": {
			func(h *coretest.Hardware) {
				d := coretest.Device("a")
				d.Faults = []core.Fault{{Code: "hot", Severity: core.Hard, Reason: "too hot"}}
				h.Put("card a", d)
			},
			map[string]string{"a": "too hot", "b": "ok", "c": "ok"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
				test.breakIt(h)
				time.Sleep(period + time.Minute)
				wantStates(t, "broken", s, test.want)
				h.FailDiscover(nil)
				h.Panic("card a", false)
				h.Put("card a", coretest.Device("a"))
				time.Sleep(period + time.Minute)
				wantStates(t, "mended", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
			})
		})
	}
}

func TestADeviceThatIsGoneIsMissedForAMinute(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		h.Remove("card c")
		time.Sleep(period + time.Second)
		wantStates(t, "gone", s, map[string]string{"a": "ok", "b": "ok", "c": missingReason})
		time.Sleep(time.Minute + 5*time.Second)
		wantStates(t, "gone for a minute", s, map[string]string{"a": "ok", "b": "ok"})
		h.Put("card c", coretest.Device("c"))
		time.Sleep(period + 31*time.Second)
		wantStates(t, "back and well for a while", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
	})
}

// What is listed no more is of no interest to anybody who reads the log, however
// often the driver fails to list what is there.
func TestADeviceThatIsListedNoMoreIsLoggedNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		threeCards(h)
		var log strings.Builder // read when Run has ended
		s, end := runLogging(t, h, &log)
		synctest.Wait()
		h.Remove("card c")
		time.Sleep(3 * period)
		wantStates(t, "gone", s, map[string]string{"a": "ok", "b": "ok"})
		for range 3 {
			h.FailDiscover(errors.New("no list"))
			h.Tell(core.Event{Look: true})
			time.Sleep(time.Second)
			h.FailDiscover(nil)
			h.Tell(core.Event{Fault: &core.Fault{Code: "xid", Severity: core.Hard, Reason: "broken"}})
			time.Sleep(time.Second)
		}
		_ = end()
		_, after, dropped := strings.Cut(log.String(), "listed no more: ")
		if strings.Contains(after, "device=c pci") || !strings.Contains(after, "device=b pci") || !dropped {
			t.Errorf("want lines about b, and none about c after it was dropped:\n%s", log.String())
		}
	})
}

func TestComingBackEndsLatchedFaults(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		h.Tell(core.Event{Devices: []string{"b"}, Fault: &core.Fault{Code: "xid", Severity: core.Hard, Latched: true, Reason: "broken"}})
		synctest.Wait()
		wantStates(t, "the moment of the event", s, map[string]string{"a": "ok", "b": "broken", "c": "ok"})
		time.Sleep(100 * period)
		wantStates(t, "a hundred clean looks later", s, map[string]string{"a": "ok", "b": "broken", "c": "ok"})
		h.Remove("card b")
		h.Tell(core.Event{Look: true})
		time.Sleep(10 * time.Second)
		h.Put("card b", coretest.Device("b"))
		time.Sleep(45 * time.Second)
		wantStates(t, "reset", s, map[string]string{"a": "ok", "b": "ok", "c": "ok"})
	})
}

func TestEventsAskForALook(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		h.Put("card d", coretest.Device("d"))
		h.Tell(core.Event{Look: true})
		time.Sleep(time.Second)
		wantStates(t, "a second after the event", s, map[string]string{"a": "ok", "b": "ok", "c": "ok", "d": "ok"})
		if got := h.Calls("Watch"); got != 2 {
			t.Errorf("Watch was called %d times, want once more for the new set of devices", got)
		}
	})
}

// Ten events a second for an hour must not become ten scans or messages a second.
func TestFlapping(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		first := s.Current().Generation
		for i := range 36000 {
			if i%2 == 0 {
				h.Remove("card b")
			} else {
				h.Put("card b", coretest.Device("b"))
			}
			h.Tell(core.Event{Look: true})
			time.Sleep(100 * time.Millisecond)
		}
		if got := s.Current().Generation - first; got > 10 {
			t.Errorf("%d messages for an hour of flapping", got)
		}
		if got := h.Calls("Discover"); got > 5*3600+100 {
			t.Errorf("%d scans in an hour, more than five a second", got)
		}
	})
}

func TestRestartEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		threeCards(h)
		s := fingerprint.New(h, guard.NewGroup(nil), fingerprint.Options{Period: period, DriverTimeout: time.Second, Log: hclog.NewNullLogger()})
		ended := make(chan error)
		go func() { ended <- s.Run(t.Context()) }()
		synctest.Wait()
		h.FailDiscover(fmt.Errorf("the driver is another one: %w", core.ErrRestart))
		if err := <-ended; !errors.Is(err, core.ErrRestart) {
			t.Errorf("Run = %v, want ErrRestart", err)
		}
		if len(states(s.Current())) != 3 {
			t.Error("the devices were dropped")
		}
	})
}

func TestUnknownKeepsTheValueKnownLast(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		before := s.Current()
		d := coretest.Device("a")
		d.Attributes["memory"] = core.Unknown()
		h.Put("card a", d)
		time.Sleep(period + time.Second)
		if !fingerprint.Same(before, s.Current()) {
			t.Errorf("attributes became %v", s.Current().Groups[0].Attributes)
		}
	})
}

func TestIgnoredDevices(t *testing.T) {
	bubble(t, func(h *coretest.Hardware) {
		h.Put("card", coretest.Device("a"), coretest.Device("ignored"))
	}, func(_ *coretest.Hardware, s *fingerprint.Scheduler) {
		wantStates(t, "one is ignored", s, map[string]string{"a": "ok"})
	})
}

func TestTwoCardsWithOneID(t *testing.T) {
	bubble(t, func(h *coretest.Hardware) {
		first, second := coretest.Device("a"), coretest.Device("a")
		first.PCI, second.PCI = "0000:01:00.0", "0000:02:00.0"
		h.Put("card 1", first)
		h.Put("card 2", second)
	}, func(_ *coretest.Hardware, s *fingerprint.Scheduler) {
		first := s.Current().Generation
		time.Sleep(100 * period)
		d, _ := s.Current().Device("a")
		if d.PCI != "0000:01:00.0" || s.Current().Generation != first {
			t.Errorf("device at %s, generation %d after %d; want the first card's, always", d.PCI, s.Current().Generation, first)
		}
	})
}

func TestGroups(t *testing.T) {
	bubble(t, func(h *coretest.Hardware) {
		small, big, other := coretest.Device("small"), coretest.Device("big"), coretest.Device("other")
		big.Attributes = map[string]core.Value{"memory": core.Int(2048, core.MiB), "model": core.String("two"), "extra": core.Bool(true)}
		other.Group.Name = "Acme Zwei"
		h.Put("1", big, other)
		h.Put("2", small)
	}, func(_ *coretest.Hardware, s *fingerprint.Scheduler) {
		got := map[string]map[string]core.Value{}
		for _, g := range s.Current().Groups {
			got[g.String()] = g.Attributes
		}
		want := map[string]map[string]core.Value{
			"acme/gpu/Acme One":  {"memory": core.Int(1024, core.MiB), "healthy_count": core.Count(2)},
			"acme/gpu/Acme Zwei": {"memory": core.Int(1024, core.MiB), "model": core.String("one"), "healthy_count": core.Count(1)},
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b core.Value) bool { return a == b })); diff != "" {
			t.Errorf("attributes -want +got\n%s", diff)
		}
		names := slices.Sorted(maps.Keys(got))
		if s.Current().Groups[0].String() != names[0] {
			t.Error("groups are not sorted")
		}
	})
}

// BenchmarkScan is one look at cards that answer at once: discovery, booking,
// health, and the new snapshot.
func BenchmarkScan(b *testing.B) {
	for _, cards := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprint(cards), func(b *testing.B) {
			h := &coretest.Hardware{}
			for i := range cards {
				id := fmt.Sprintf("dev-%03d", i)
				h.Put(id, coretest.Device(id))
			}
			fingerprint.ScanForBenchmark(b, h)
		})
	}
}

// A device that came back again and again is not dropped and listed anew each
// time: it stays listed for longer than one that left once.
func TestADeviceThatComesAndGoesIsMissedForLonger(t *testing.T) {
	bubble(t, threeCards, func(h *coretest.Hardware, s *fingerprint.Scheduler) {
		for range 3 {
			h.Remove("card c")
			h.Tell(core.Event{Look: true})
			time.Sleep(2 * time.Second)
			h.Put("card c", coretest.Device("c"))
			h.Tell(core.Event{Look: true})
			time.Sleep(2 * time.Second)
		}
		h.Remove("card c")
		time.Sleep(3 * time.Minute)
		wantStates(t, "away for minutes", s, map[string]string{"a": "ok", "b": "ok", "c": missingReason})
		time.Sleep(10 * time.Minute)
		wantStates(t, "away for longer", s, map[string]string{"a": "ok", "b": "ok"})
	})
}
