package dfl

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// deviceID returns the ID of a port: its PCI function, and its number on the card.
func deviceID(f *Family, u *unit, p *port) string {
	return fmt.Sprintf("%s:%s/port%d", f.Name(), u.address, p.id)
}

// devices returns what a card offers: its ports, or itself as a whole.
func (f *Family) devices(scan *family.Scan, c *card, e *engine, ports []port) ([]core.Device, error) {
	if f.cfg.Mode == modeRegion && e.dir != "" {
		d, err := f.region(scan, c, e, ports)
		if err != nil {
			return nil, err
		}
		return []core.Device{d}, nil
	}
	var devices []core.Device
	var errs []error
	for i := range ports {
		p := &ports[i]
		iface := f.keepInterface(scan.Memory, p.unit, e)
		d, err := f.device(scan, p.unit, e, iface)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.ID = deviceID(f, p.unit, p)
		if slices.ContainsFunc(devices, func(other core.Device) bool { return other.ID == d.ID }) {
			errs = append(errs, fmt.Errorf("two ports of %s say that they are port %d", p.unit.address, p.id))
			continue
		}
		target := f.program.target(iface, p.unit)
		afu := p.afu
		if target != nil {
			afu = family.Is(target.afu)
			d.Faults = append(d.Faults, f.program.faults(scan.Host.Root(), d.ID, target.afu, p.now)...)
		}
		d.Faults = append(d.Faults, p.faults...)
		d.Attributes[attrMode.Name] = core.String(modePort)
		d.Attributes[attrAFU.Name] = family.UUIDAttribute(afu)
		d.Group = scan.Memory.Group(groupKey(d, family.IDOf(iface), family.IDOf(afu)))
		d.Ref = &instance{
			family: f, host: scan.Host, id: d.ID, address: p.unit.address, pciDir: p.unit.pciDir,
			fme: e.dir, port: p.dir(), number: p.id, target: target, sensors: newSensors(scan, e.dir),
		}
		devices = append(devices, d)
	}
	return devices, errors.Join(errs...)
}

// keepInterface returns the interface of a function's card, or the last that was
// known. A virtual function keeps it while the engine is out of sight.
func (f *Family) keepInterface(memory *family.Memory, u *unit, e *engine) family.Fact[family.UUID] {
	return family.Keep(memory, f.Name()+" "+string(u.address)+" interface", e.iface)
}

// region returns a whole card as one device. It is as well as the worst of its
// ports.
func (f *Family) region(scan *family.Scan, c *card, e *engine, ports []port) (core.Device, error) {
	u := &c.units[slices.IndexFunc(c.units, func(u unit) bool { return u.fme != "" })]
	iface := f.keepInterface(scan.Memory, u, e)
	d, err := f.device(scan, u, e, iface)
	if err != nil {
		return core.Device{}, err
	}
	d.ID = fmt.Sprintf("%s:%s/fme", f.Name(), c.address)
	d.Faults = append(d.Faults, nodeFaults(scan.Host, u.fme)...)
	for _, p := range ports {
		for _, fault := range p.faults {
			same := func(other core.Fault) bool { return other.Code == fault.Code }
			if !slices.ContainsFunc(d.Faults, same) {
				fault.Reason = fmt.Sprintf("port %d: %s", p.id, fault.Reason)
				d.Faults = append(d.Faults, fault)
			}
		}
	}
	d.Attributes[attrMode.Name] = core.String(modeRegion)
	d.Group = scan.Memory.Group(groupKey(d, family.IDOf(iface)))
	d.Ref = &instance{
		family: f, host: scan.Host, id: d.ID, address: c.address, pciDir: u.pciDir,
		fme: e.dir, units: c.units, sensors: newSensors(scan, e.dir),
	}
	return d, nil
}

// device returns what a port and a whole card have in common. Its Group has the
// vendor; the model is in the attributes.
func (f *Family) device(scan *family.Scan, u *unit, e *engine, iface family.Fact[family.UUID]) (core.Device, error) {
	id, err := scan.PCI(u.address)
	known := keepIdentity(scan.Memory, f.Name()+" "+string(u.address), id, err)
	unreadable := core.Fault{
		Code: codePCIUnreadable, Severity: core.Soft, Err: err,
		Reason: fmt.Sprintf("the PCI function cannot be read: %v", err),
		Remedy: "look at the kernel log (dmesg)",
	}
	if !known.Known() {
		return core.Device{}, &unreadable
	}
	d := core.Device{
		PCI:    u.address,
		Group:  core.Group{Vendor: known.Value.vendor},
		Faults: slices.Clone(e.faults),
		Attributes: map[string]core.Value{
			family.Name.Name:   core.String(f.Name()),
			family.Model.Name:  core.String(known.Value.model),
			attrInterface.Name: family.UUIDAttribute(iface),
			attrBitstream.Name: family.Attribute(e.bitstream, family.Hex),
			attrBBS.Name:       family.Attribute(e.bitstream, bbsVersion),
			attrDate.Name:      family.Attribute(e.metadata, bitstreamDate),
		},
	}
	if err != nil {
		d.Faults = append(d.Faults, unreadable)
	}
	scan.PCIAttributes(d.Attributes, u.address)
	return d, nil
}

func groupKey(d core.Device, ids ...family.ID) family.GroupKey {
	return family.GroupKey{Vendor: d.Group.Vendor, Model: d.Attributes[family.Model.Name].Text(), IDs: ids}
}
