// Package stats gathers the statistics of many devices at once.
//
// The parts of a device that is offered as several have the statistics of the
// device, which is measured once for all of them.
//
// A [Collector] measures all devices of a snapshot side by side. Nobody waits
// for a device longer than the statistics' timeout: a device that is slow or
// hangs costs its own numbers, and the others arrive on time.
package stats

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

// fresh is how old a measurement may be and still stand for a new one, however
// short the interval of the stream is that asks.
const fresh = 500 * time.Millisecond

// own is how old a measurement may be for whoever asks beside the streams.
const own = 10 * time.Second

// quiet is the least time between two lines of the log about one device.
const quiet = time.Minute

// Measurement is what measuring one device brought.
type Measurement struct {
	// Device is the device as the snapshot shows it.
	Device fingerprint.Device
	// Readings are the statistics, the summary first. They are empty if the
	// device could not be measured.
	Readings []core.Reading
	// Time is when the readings were taken, or when it was found that there are
	// none.
	Time time.Time
	// Err says why readings are missing.
	Err error
}

// Options say how a [Collector] works.
type Options struct {
	// Timeout is how long one device may keep the others waiting.
	Timeout time.Duration
	// DriverTimeout is the deadline of a call into the vendor; past it the
	// device counts as hung.
	DriverTimeout time.Duration
	// Hung is told when a call passed its deadline. It must not block.
	Hung func()
	// Observe is told of each call: "measure".
	Observe guard.Observer
	// Log is told when measuring a device begins to fail, or works again.
	Log hclog.Logger
}

// Collector measures devices. Its methods may be used concurrently: streams that
// ask at about the same time share one measurement.
type Collector struct {
	vendor  core.Vendor
	calls   *guard.Group
	options Options

	mu    sync.Mutex
	meter map[string]*meter // by the ID of the whole device
	// asked is when a stream asked last, and interval how often it does.
	asked    time.Time
	interval time.Duration
}

// meter is the state of measuring one device.
type meter struct {
	running chan struct{} // closed when the call has ended; nil if none runs
	started time.Time
	last    Measurement
	failing string // the error that was logged last
	said    time.Time
}

// NewCollector returns a Collector. The calls group is shared with whoever else
// calls the vendor for the same cards.
func NewCollector(vendor core.Vendor, calls *guard.Group, options Options) *Collector {
	return &Collector{vendor: vendor, calls: calls, options: options, meter: map[string]*meter{}}
}

// Collect measures every device of the snapshot for a stream with the given
// interval and returns one measurement for each, in the snapshot's order. It
// takes no longer than the timeout and leaves the stream a tenth of its interval.
func (c *Collector) Collect(ctx context.Context, snapshot *fingerprint.Snapshot, interval time.Duration) []Measurement {
	c.forget(snapshot)
	c.mu.Lock()
	c.asked, c.interval = time.Now(), interval
	c.mu.Unlock()
	var results []Measurement
	for _, g := range snapshot.Groups {
		for _, d := range g.Devices {
			results = append(results, Measurement{Device: d})
		}
	}
	c.collect(ctx, results, max(interval/2, fresh), min(c.options.Timeout, interval-interval/10))
	return results
}

// Recent returns a measurement of each device as the vendor knows it, in the
// order of their IDs, for somebody beside the streams. While a stream asks for
// statistics it makes no call for them: it returns what the stream got last. If
// there is none it measures itself, at most every ten seconds.
func (c *Collector) Recent(ctx context.Context, snapshot *fingerprint.Snapshot) []Measurement {
	c.mu.Lock()
	maxAge := own
	if time.Since(c.asked) < 2*c.interval {
		maxAge = max(own, 2*c.interval)
	}
	c.mu.Unlock()
	wholes := snapshot.Wholes()
	results := make([]Measurement, 0, len(wholes))
	for _, id := range slices.Sorted(maps.Keys(wholes)) {
		results = append(results, Measurement{Device: wholes[id]})
	}
	c.collect(ctx, results, maxAge, c.options.Timeout)
	return results
}

// collect measures the devices of the results side by side.
func (c *Collector) collect(ctx context.Context, results []Measurement, maxAge, wait time.Duration) {
	var group errgroup.Group
	for i := range results {
		group.Go(func() error {
			m := &results[i]
			m.Readings, m.Time, m.Err = c.measure(ctx, m.Device, maxAge, wait)
			return nil
		})
	}
	_ = group.Wait() // the errors are in the measurements
}

// measure returns the newest measurement of a device. It begins a new one if the
// last is older than maxAge, and waits for it a while.
func (c *Collector) measure(ctx context.Context, d fingerprint.Device, maxAge, wait time.Duration) ([]core.Reading, time.Time, error) {
	c.mu.Lock()
	id := d.Whole().ID
	m := c.meter[id]
	if m == nil {
		m = &meter{}
		c.meter[id] = m
	}
	if m.running == nil && time.Since(m.last.Time) >= maxAge {
		m.running = make(chan struct{})
		m.started = time.Now()
		go c.run(context.WithoutCancel(ctx), d, m)
	}
	running, patience := m.running, wait-time.Since(m.started)
	c.mu.Unlock()

	if running != nil && patience > 0 {
		timeout := time.NewTimer(patience)
		defer timeout.Stop()
		select {
		case <-running:
		case <-timeout.C:
		case <-ctx.Done():
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if m.last.Time.IsZero() {
		return nil, time.Now(), errSlow
	}
	return m.last.Readings, m.last.Time, m.last.Err
}

var errSlow = errors.New("the driver has not answered yet")

// run makes one measurement and keeps it.
func (c *Collector) run(ctx context.Context, d fingerprint.Device, m *meter) {
	end := c.options.Observe.Begin("measure")
	readings, err := guard.Call(ctx, c.calls, fingerprint.Lane(d.Card), c.options.DriverTimeout,
		func(ctx context.Context) ([]core.Reading, error) { return c.vendor.Measure(ctx, d.Whole()) })
	end(err)
	if errors.Is(err, guard.ErrHung) && c.options.Hung != nil {
		c.options.Hung()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.last = Measurement{Readings: usable(readings), Time: time.Now(), Err: err}
	c.report(d, m)
	close(m.running)
	m.running = nil
}

// report logs a change between working and failing. A device that comes and goes
// is logged once a minute: its health is logged elsewhere, and damped there.
func (c *Collector) report(d fingerprint.Device, m *meter) {
	text := ""
	if m.last.Err != nil {
		text = m.last.Err.Error()
	}
	if text == m.failing || time.Since(m.said) < quiet {
		return
	}
	m.failing, m.said = text, time.Now()
	switch {
	case text != "":
		if p, ok := errors.AsType[*guard.PanicError](m.last.Err); ok {
			c.options.Log.Error("the plugin failed while it measured a device; please report this", "device", d.Whole().ID, "panic", p.Value, "stack", string(p.Stack))
		} else {
			c.options.Log.Warn("statistics are missing", "device", d.Whole().ID, "error", m.last.Err)
		}
	default:
		c.options.Log.Info("statistics are complete again", "device", d.Whole().ID)
	}
}

// forget drops what is kept of devices that are no more.
func (c *Collector) forget(snapshot *fingerprint.Snapshot) {
	wholes := snapshot.Wholes()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.meter {
		if _, ok := wholes[id]; !ok && m.running == nil {
			delete(c.meter, id)
		}
	}
}

// usable returns the readings that have a name and a known value, each name
// once. It keeps them where they are.
func usable(readings []core.Reading) []core.Reading {
	kept := readings[:0]
	for _, r := range readings {
		same := func(k core.Reading) bool { return k.Name == r.Name }
		if r.Name != "" && r.Value.Known() && !slices.ContainsFunc(kept, same) {
			kept = append(kept, r)
		}
	}
	return kept
}
