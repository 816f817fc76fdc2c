package nvidia

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// migMemory is what is remembered about the layout of a card.
type migMemory struct {
	known, capable, on bool
	slots              int              // 0 until known
	parts              map[string]*part // by UUID
}

// part is a MIG instance. Handles are never kept: a changed layout reuses them
// for other instances (nvml.h, nvmlDeviceGetMigDeviceHandleByIndex).
type part struct {
	name  string
	at    instance
	facts factMemory
}

// split finds out whether the card is split into MIG instances. A change ends
// what was known of the card: its minor number may be another one, and what it
// supports is.
func (c *card) split() error {
	on, _, err := c.gpu.MIGMode()
	switch {
	case nvml.Unsupported(err) && !c.mig.capable:
		c.mig.known, on = true, false
	case err == nil:
		c.mig.capable = true
	case c.mig.known && !severe(err):
		return nil // the layout known last, also if it now says that it has no MIG; the instances will tell
	default:
		return err
	}
	if c.mig.known && on != c.mig.on {
		c.gpu, c.facts = nil, factMemory{}
		if err := c.attach(); err != nil {
			return err
		}
		c.mig = migMemory{capable: c.mig.capable}
	}
	c.mig.known, c.mig.on = true, on
	return nil
}

// instances returns the MIG instances of the card, with what they share of their
// GPU in common. One that cannot be read costs itself.
func (c *card) instances(ctx context.Context, common core.Device, bad bool) ([]core.Device, error) {
	if bad { // none of them can be asked; all keep their identity
		return []core.Device{common}, nil
	}
	if err := c.facts.read(ctx, parentFacts, c.source(c.gpu)); err != nil {
		return c.failed(err)
	}
	if c.mig.slots == 0 {
		slots, err := c.gpu.MaxMIGDevices()
		if err != nil {
			return c.failed(err)
		}
		c.mig.slots = slots
	}
	var found []core.Device
	var errs []error
	present := make(map[string]bool)
	for slot := range c.mig.slots {
		d, err := c.instance(ctx, slot, common)
		switch {
		case err == nil && d.ID != "":
			found = append(found, d)
			present[d.ID] = true
		case err == nil:
		case severe(err):
			return c.failed(err)
		default:
			errs = append(errs, fmt.Errorf("MIG instance in slot %d: %w", slot, err))
		}
	}
	if len(errs) > 0 {
		return found, errors.Join(errs...)
	}
	for uuid := range c.mig.parts {
		if !present[uuid] && !c.vendor.ignored.has(uuid) {
			delete(c.mig.parts, uuid)
		}
	}
	c.settled(found, present)
	return found, nil
}

// settled ends a complete reading of the instances.
func (c *card) settled(found []core.Device, present map[string]bool) {
	ids := make([]string, 0, len(found))
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	var note *core.Note
	if len(present) == 0 {
		note = &core.Note{
			Subject: c.label(c.pci),
			Text: "MIG is on and there is no instance that may be offered, so neither is the GPU; " +
				"create instances (nvidia-smi mig -cgi … -C) or turn MIG off",
		}
	}
	c.settle(note, ids...)
}

// instance reads the MIG instance in a slot. A device without an ID is an empty
// slot, or an instance that is ignored.
//
// Its numbers are read in each scan: the capability nodes that a task gets hang
// on them, and whether an instance that is made anew gets the same UUID is not
// known.
func (c *card) instance(ctx context.Context, slot int, d core.Device) (core.Device, error) {
	if err := ctx.Err(); err != nil {
		return core.Device{}, err
	}
	handle, err := c.gpu.MIGDevice(slot)
	if errors.Is(err, nvml.ErrNotFound) || errors.Is(err, nvml.ErrInvalidArgument) {
		return core.Device{}, nil
	}
	if err != nil {
		return core.Device{}, err
	}
	uuid, err := handle.UUID()
	if err != nil {
		return core.Device{}, err
	}
	if c.vendor.ignored.has(uuid) {
		return core.Device{}, nil
	}
	at, err := numbersOf(handle)
	if err != nil {
		return core.Device{}, err
	}
	name, err := handle.Name()
	if err != nil && !nvml.Unsupported(err) {
		return core.Device{}, err
	}
	p := c.mig.parts[uuid]
	if p == nil || p.at != at || p.name != name {
		p = &part{name: name, at: at}
		if c.mig.parts == nil {
			c.mig.parts = make(map[string]*part)
		}
		c.mig.parts[uuid] = p
	}
	if err := p.facts.read(ctx, partFacts, c.source(handle)); err != nil {
		return core.Device{}, err
	}
	profile := migProfile(name)
	if profile == "" {
		if profile, err = c.profile(handle); err != nil {
			return core.Device{}, err
		}
		name = c.name + " MIG " + profile
	}
	d.ID = uuid
	d.Group = core.Group{Vendor: vendorName, Type: c.vendor.cfg.MIGType, Name: name}
	d.Attributes = c.attributes(parentFacts, onMIG)
	p.facts.into(d.Attributes, partFacts)
	d.Attributes[attrProfile.name] = core.String(profile)
	d.Ref = c.ref(handle, at, uuid)
	return d, nil
}

func numbersOf(handle nvml.Device) (instance, error) {
	gi, err := handle.GPUInstance()
	if err != nil {
		return instance{}, err
	}
	ci, err := handle.ComputeInstance()
	if err != nil {
		return instance{}, err
	}
	return instance{uint32(gi), uint32(ci)}, nil
}

// check makes sure that the handle of a MIG instance still means the same one.
func (r *ref) check() error {
	if r.part == nil {
		return nil
	}
	uuid, err := r.part.UUID()
	if err != nil {
		return err
	}
	if uuid != r.uuid {
		return fmt.Errorf("the MIG layout of %s changed", r.card.label(r.pci))
	}
	return nil
}

// migProfile returns the profile at the end of a MIG instance's name: "1g.10gb"
// of "NVIDIA H100 80GB HBM3 MIG 1g.10gb". It is "" if there is none.
func migProfile(name string) string {
	i := strings.LastIndex(name, " MIG ")
	if i < 0 {
		return ""
	}
	return strings.TrimSpace(name[i+len(" MIG "):])
}

// profile works out the profile of an instance whose name does not tell it.
func (c *card) profile(handle nvml.Device) (string, error) {
	a, err := handle.MIGAttributes()
	if err != nil {
		return "", fmt.Errorf("its profile is not known: %w", err)
	}
	memory, err := c.gpu.Memory()
	if err != nil {
		return "", fmt.Errorf("its profile is not known: %w", err)
	}
	return profileOf(a, memory.Total), nil
}

// profileOf builds the name of a profile in NVIDIA's form: compute slices if
// they are not all of the GPU instance's, GPU slices, and memory. Memory comes
// in eighths of the GPU's, whose size is the one in its name: 4864 of 40960 MiB
// are "5gb". Whether a profile has the media extensions ("+me") cannot be told
// from what an instance is made of.
func profileOf(a nvml.MIGAttributes, total uint64) string {
	var b strings.Builder
	if a.ComputeInstanceSlices != a.GPUInstanceSlices {
		b.WriteString(strconv.Itoa(a.ComputeInstanceSlices) + "c.")
	}
	b.WriteString(strconv.Itoa(a.GPUInstanceSlices) + "g.")
	const gib = 1 << 30
	gb := math.Round(float64(a.MemoryMB) / 1024)
	if total > 0 {
		eighths := math.Round(8 * float64(a.MemoryMB) * (1 << 20) / float64(total))
		gb = math.Round(math.Round(float64(total)/gib) * min(max(eighths, 1), 8) / 8)
	}
	b.WriteString(strconv.FormatFloat(gb, 'f', 0, 64) + "gb")
	return b.String()
}
