package nvidia

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// codePermission is the fault of a GPU that this process may not use.
const codePermission = "no-permission"

// card is one GPU with its MIG instances, and what is remembered about it
// between scans. At most one Read or Measure of a card runs at a time; what
// others use beside them is safe for that by itself.
type card struct {
	vendor *Vendor
	place  place
	// note is the remark of the last Read for the next Discover, and offered
	// whether the card ever had devices.
	note    atomic.Pointer[core.Note]
	offered atomic.Bool

	instruments instruments
	health      healthMemory

	// The handle and who answered to it. gpu is nil while a handle must be got.
	at    look
	gpu   nvml.Device
	uuid  string // empty until the card was identified
	name  string
	pci   core.PCIAddress
	minor int
	// left says that the card is left alone: ignored, or nothing to compute on.
	left bool
	// doubtful says that the card was seen in a bad state since its facts were
	// read. A reset may have changed them.
	doubtful bool

	facts  factMemory
	fabric nvml.Fabric
	mig    migMemory
}

func newCard(v *Vendor, p place) *card {
	return &card{vendor: v, place: p, pci: p.pci, minor: -1}
}

// label names the card for people.
func (c *card) label(address core.PCIAddress) string {
	if address == "" {
		return c.place.key
	}
	return "GPU " + string(address)
}

// read reads the card's devices. In a session where nothing happens it makes two
// calls to see that handle and layout still hold, up to three for the card's
// health, and one for an attribute that may have changed.
func (c *card) read(ctx context.Context, at look) ([]core.Device, error) {
	if c.at.session == nil || at.session.number != c.at.session.number || at.epoch != c.at.epoch {
		c.gpu, c.left, c.doubtful = nil, false, true
	}
	if c.at.session != nil && at.session.number != c.at.session.number {
		c.health.gone = true // the driver was unloaded in between
	}
	c.at = at
	if c.left {
		return nil, nil
	}
	if err := c.attach(); err != nil {
		return c.failed(err)
	}
	if c.left {
		return nil, nil
	}
	if err := c.split(); err != nil {
		return c.failed(err)
	}
	faults, cleared := c.examine()
	bad := unusable(faults)
	if c.doubtful && !bad {
		c.facts, c.mig.parts, c.doubtful = factMemory{}, nil, false
	}
	c.doubtful = c.doubtful || bad
	common := core.Device{PCI: c.pci, Faults: faults, Cleared: cleared}
	if c.mig.on {
		return c.instances(ctx, common, bad)
	}
	if !bad {
		if err := c.facts.read(ctx, gpuFacts, c.source(c.gpu)); err != nil {
			return c.failed(err)
		}
	}
	return c.whole(common), nil
}

// whole returns the card as one device.
func (c *card) whole(d core.Device) []core.Device {
	d.ID = c.uuid
	d.Group = core.Group{Vendor: vendorName, Type: typeGPU, Name: c.name}
	d.Attributes = c.attributes(gpuFacts, onGPU)
	d.Faults = append(d.Faults, c.vendor.mpsFaults(d)...)
	d.Ref = c.ref(nil, wholeGPU, c.uuid)
	c.settle(nil, c.uuid)
	return []core.Device{d}
}

// settle ends a reading that found the given devices.
func (c *card) settle(note *core.Note, ids ...string) {
	c.note.Store(note)
	if len(ids) > 0 {
		c.offered.Store(true)
	}
	present := make(map[string]bool, len(ids))
	for _, id := range ids {
		present[id] = true
	}
	c.instruments.gpm.keep(present)
}

func (c *card) source(d nvml.Device) *source {
	return &source{device: d, host: c.vendor.host, pci: c.pci}
}

func (c *card) ref(part nvml.Device, at instance, uuid string) *ref {
	return &ref{
		card: c, gpu: c.gpu, part: part, at: at, uuid: uuid, pci: c.pci, minor: c.minor,
		limit: c.facts.values[attrPower.name],
	}
}

// attributes returns what the card itself knows for a device of a scope.
func (c *card) attributes(of []*fact, on scope) map[string]core.Value {
	all := make(map[string]core.Value, len(attributeDocs))
	c.facts.into(all, of)
	put := func(a *attribute, v core.Value) {
		if v.Kind() != core.KindNone && a.on&on != 0 {
			all[a.name] = v
		}
	}
	put(attrDriver, c.at.session.driver)
	put(attrCUDA, c.at.session.cuda)
	put(attrProduct, text(c.name))
	put(attrClique, text(c.fabric.Clique()))
	if c.mig.capable {
		put(attrMIGMode, enabled(c.mig.on))
	}
	return all
}

// attach makes sure that there is a handle and that the same GPU answers to it.
func (c *card) attach() error {
	if c.gpu != nil {
		uuid, err := c.gpu.UUID()
		if err != nil || uuid == c.uuid {
			return err
		}
	}
	c.gpu = nil
	gpu, err := c.place.handle(c.vendor.lib)
	if err != nil {
		return err
	}
	uuid, err := gpu.UUID()
	if err != nil {
		return err
	}
	if uuid == "" {
		return errors.New("it has no UUID")
	}
	if c.left = c.vendor.ignored.has(uuid); c.left {
		return nil
	}
	address, err := c.address(gpu)
	if err != nil {
		return err
	}
	if c.left = c.vendor.ignored.has(string(address)); c.left {
		return nil
	}
	name, err := gpu.Name()
	if err != nil {
		return err
	}
	if c.left = display(name); c.left {
		c.note.Store(&core.Note{Subject: c.label(address), Text: name + " only drives displays; it is not offered"})
		return nil
	}
	minor, err := gpu.Minor()
	if nvml.Unsupported(err) {
		minor, err = -1, nil
	}
	if err != nil {
		return err
	}
	if uuid != c.uuid { // another GPU took the place
		c.health, c.facts, c.mig, c.fabric = healthMemory{}, factMemory{}, migMemory{}, nvml.Fabric{}
	}
	// Samples and the like belong to the handle. The XIDs are the card's.
	c.instruments.gpm.keep(nil)
	c.instruments.gpm, c.instruments.parent = gpmMemory{}, parentState{}
	c.gpu, c.uuid, c.name, c.pci, c.minor = gpu, uuid, name, address, minor
	return nil
}

// address returns the PCI address, or "" for a GPU that has none to tell.
func (c *card) address(gpu nvml.Device) (core.PCIAddress, error) {
	if c.place.pci != "" {
		return c.place.pci, nil
	}
	p, err := gpu.PCI()
	if nvml.Unsupported(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return pci.Address(p.Domain, p.Bus, p.Device, 0)
}

// display reports whether a device only drives the displays of a DGX Station
// (NVIDIA/go-nvlib, pkg/nvlib/device, skips the same two).
func display(name string) bool { return name == "DGX Display" || name == "NVIDIA DGX Display" }

// examine returns what is wrong with the card.
func (c *card) examine() (faults []core.Fault, cleared []string) {
	fabric, err := c.gpu.Fabric()
	switch {
	case err == nil:
		c.fabric = fabric
	case nvml.Unsupported(err):
		c.fabric = nvml.Fabric{}
	}
	return c.health.examine(c.gpu, c.fabric, c.vendor.policy)
}

// unusable reports whether one of the faults says that asking the GPU for more
// is useless.
func unusable(faults []core.Fault) bool {
	for _, f := range faults {
		if f.Err != nil && severe(f.Err) {
			return true
		}
	}
	return false
}

// failed says what it means that the card could not be read.
func (c *card) failed(err error) ([]core.Device, error) {
	known := c.uuid != ""
	switch class := nvml.ClassOf(err); {
	case severe(err) || class == nvml.ClassNotFound && known:
		c.gpu, c.doubtful = nil, true
		if class == nvml.ClassNotFound {
			err = fmt.Errorf("%w: %w", nvml.ErrGPUIsLost, err)
		}
		return c.unread(c.health.lost(err))
	case class == nvml.ClassNotFound:
		return c.refused("the kernel module lists it, and the management library does not offer it: " + err.Error())
	case class == nvml.ClassPermission && !known:
		return c.refused("this process may not use it: " + err.Error() + "; check the cgroup of the Nomad agent and the modes of " + nodeGPU + "*")
	case class == nvml.ClassPermission:
		return c.unread(core.Fault{
			Code: codePermission, Severity: core.Hard, Err: err,
			Reason: "the plugin may no longer use the GPU: " + err.Error(),
			Remedy: "check the cgroup of the Nomad agent and the modes of " + nodeGPU + "*",
		})
	case class == nvml.ClassMismatch || class == nvml.ClassNotLoaded:
		c.gpu = nil
		if call, ok := errors.AsType[*nvml.CallError](err); ok && class == nvml.ClassMismatch {
			c.vendor.mismatch.Store(call)
		}
		return nil, driverGone(err)
	case known:
		return nil, fmt.Errorf("reading %s: %w", c.label(c.pci), err)
	default:
		return nil, fmt.Errorf("%s cannot be identified: %w", c.label(c.pci), err)
	}
}

// unread lays a fault on all devices of the card, which keep their identity.
func (c *card) unread(f core.Fault) ([]core.Device, error) {
	if c.pci == "" {
		return nil, &f
	}
	return []core.Device{{PCI: c.pci, Faults: []core.Fault{f}}}, nil
}

// refused leaves a remark about a card that was never offered.
func (c *card) refused(why string) ([]core.Device, error) {
	c.note.Store(&core.Note{Subject: c.label(c.pci), Text: why})
	return nil, nil
}
