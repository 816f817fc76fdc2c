package core

import (
	"context"
	"errors"
	"time"
)

// Vendor is what the author of a plugin writes.
//
// # What the core promises to a Vendor
//
//   - No call is made before Nomad opens a stream or reserves a device: making
//     a Vendor must touch no hardware, and none of its errors reach Nomad.
//   - Discover is never running twice at a time.
//   - For one card (one [Probe.Key]) at most one Read or Measure runs at a time,
//     so what a vendor remembers about a card needs no lock. Different cards
//     run side by side. Grant and Watch may run beside everything else.
//   - Every call has a deadline in its context and runs on a goroutine of its
//     own. A call that outlives its deadline is left alone until it returns;
//     its result is thrown away and nothing else is asked of that card until
//     then. A panic is caught and becomes a fault of the card.
type Vendor interface {
	// Discover says which cards there are. It should be quick: what takes
	// time, or can fail for one card alone, belongs into the probes' Read.
	//
	// An error means that looking failed, which is not the same as finding
	// nothing: every device known so far stays listed, with the error as its
	// fault. Return a [Fault] to say how serious that is and what to do. No
	// driver on the machine is a normal state: an empty Inventory with a Note.
	// An error that wraps [ErrRestart] ends the process.
	Discover(ctx context.Context) (Inventory, error)

	// Measure reads the statistics of one device. The first reading is the
	// device's summary. What the device does not support is left out. Readings
	// returned beside an error are used. The slice is the core's from then on.
	Measure(ctx context.Context, device Device) ([]Reading, error)

	// Grant says what a task needs to use one device. It must work from the
	// device and, where nodes may have moved, from the host's files, never by
	// a driver call: it runs while the driver hangs. The core merges the grants
	// of several devices, checks them, and refuses unhealthy devices before it
	// asks.
	Grant(ctx context.Context, device Device) (Grant, error)
}

// Watcher is a [Vendor] that is told of events by its driver, so that a fault
// need not wait for the next look.
type Watcher interface {
	Vendor

	// Watch waits for events and passes each to emit until ctx ends. It is
	// called with the devices of the newest scan, of which there may be none, and
	// again, after its context ended, whenever the set of devices changed. emit never blocks. An error
	// is logged, and Watch is called again after a growing pause; nil means
	// that these devices have no events to offer and ends the matter until the
	// set changes.
	Watch(ctx context.Context, devices []Device, emit func(Event)) error
}

// Preparer is a [Vendor] that can make a device ready before a task gets it, as
// by loading an image into it. Nomad tells a plugin neither which task or job a
// reservation is for nor when its task ends, so what a device is prepared for is
// the configuration's to say.
type Preparer interface {
	Vendor

	// Preparation returns how long preparing a device may take, and 0 for one
	// that needs none, which is then not prepared. It must return at once.
	Preparation(device Device) time.Duration

	// Prepare makes a device ready. It is called for each device of a
	// reservation before the first Grant, for the devices of one card one after
	// the other, and never twice at a time for one card. Its deadline is
	// Preparation's. It has nothing to do, and must see that, if the device is
	// ready already.
	//
	// An error fails the reservation, and makes the device unhealthy at once:
	// with the error if it is a [Fault], else with a hard fault that holds it.
	// As any fault of an event, it stands until the next look unless it is
	// latched; a vendor that knows the failure to last says so in Read.
	Prepare(ctx context.Context, device Device) error
}

// Sharer is a [Vendor] with a say in the sharing of its devices. The devices of
// any other vendor can all be shared, and a task that has a part of one gets what
// [Vendor.Grant] gives for the whole.
type Sharer interface {
	Vendor

	// Shareable returns why a device cannot be offered as several, or nil. It is
	// asked again and again and must answer at once, from what the device says.
	Shareable(device Device) error

	// GrantShare is Grant for a task that has a part of a device.
	GrantShare(ctx context.Context, device Device, share Share) (Grant, error)
}

// Share is what a task has of a device that is offered as several.
type Share struct {
	// Replicas is as how many the device is offered.
	Replicas int
	// Held is how many of them the task has. If it has more of one device of the
	// reservation than of another, it is the smallest of these numbers for all
	// of them: limits in the environment hold for a process, not for a device.
	Held int
	// Place is the device's place among those of the reservation, counted from
	// 0 in the order in which the values of [Grant.Lists] are joined.
	Place int
}

// Closer is a [Vendor] that holds something to give back, such as an open
// library. Close is called at most once, when another configuration replaced the
// vendor, and never while another of its calls runs or hangs. A process that
// ends just ends, and the kernel takes back what it held.
type Closer interface {
	Close() error
}

// ErrRestart says, wrapped in an error from [Vendor.Discover], that only a fresh
// process can go on: a driver library, once mapped, cannot be replaced.
// The core logs the error as one line and ends the process, leaving its streams
// open so that Nomad starts it again.
var ErrRestart = errors.New("only a fresh process can go on")

// Inventory is the answer of [Vendor.Discover].
type Inventory struct {
	// Probes are the cards to read, in any order.
	Probes []Probe
	// Notes say what was found and is not offered, and why. They are for the
	// operator's log, each logged once as long as it stays the same.
	Notes []Note
}

// Note is a remark for the operator about hardware that is not offered.
type Note struct {
	// Subject is what the note is about: a PCI address, a driver.
	Subject string
	// Text says what is so, why, and what to do about it.
	Text string
}

// Probe reads one card: a piece of hardware that fails alone. It may hold
// several devices (the partitions of one GPU, the ports of one FPGA board).
type Probe struct {
	// Key tells cards apart and stays the same from scan to scan; it is best a
	// PCI address.
	Key string
	// Read reads the card's devices. The core runs the probes of a scan side
	// by side, each under the driver deadline.
	//
	// An error costs this card alone: the devices that it showed last stay
	// listed with the error as their fault. Devices returned beside an error
	// are used. A card that answers "no devices" without an error has none.
	Read func(ctx context.Context) ([]Device, error)
}

// Found makes a probe of devices that are read already, for hardware whose
// files cannot hang.
func Found(key string, devices ...Device) Probe {
	return Probe{Key: key, Read: func(context.Context) ([]Device, error) { return devices, nil }}
}

// Event is something that the driver told of its own accord.
type Event struct {
	// Devices are the IDs of the devices concerned; none means all of them.
	Devices []string
	// Fault, if not nil, is laid on the devices at once.
	Fault *Fault
	// Text is logged once for each event, if not empty. It is for events that
	// change no health: a fault is logged anyway.
	Text string
	// Look asks for a new scan right away.
	Look bool
}
