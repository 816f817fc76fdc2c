package family

import (
	"context"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
)

// DeviceType is the type of every device group of the plugin.
const DeviceType = "fpga"

// Family is one driver family of FPGAs. It is made once for a configuration and
// keeps nothing from scan to scan but what is in [Scan.Memory].
type Family interface {
	// Name is the family's name: the prefix of its devices' IDs, and the value
	// of their attribute "family".
	Name() string

	// Discover lists the family's cards. It reads directories and links, which
	// are quick; what a driver has to compute, or what can fail for one card
	// alone, belongs into [Card.Read]. It leaves out whatever an earlier family
	// has claimed ([Scan.Claimed]).
	//
	// An error costs this family alone: the cards that it listed last stay
	// listed, with the error as their fault. What was found is returned beside
	// it. No driver on the machine is an empty Found.
	Discover(ctx context.Context, scan *Scan) (Found, error)
}

// Found is the answer of [Family.Discover].
type Found struct {
	// Cards are the cards to read, in any order.
	Cards []Card
	// Claims name what the family takes, so that no later one offers it again:
	// PCI addresses, and resolved sysfs paths for what is not on PCI (the FPGA
	// manager of an SoC). They cover all functions of a card, not only those
	// that are offered.
	Claims []string
	// Notes say what was found and is not offered, and why.
	Notes []core.Note
}

// Card is one board, or one FPGA of it: what fails alone.
type Card struct {
	// Key tells the family's cards apart: a PCI address, or a platform name.
	Key string
	// Read reads the card's devices, under the rules of [core.Probe.Read]. It
	// may run beside the Read of other cards. Each device's Ref is an
	// [Instance].
	Read func(ctx context.Context) ([]core.Device, error)
}

// Instance is one device of a family, as a scan found it. It is the Ref of the
// [core.Device].
type Instance interface {
	// Measure reads the statistics. It never runs beside the Read or another
	// Measure of its card.
	Measure(ctx context.Context) ([]core.Reading, error)
	// Grant says what a task needs. It looks up the nodes in sysfs afresh,
	// since their numbers move, and may run beside everything else.
	Grant(ctx context.Context) (Grant, error)
}

// Preparer is an [Instance] that can be made ready before a task gets it. Its
// methods are those of [core.Preparer] for one device.
type Preparer interface {
	Instance

	Preparation() time.Duration
	Prepare(ctx context.Context) error
}

// Grant is what a task needs to use a device, with what [Check] has to know.
type Grant struct {
	core.Grant
	// Own are the PCI functions that are the device's own. A VFIO group is
	// handed over only if it holds no others.
	Own []core.PCIAddress
	// Exceptions are nodes that are never handed over unless the operator's
	// configuration says so by name, and it does. Some are not even then.
	Exceptions []string
}
