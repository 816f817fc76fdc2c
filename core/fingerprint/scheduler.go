// Package fingerprint looks at the hardware and keeps what it saw.
//
// A [Scheduler] decides when to look: at each period, soon after the driver told
// of an event, often while a device's health is unsettled. It reads the cards
// side by side, each under a deadline, keeps the last good identity of each
// device, and publishes an immutable [Snapshot]. It is the snapshot's only
// writer; streams, statistics and reservations read it.
package fingerprint

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/health"
)

const (
	// discoverLane is the lane of Discover; the lanes of cards are their keys.
	discoverLane = "discover"
	// interim is how long a scan may take before what it found so far is
	// published. One card that hangs must not hold up the news of the others.
	interim = 400 * time.Millisecond
	// rest is the least time between two scans, however many events ask.
	rest = 200 * time.Millisecond
	// attentive is the most the period can be while a device's health is about
	// to change, watchful while a device is unhealthy: somebody is waiting for
	// it to be mended.
	attentive = 5 * time.Second
	watchful  = 15 * time.Second
)

// Options say how a [Scheduler] works. Fields without a remark are needed.
type Options struct {
	// Period is the time between two scans when nothing happens.
	Period time.Duration
	// DriverTimeout is the deadline of each call into the vendor.
	DriverTimeout time.Duration
	// Health says how much evidence a change of health needs.
	Health health.Policy
	// Ignored says which devices to leave alone. nil means none.
	Ignored func(core.Device) bool
	// Vet returns the device without what Nomad could not bear, and what that
	// was; a device without an ID is not offered. nil lets everything through.
	Vet func(core.Device) (core.Device, []error)
	// Offer returns the devices as they are offered, such as each as several, and
	// is told whether these are all there are. It must answer at once. nil offers
	// them as they are.
	Offer func(devices []Device, complete bool) []Device
	// Observe is told of each scan and of the calls in it: "scan", "discover" and
	// "read".
	Observe guard.Observer
	// Published is told of each new snapshot, and of the one that it takes the
	// place of. It must answer at once. nil is told nothing.
	Published func(before, now *Snapshot)
	// Log is told what changed.
	Log hclog.Logger
}

// Scheduler looks at the hardware through a vendor. Its methods may be used
// concurrently.
type Scheduler struct {
	vendor  core.Vendor
	calls   *guard.Group
	options Options
	current atomic.Pointer[Snapshot]
	wake    chan struct{}
	events  chan core.Event

	// What follows belongs to Run.
	ledger  *ledger
	journal *journal
	watch   watch
}

// New returns a Scheduler that has not looked yet. The calls group is shared
// with whoever else calls the vendor for the same cards; it should wake the
// scheduler when a hung call returns.
func New(vendor core.Vendor, calls *guard.Group, options Options) *Scheduler {
	if options.Vet == nil {
		options.Vet = func(d core.Device) (core.Device, []error) { return d, nil }
	}
	j := newJournal(options.Log)
	if options.Offer == nil {
		options.Offer = func(devices []Device, _ bool) []Device { return devices }
	}
	s := &Scheduler{
		vendor:  vendor,
		calls:   calls,
		options: options,
		wake:    make(chan struct{}, 1),
		events:  make(chan core.Event, 256),
		ledger:  newLedger(options.Health, options.Vet, j),
		journal: j,
	}
	s.current.Store(newSnapshot(nil, false, nil))
	return s
}

// Current returns the newest snapshot; it is never nil.
func (s *Scheduler) Current() *Snapshot { return s.current.Load() }

// Wake asks for a scan soon. It never blocks.
func (s *Scheduler) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Tell takes an event to the scheduler. It never blocks.
func (s *Scheduler) Tell(e core.Event) {
	select {
	case s.events <- e:
	default: // overrun by events: a look finds what they told
		s.Wake()
	}
}

// Run looks at the hardware until ctx ends, and returns the cause, or until only
// a fresh process can go on, and returns an error that wraps [core.ErrRestart].
// It must be called once.
func (s *Scheduler) Run(ctx context.Context) error {
	defer s.watch.stop()
	for {
		end := s.options.Observe.Begin("scan")
		err := s.scan(ctx)
		end(err)
		if err != nil {
			return err
		}
		s.watch.follow(ctx, s)
		if err := s.idle(ctx); err != nil {
			return err
		}
	}
}

// idle waits until it is time for the next scan, and books events meanwhile.
func (s *Scheduler) idle(ctx context.Context) error {
	next := time.NewTimer(min(s.options.Period, s.ledger.urgency()))
	defer next.Stop()
	rested := time.NewTimer(rest)
	defer rested.Stop()
	var wake <-chan struct{} // nil until rested
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-next.C:
			return nil
		case <-wake:
			return nil
		case <-rested.C:
			wake = s.wake
		case e := <-s.events:
			s.book(e)
		}
	}
}

// book applies an event and publishes what it changed.
func (s *Scheduler) book(e core.Event) {
	s.journal.event(e)
	if e.Fault != nil {
		s.ledger.event(time.Now(), e.Devices, *e.Fault)
		s.publish(s.Current().Complete)
	}
	if e.Look || e.Fault != nil {
		s.Wake()
	}
}

// reading is what reading one card brought.
type reading struct {
	card    string
	devices []core.Device
	err     error
}

// scan looks at all the hardware once. Each card's result is booked when it
// comes in; what is there after a moment is published without waiting for the
// rest. The error is ctx's, or says that only a fresh process can go on.
func (s *Scheduler) scan(ctx context.Context) error {
	s.ledger.begin()
	s.journal.begin()
	found := make(chan struct{})
	var inventory core.Inventory
	var failure error
	go func() {
		defer close(found)
		end := s.options.Observe.Begin("discover")
		inventory, failure = guard.Call(ctx, s.calls, discoverLane, s.options.DriverTimeout, s.vendor.Discover)
		end(failure)
	}()
	soon := time.NewTimer(interim)
	defer soon.Stop()
	early := false // the interim has passed
	var readings chan reading
	for open := -1; open != 0; {
		select {
		case <-ctx.Done():
			if found != nil {
				<-found // the call looks at ctx as well, and so do the readings
			}
			for ; open > 0; open-- {
				<-readings
			}
			return context.Cause(ctx)
		case <-found:
			found = nil
			if failure != nil {
				return s.failed(failure)
			}
			s.journal.notes(inventory.Notes)
			open = len(inventory.Probes)
			readings = s.probe(ctx, inventory.Probes)
		case r := <-readings:
			open--
			s.bookReading(r)
			if early {
				s.publish(s.Current().Complete)
			}
		case <-soon.C:
			early = true
			s.publish(s.Current().Complete)
		case e := <-s.events:
			s.book(e)
		}
	}
	s.ledger.finish(time.Now())
	s.journal.finish(s.publish(true))
	return nil
}

// failed books a scan that found out nothing.
func (s *Scheduler) failed(err error) error {
	if errors.Is(err, core.ErrRestart) {
		return err
	}
	s.journal.panicked("", err)
	s.ledger.failed(time.Now(), err)
	s.journal.finish(s.publish(s.Current().Complete))
	return nil
}

// probe reads the cards side by side. Each sends one reading; there is room for
// all, so that nobody waits for a reader who left.
func (s *Scheduler) probe(ctx context.Context, probes []core.Probe) chan reading {
	readings := make(chan reading, len(probes))
	seen := map[string]bool{}
	for _, p := range probes {
		if p.Read == nil || seen[p.Key] {
			readings <- reading{card: p.Key, err: errors.New("the plugin lists this card twice or without a way to read it; please report this")}
			continue
		}
		seen[p.Key] = true
		go func() {
			end := s.options.Observe.Begin("read")
			devices, err := guard.Call(ctx, s.calls, Lane(p.Key), s.options.DriverTimeout, p.Read)
			end(err)
			readings <- reading{card: p.Key, devices: devices, err: err}
		}()
	}
	return readings
}

// Lane returns the name of the lane for calls that concern a card.
func Lane(card string) string { return "card " + card }

func (s *Scheduler) bookReading(r reading) {
	s.journal.panicked(r.card, r.err)
	devices := make([]core.Device, 0, len(r.devices))
	for _, d := range r.devices {
		if s.options.Ignored == nil || !s.options.Ignored(d) {
			devices = append(devices, d)
		}
	}
	s.ledger.read(time.Now(), r.card, devices, r.err)
}

// publish makes the ledger's state the current snapshot.
func (s *Scheduler) publish(complete bool) *Snapshot {
	before := s.Current()
	next := newSnapshot(s.options.Offer(s.ledger.devices(), complete), complete, s.journal.differs)
	next.Generation = before.Generation
	if !Same(before, next) {
		next.Generation++
	}
	s.current.Store(next)
	if s.options.Published != nil {
		s.options.Published(before, next)
	}
	close(before.superseded)
	return next
}
