package conformance

// Fault is a way to break hardware.
type Fault string

// The faults that every [Hardware] knows.
const (
	// Fail makes calls return errors.
	Fail Fault = "fail"
	// Hang makes calls not return.
	Hang Fault = "hang"
	// Remove takes away what is called.
	Remove Fault = "remove"
)

// Hardware is what a plugin under test drives, in the hands of the caller: a
// simulator, usually. With it the suite checks what the plugin does when
// hardware breaks, hangs, goes and comes. All launches of the plugin see the
// same hardware. It must have at least one device, and at least two on different
// cards for the cases in which one fails alone.
//
// A fault that cannot be made is an error that wraps [errors.ErrUnsupported];
// the case is skipped then.
type Hardware interface {
	// Break gives the fault to the card that shows the device with this ID:
	// calls that concern the card fail or hang, or the card is gone. It returns
	// the IDs of all devices of the card, which share its fate; a device that is
	// offered as several may be named as itself.
	Break(id string, fault Fault) (card []string, err error)
	// BreakAll gives the fault to the driver: listing the devices fails, every
	// call hangs, or there is no hardware at all.
	BreakAll(fault Fault) error
	// Repair takes all faults away, and releases calls that hang.
	Repair() error
}

// HardwareWithCalls is a [Hardware] that counts the calls into the driver.
type HardwareWithCalls interface {
	Hardware
	// Calls returns how many calls there have been.
	Calls() (uint64, error)
}

// HardwareWithFaults is a [Hardware] that knows further faults of one card.
type HardwareWithFaults interface {
	Hardware
	// Faults returns the faults that Break takes beside the common ones.
	Faults() []Fault
}

// HardwareWithReadings is a [Hardware] whose readings move.
type HardwareWithReadings interface {
	Hardware
	// Vary changes what the hardware measures and nothing else: temperatures,
	// loads, counters. step tells one call from the next.
	Vary(step int) error
}
