package stats_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/stats"
)

// node is a machine with some devices, each on a card of its own.
type node struct {
	*coretest.Hardware
	snapshot  *fingerprint.Snapshot
	collector *stats.Collector
	hung      int
}

func newNode(tb testing.TB, vendor core.Vendor, hardware *coretest.Hardware, devices int) *node {
	tb.Helper()
	for i := range devices {
		id := fmt.Sprintf("dev-%03d", i)
		hardware.Put(id, coretest.Device(id))
	}
	calls := guard.NewGroup(nil)
	looks := fingerprint.New(vendor, calls, fingerprint.Options{Period: time.Hour, DriverTimeout: 5 * time.Second, Log: hclog.NewNullLogger()})
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- looks.Run(ctx) }()
	for !looks.Current().Complete {
		<-looks.Current().Superseded()
	}
	cancel()
	<-ended
	n := &node{Hardware: hardware, snapshot: looks.Current()}
	n.collector = stats.NewCollector(vendor, calls, stats.Options{
		Timeout:       time.Second,
		DriverTimeout: 5 * time.Second,
		Hung:          func() { n.hung++ },
		Log:           hclog.NewNullLogger(),
	})
	return n
}

func (n *node) collect(tb testing.TB) map[string]stats.Measurement {
	tb.Helper()
	all := map[string]stats.Measurement{}
	for _, m := range n.collector.Collect(tb.Context(), n.snapshot, 10*time.Second) {
		all[m.Device.ID] = m
	}
	return all
}

// slow is hardware whose every measurement takes a while.
type slow struct {
	*coretest.Hardware
	takes func(id string) time.Duration
}

func (s slow) Measure(ctx context.Context, d core.Device) ([]core.Reading, error) {
	time.Sleep(s.takes(d.ID))
	return s.Hardware.Measure(ctx, d)
}

func TestEveryDeviceIsMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, &coretest.Hardware{}, &coretest.Hardware{}, 0)
		if got := n.collect(t); len(got) != 0 {
			t.Errorf("no devices: %d measurements", len(got))
		}
		h := &coretest.Hardware{}
		n = newNode(t, h, h, 8)
		got := n.collect(t)
		if len(got) != 8 {
			t.Fatalf("%d measurements of 8 devices", len(got))
		}
		for id, m := range got {
			if len(m.Readings) != 2 || m.Err != nil || m.Time.IsZero() {
				t.Errorf("%s: %+v", id, m)
			}
		}
	})
}

// Eight devices take as long as one.
func TestDevicesAreMeasuredSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, slow{h, func(string) time.Duration { return 200 * time.Millisecond }}, h, 8)
		start := time.Now()
		n.collect(t)
		if took := time.Since(start); took != 200*time.Millisecond {
			t.Errorf("8 devices of 200 ms took %v", took)
		}
	})
}

func TestAHungDeviceCostsItsOwnNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, h, h, 4)
		release := h.Hang("dev-002")

		start := time.Now()
		got := n.collect(t)
		if took := time.Since(start); took != time.Second {
			t.Errorf("the first round took %v, want the statistics' timeout", took)
		}
		wantMissing(t, got, "dev-002")

		for range 20 {
			time.Sleep(10 * time.Second)
			start = time.Now()
			got = n.collect(t)
			if took := time.Since(start); took != 0 {
				t.Fatalf("a round beside a call that hangs took %v, want none", took)
			}
			wantMissing(t, got, "dev-002")
		}
		if !errors.Is(got["dev-002"].Err, guard.ErrHung) {
			t.Errorf("error %v, want ErrHung", got["dev-002"].Err)
		}
		if calls := h.Calls("Measure dev-002"); calls != 1 {
			t.Errorf("%d calls were sent to the device that hangs", calls)
		}
		if n.hung == 0 {
			t.Error("nobody was told of the call that hangs")
		}

		release()
		time.Sleep(10 * time.Second)
		wantMissing(t, n.collect(t))
	})
}

// A device that is slower than the timeout but does not hang shows its last
// numbers until the next ones are there.
func TestASlowDeviceKeepsItsNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, slow{h, func(id string) time.Duration {
			if id == "dev-001" {
				return 3 * time.Second
			}
			return 0
		}}, h, 2)
		wantMissing(t, n.collect(t), "dev-001")
		time.Sleep(10 * time.Second)
		for range 5 {
			wantMissing(t, n.collect(t))
			time.Sleep(10 * time.Second)
		}
	})
}

func TestAFailingDevice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, h, h, 3)
		cause := errors.New("sensor gone")
		h.Fail("dev-000", cause)
		h.Panic("dev-001", true)
		got := n.collect(t)
		wantMissing(t, got, "dev-000", "dev-001")
		if !errors.Is(got["dev-000"].Err, cause) {
			t.Errorf("error %v, want the device's own", got["dev-000"].Err)
		}
		if _, ok := errors.AsType[*guard.PanicError](got["dev-001"].Err); !ok {
			t.Errorf("error %v, want a PanicError", got["dev-001"].Err)
		}
	})
}

func TestStreamsShareMeasurements(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, h, h, 1)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { n.collect(t) })
		}
		wg.Wait()
		if got := h.Calls("Measure dev-000"); got != 1 {
			t.Errorf("50 streams at once made %d measurements", got)
		}
		time.Sleep(10 * time.Second)
		n.collect(t)
		if got := h.Calls("Measure dev-000"); got != 2 {
			t.Errorf("%d measurements, want a new one for a new interval", got)
		}
	})
}

// odd is hardware with readings that must not get out.
type odd struct{ *coretest.Hardware }

func (odd) Measure(context.Context, core.Device) ([]core.Reading, error) {
	nan := 0.0
	return []core.Reading{
		{Name: "", Value: core.Count(1)},
		{Name: "none"},
		{Name: "unknown", Value: core.Unknown()},
		{Name: "nan", Value: core.Float(nan/nan, core.NoUnit)},
		{Name: "good", Value: core.Count(1)},
		{Name: "good", Value: core.Count(2)},
	}, nil
}

func TestUnusableReadingsAreLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, odd{h}, h, 1)
		got := n.collect(t)["dev-000"].Readings
		if len(got) != 1 || got[0].Name != "good" || got[0].Value != core.Count(1) {
			t.Errorf("readings %+v, want the first good one alone", got)
		}
	})
}

func wantMissing(t *testing.T, got map[string]stats.Measurement, ids ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, id := range ids {
		missing[id] = true
	}
	for id, m := range got {
		if (len(m.Readings) == 0) != missing[id] {
			t.Errorf("%s: %d readings, error %v; missing should be %v", id, len(m.Readings), m.Err, missing[id])
		}
	}
}

// BenchmarkCollect is the cost of a round in which nobody is measured anew.
func BenchmarkCollect(b *testing.B) {
	for _, devices := range []int{1, 8, 64, 512} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			h := &coretest.Hardware{}
			n := newNode(b, odd{h}, h, devices)
			b.ReportAllocs()
			for b.Loop() {
				n.collector.Collect(b.Context(), n.snapshot, time.Nanosecond)
			}
		})
	}
}

// TestFlappingIsLoggedOnceAMinute: a device whose statistics come and go must
// not fill the log.
func TestFlappingIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		n := newNode(t, h, h, 1)
		var log strings.Builder
		n.collector = stats.NewCollector(h, guard.NewGroup(nil), stats.Options{
			Timeout: time.Second, DriverTimeout: 5 * time.Second,
			Log: hclog.New(&hclog.LoggerOptions{Output: &log}),
		})
		for i := range 3600 {
			h.Fail("dev-000", nil)
			if i%2 == 0 {
				h.Fail("dev-000", errors.New("no answer"))
			}
			n.collect(t)
			time.Sleep(time.Second)
		}
		h.Fail("dev-000", nil)
		for range 20 {
			time.Sleep(10 * time.Second)
			n.collect(t)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) < 2 || len(lines) > 64 || !strings.Contains(lines[len(lines)-1], "complete again") {
			t.Errorf("%d lines in an hour, the last: %s", len(lines), lines[len(lines)-1])
		}
	})
}
