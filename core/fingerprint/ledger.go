package fingerprint

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/health"
)

const (
	// absence is how long a device that went missing stays listed, unhealthy. A
	// reset or a rescan of the bus takes a device away for seconds.
	absence = time.Minute
	// memory is how long a missing device keeps its history. One that comes and
	// goes is not taken for a new and healthy one each time.
	memory = 10 * time.Minute
)

// The codes of the faults that the core itself lays on devices.
const (
	codeHung    = "hung"
	codePanic   = "panic"
	codeRead    = "read-failed"
	codeMissing = "missing"
)

// ledger is the book of what is known: each device with its last good identity
// and its health. It starts nothing and reads no clock.
type ledger struct {
	policy health.Policy
	vet    func(core.Device) (core.Device, []error)
	log    *journal

	scan    uint64
	entries map[string]*entry // by device ID
}

// entry is one device in the ledger.
type entry struct {
	device  core.Device // the last good reading
	card    string
	health  *health.Tracker
	scan    uint64    // the last scan that showed it
	missing time.Time // when it was first missed, zero while it is there
	dropped bool      // it was missing for too long to be listed
	returns int       // how often it came back since it was last healthy
}

func newLedger(policy health.Policy, vet func(core.Device) (core.Device, []error), log *journal) *ledger {
	return &ledger{policy: policy, vet: vet, log: log, entries: map[string]*entry{}}
}

// begin opens a new scan.
func (l *ledger) begin() { l.scan++ }

// read books what reading a card brought. Devices that the card showed before
// and does not show now are left for [ledger.finish] to judge, unless reading
// failed: then they keep their identity, with the error as their fault.
func (l *ledger) read(now time.Time, card string, devices []core.Device, err error) {
	for _, d := range devices {
		if d.ID == "" {
			l.unidentified(now, card, d)
		} else {
			l.identified(now, card, d)
		}
	}
	if err == nil {
		return
	}
	fault := faultOf(err)
	known := l.ofCard(card)
	rest := 0
	for _, e := range known {
		if e.scan != l.scan {
			rest++
			l.look(now, e, []core.Fault{fault}, nil)
		}
	}
	switch {
	case len(known) == 0:
		l.log.unread(card, err)
	case rest == 0: // no device bears the error
		l.log.partly(card, err)
	}
}

// failed books a scan that could not even begin: every device keeps its
// identity, with the error as its fault.
func (l *ledger) failed(now time.Time, err error) {
	fault := faultOf(err)
	for _, e := range l.entries {
		l.look(now, e, []core.Fault{fault}, nil)
	}
	if len(l.entries) == 0 {
		l.log.unread("", err)
	}
}

func (l *ledger) identified(now time.Time, card string, d core.Device) {
	d, problems := l.vet(d)
	l.log.vetted(d, problems)
	if d.ID == "" {
		return
	}
	e := l.entries[d.ID]
	switch {
	case e == nil:
		e = &entry{health: health.NewTracker(l.policy)}
		l.entries[d.ID] = e
		l.log.found(d)
	case e.scan == l.scan && e.card != card:
		l.log.twice(d.ID, e.card, card)
		if e.card < card {
			return
		}
	case !e.missing.IsZero():
		e.missing, e.dropped = time.Time{}, false
		e.returns++
		e.health.Returned()
		l.log.returned(d)
	}
	d.Attributes = keepKnown(d.Attributes, e.device.Attributes)
	e.device, e.card = d, card
	l.look(now, e, d.Faults, d.Cleared)
}

// unidentified books a reading without an ID under the devices that it must
// mean.
func (l *ledger) unidentified(now time.Time, card string, d core.Device) {
	known := l.ofCard(card)
	if d.PCI != "" {
		at := func(e *entry) bool { return e.device.PCI == d.PCI }
		if atCard := slices.DeleteFunc(slices.Clone(known), func(e *entry) bool { return !at(e) }); len(atCard) > 0 {
			known = atCard
		} else {
			known = l.where(at)
		}
	}
	for _, e := range known {
		l.look(now, e, d.Faults, d.Cleared)
	}
	if len(known) == 0 {
		errs := make([]error, len(d.Faults))
		for i := range d.Faults {
			errs[i] = &d.Faults[i]
		}
		l.log.unread(cmp.Or(string(d.PCI), card), errors.Join(errs...))
	}
}

// finish judges the devices that a complete scan did not show.
func (l *ledger) finish(now time.Time) {
	for id, e := range l.entries {
		if e.scan == l.scan {
			continue
		}
		if e.missing.IsZero() {
			e.missing = now
		}
		patience := absence
		if e.returns > 2 { // it comes and goes: do not list it anew each time
			patience = memory
		}
		switch away := now.Sub(e.missing); {
		case away >= memory:
			delete(l.entries, id)
			if !e.dropped {
				l.log.dropped(e.device)
			}
			continue
		case away >= patience && !e.dropped:
			e.dropped = true
			l.log.dropped(e.device)
		}
		l.look(now, e, []core.Fault{missingFault}, nil)
	}
}

// look passes the faults of this scan to the device's health.
func (l *ledger) look(now time.Time, e *entry, faults []core.Fault, cleared []string) {
	e.scan = l.scan
	before := e.health.State()
	e.health.Look(now, faults, cleared)
	if e.health.State().Healthy {
		e.returns = 0
	}
	l.tell(e, before)
}

// tell logs how the health of a device changed, if it is listed: of those that
// are not there may be many, such as a card's layouts of the last ten minutes.
func (l *ledger) tell(e *entry, before health.State) {
	if !e.dropped {
		l.log.health(e.device, before, e.health.State())
	}
}

// event lays a fault on devices at once.
func (l *ledger) event(now time.Time, ids []string, fault core.Fault) {
	for id, e := range l.entries {
		if len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		before := e.health.State()
		e.health.Event(now, fault)
		l.tell(e, before)
	}
}

// urgency returns how long the next look may wait, as far as the devices' health
// is concerned.
func (l *ledger) urgency() time.Duration {
	wait := time.Duration(math.MaxInt64)
	for _, e := range l.entries {
		switch {
		case e.dropped:
		case !e.missing.IsZero() || !e.health.Settled():
			return attentive
		case !e.health.State().Healthy:
			wait = watchful
		}
	}
	return wait
}

// devices returns all devices that are listed, as they stand.
func (l *ledger) devices() []Device {
	devices := make([]Device, 0, len(l.entries))
	for _, e := range l.entries {
		if e.dropped {
			continue
		}
		devices = append(devices, Device{Device: e.device, Card: e.card, Health: e.health.State()})
	}
	return devices
}

func (l *ledger) ofCard(card string) []*entry {
	return l.where(func(e *entry) bool { return e.card == card })
}

func (l *ledger) where(keep func(*entry) bool) []*entry {
	var found []*entry
	for _, id := range slices.Sorted(maps.Keys(l.entries)) {
		if e := l.entries[id]; keep(e) {
			found = append(found, e)
		}
	}
	return found
}

// keepKnown puts the value known last in place of each unknown one.
func keepKnown(now, before map[string]core.Value) map[string]core.Value {
	kept := make(map[string]core.Value, len(now))
	for name, v := range now {
		if v.Kind() == core.KindUnknown {
			v = before[name]
		}
		if v.Known() {
			kept[name] = v
		}
	}
	return kept
}

var missingFault = core.Fault{
	Code: codeMissing, Severity: core.Hard,
	Reason: "the device is no longer there",
	Remedy: "if it was not removed on purpose, look at the kernel log (dmesg); after a minute it is listed no more",
}

// faultOf returns the fault that an error means for the devices it covers.
func faultOf(err error) core.Fault {
	if f, ok := errors.AsType[*core.Fault](err); ok {
		return *f
	}
	if errors.Is(err, guard.ErrHung) {
		return core.Fault{
			Code: codeHung, Severity: core.Hard, Err: err,
			Reason: "the driver does not answer for this device",
			Remedy: "look at the kernel log (dmesg); the device comes back by itself when the driver answers",
		}
	}
	if _, ok := errors.AsType[*guard.PanicError](err); ok {
		return core.Fault{
			Code: codePanic, Severity: core.Hard, Err: err,
			Reason: "the plugin failed while it read this device",
			Remedy: "report the stack in the plugin's log as a bug",
		}
	}
	return core.Fault{Code: codeRead, Severity: core.Soft, Err: err, Reason: err.Error()}
}
