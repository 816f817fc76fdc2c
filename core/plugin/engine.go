package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/health"
	"github.com/nomad-devices/nomad-devices/core/metrics"
	"github.com/nomad-devices/nomad-devices/core/reservation"
	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/core/stats"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

const (
	// settle is how long a stream waits for the first scan to be complete
	// before it tells what was found so far. Nomad's node is not ready until it
	// heard a first message.
	settle = 700 * time.Millisecond
	// reserveTimeout bounds Reserve, to which Nomad gives no deadline.
	reserveTimeout = 9 * time.Second
	// grantTimeout bounds the vendor's part in it. No driver call is made, so
	// the driver's deadline is not what counts: of many reservations at once the
	// last one waits for all others.
	grantTimeout = 4 * time.Second
	// grace is how long ending an engine waits for the calls it has made. A
	// wait for events may take a second to see that it is over.
	grace = 3 * time.Second
)

// engine is a vendor under one configuration. It is idle until it is first
// used: a plugin process is started and configured several times for each time
// that it is asked to look at hardware.
type engine struct {
	config  *config.Common
	vendor  core.Vendor
	host    *sysfs.FS
	calls   *guard.Group
	looks   *fingerprint.Scheduler
	stats   *stats.Collector
	metrics *metrics.Endpoint // nil if none are served
	observe guard.Observer
	log     hclog.Logger
	restart func(error) // told that only a fresh process can go on
	delay   func() time.Duration

	start   sync.Once
	started chan struct{} // closed when the hardware may be in use
	ctx     context.Context
	stop    context.CancelFunc
	done    chan struct{} // closed when the scheduler and the endpoint have ended
}

// newEngine makes an engine. It touches neither hardware, files nor ports.
func newEngine(name string, cfg config.Config, vendor core.Vendor, host *sysfs.FS, log hclog.Logger) *engine {
	common := cfg.Base()
	e := &engine{
		config:  common,
		vendor:  vendor,
		host:    host,
		log:     log,
		restart: func(error) {},
		delay:   func() time.Duration { return 0 },
		started: make(chan struct{}),
		done:    make(chan struct{}),
	}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.calls = guard.NewGroup(func(string) { e.looks.Wake() })
	var observe guard.Observer
	var published func(before, now *fingerprint.Snapshot)
	if address := common.Metrics.Listen(); address != "" {
		e.metrics = metrics.New(metrics.Options{
			Address:  address,
			Plugin:   name,
			Version:  Version,
			Snapshot: func() *fingerprint.Snapshot { return e.looks.Current() },
			Measure: func(ctx context.Context, s *fingerprint.Snapshot) []stats.Measurement {
				return e.stats.Recent(ctx, s)
			},
			Calls: e.calls,
			Log:   log.Named("metrics"),
		})
		observe, published = e.metrics.Observe, e.metrics.Published
	}
	e.observe = observe
	e.looks = fingerprint.New(vendor, e.calls, fingerprint.Options{
		Period:        common.FingerprintPeriod,
		DriverTimeout: common.DriverTimeout,
		Health:        health.Policy{UnhealthyAfter: common.Health.UnhealthyAfter, RecoverAfter: common.Health.RecoverAfter},
		Ignored: func(d core.Device) bool {
			return slices.Contains(common.IgnoredIDs, d.ID) || d.PCI != "" && slices.Contains(common.IgnoredIDs, string(d.PCI))
		},
		Vet:       vet,
		Offer:     share.NewPlan(cfg.ShareRules(), vendor, log.Named("share")).Offer,
		Observe:   observe,
		Published: published,
		Log:       log.Named("fingerprint"),
	})
	e.stats = stats.NewCollector(vendor, e.calls, stats.Options{
		Timeout:       min(common.StatsTimeout, common.DriverTimeout),
		DriverTimeout: common.DriverTimeout,
		Hung:          e.looks.Wake,
		Observe:       observe,
		Log:           log.Named("stats"),
	})
	return e
}

// begin starts looking at the hardware, once.
func (e *engine) begin() {
	e.start.Do(func() {
		if e.ctx.Err() != nil {
			close(e.done)
			return
		}
		close(e.started)
		var running sync.WaitGroup
		if e.metrics != nil {
			running.Go(func() { e.metrics.Run(e.ctx) })
		}
		running.Go(func() {
			if !wait(e.ctx, e.delay()) {
				return
			}
			if err := e.looks.Run(e.ctx); errors.Is(err, core.ErrRestart) {
				e.restart(err)
			}
		})
		go func() {
			running.Wait()
			close(e.done)
		}()
	})
}

// end stops looking and gives back what the vendor holds, unless a call into
// the driver hangs.
func (e *engine) end() {
	e.stop()
	select {
	case <-e.started:
	default:
		e.start.Do(func() { close(e.done) })
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	select {
	case <-e.done:
	case <-ctx.Done():
	}
	for e.calls.AnyRunning() && wait(ctx, 10*time.Millisecond) {
	}
	if ctx.Err() != nil {
		e.log.Warn("a driver call still hangs; what the driver holds is not given back")
		return
	}
	if c, ok := e.vendor.(core.Closer); ok {
		if err := c.Close(); err != nil {
			e.log.Warn("the driver could not be closed", "error", err)
		}
	}
	_ = e.host.Close()
}

// snapshot returns the newest snapshot. If the first scan is not complete it
// waits a moment for it, or until enough is known.
func (e *engine) snapshot(ctx context.Context, patience time.Duration, enough func(*fingerprint.Snapshot) bool) *fingerprint.Snapshot {
	e.begin()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		s := e.looks.Current()
		if s.Complete || enough != nil && enough(s) {
			return s
		}
		select {
		case <-s.Superseded():
		case <-timeout.C:
			return e.looks.Current()
		case <-e.ctx.Done():
			return s
		case <-ctx.Done():
			return s
		}
	}
}

// reserve assembles a reservation. It works in a process that has not looked at
// the hardware before: after a crash Nomad reserves devices that it remembers.
func (e *engine) reserve(ids []string) (r reservation.Reservation, err error) {
	if e.metrics != nil {
		start := time.Now()
		defer func() { e.metrics.Reserved(time.Since(start), err) }()
	}
	if !e.config.Enabled {
		return reservation.Reservation{}, errors.New("the plugin is disabled by its configuration (enabled = false)")
	}
	ctx, cancel := context.WithTimeoutCause(e.ctx, reserveTimeout, fmt.Errorf("no answer within %v: %w", reserveTimeout, guard.ErrHung))
	defer cancel()
	snapshot := e.snapshot(ctx, reserveTimeout-grantTimeout, func(s *fingerprint.Snapshot) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { _, ok := s.Device(id); return !ok })
	})
	// Preparing has a deadline of its own, and can be long.
	if preparation := reservation.Preparation(e.vendor, snapshot, ids); preparation > 0 {
		ctx, cancel = context.WithTimeout(e.ctx, preparation+grantTimeout)
		defer cancel()
	}
	return reservation.Assemble(ctx, e.vendor, snapshot, ids, reservation.Options{
		Host:    e.host,
		Calls:   e.calls,
		Timeout: grantTimeout,
		Observe: e.observe,
		Tell:    e.looks.Tell,
	})
}

// wait returns true after d, or false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
