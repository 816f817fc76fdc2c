package xrt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// fpga is one FPGA with XRT: a user function, and the management function of its
// card where the host has it.
type fpga struct {
	config Config
	scan   *family.Scan
	user   function
	mgmt   *function // or nil
}

// look is what is read of a user function before anything else.
type look struct {
	state state
	// parts are the directories of its sub-devices by kind.
	parts map[string]string
}

func (c *fpga) look() (look, error) {
	l := look{state: readState(c.scan.Host, c.user.dir)}
	names, err := c.scan.Host.ReadDir(c.user.dir)
	l.parts = subdevices(names)
	return l, err
}

// part returns the path of a sub-device's directory, or "".
func (c *fpga) part(l look, kind string) string {
	if l.parts[kind] == "" {
		return ""
	}
	return c.user.dir + "/" + l.parts[kind]
}

// read reads the FPGA as a device of its own.
func (c *fpga) read(context.Context) ([]core.Device, error) {
	l, err := c.look()
	switch {
	case sysfs.IsAbsent(err):
		return nil, nil // it went away while we looked
	case err != nil:
		return nil, err
	default:
		return []core.Device{c.device(l)}, nil
	}
}

// device reads the rest of the FPGA. What its controllers have to tell is read
// once, while the card is ready.
func (c *fpga) device(l look) core.Device {
	host, memory, rom := c.scan.Host, c.scan.Memory, c.part(l, "rom")
	s := readShell(host, c.user.dir, rom)
	vbnv := keep(memory, c.user.address, "shell", s.vbnv)
	board := readBoard(c.scan, c.user)
	d := core.Device{
		ID:         name + ":" + string(c.user.address),
		Group:      s.group(memory, c.user.address, model(c.scan, c.user, board)),
		PCI:        c.user.address,
		Attributes: c.attributes(l, s, vbnv, board),
		Faults:     l.state.faults(),
		Ref:        &instance{config: c.config, fpgas: []*fpga{c}},
	}
	if !l.state.reset() {
		d.Faults = append(d.Faults, shellFaults(vbnv, rom)...)
		d.Faults = append(d.Faults, family.RenderFaults(host, c.user.dir, remedyWait)...)
	}
	if s.lost() {
		d.Faults = append(d.Faults, faultLost)
	}
	if c.mgmt != nil {
		d.Faults = append(d.Faults, mgmtFaults(host, *c.mgmt)...)
	}
	d.Faults = each(d.Faults)
	return d
}

// each returns the faults with each code once.
func each(faults []core.Fault) []core.Fault {
	var kept []core.Fault
	for _, f := range faults {
		if !slices.ContainsFunc(kept, func(k core.Fault) bool { return k.Code == f.Code }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// factory is a card of which XRT has the management function alone.
type factory struct {
	scan *family.Scan
	mgmt function
	// idle is another function of the card that no driver has, or empty.
	idle core.PCIAddress
}

// read lists the card, which nobody can use, so that it is not missed.
func (c *factory) read(context.Context) ([]core.Device, error) {
	host, dir := c.scan.Host, c.mgmt.dir
	names, err := host.ReadDir(dir)
	if sysfs.IsAbsent(err) {
		return nil, nil // it went away while we looked
	}
	if err != nil {
		return nil, err
	}
	rom := ""
	if part := subdevices(names)["rom"]; part != "" {
		rom = dir + "/" + part
	}
	s := readShell(host, dir, rom)
	vbnv := keep(c.scan.Memory, c.mgmt.address, "shell", s.vbnv)
	board := readBoard(c.scan, c.mgmt)
	d := core.Device{
		ID:         name + ":" + string(c.mgmt.address),
		Group:      s.group(c.scan.Memory, c.mgmt.address, model(c.scan, c.mgmt, board)),
		PCI:        c.mgmt.address,
		Attributes: map[string]core.Value{family.Name.Name: core.String(name)},
		Faults:     mgmtFaults(host, c.mgmt),
		Ref:        &instance{},
	}
	c.scan.PCIAttributes(d.Attributes, c.mgmt.address)
	put(d.Attributes, family.Board, family.Attribute(board, core.String))
	put(d.Attributes, attrShell, family.Attribute(vbnv, core.String))
	switch {
	case slices.ContainsFunc(d.Faults, func(f core.Fault) bool { return f.Code == codeFactory }):
	case vbnv.Known() && isFactory(vbnv.Value):
		d.Faults = append(d.Faults, factoryFault("its shell is "+vbnv.Value))
	case c.idle != "":
		d.Faults = append(d.Faults, core.Fault{
			Code: codeNoDriver, Severity: core.Hard,
			Reason: fmt.Sprintf("no driver has the card's user function %s", c.idle),
			Remedy: "load the kernel module xocl",
		})
	default:
		d.Faults = append(d.Faults, factoryFault("it has a management function and no user function"))
	}
	return []core.Device{d}, nil
}

// keyU30 is the key of all U30 together, where a device is a whole card.
const keyU30 = "u30"

// deviceU30 is the number of a U30's user functions, of which a card has two.
const (
	deviceU30  = 0x513d
	fpgasOfU30 = 2
)

func (c *fpga) isU30() bool {
	id, err := c.scan.PCI(c.user.address)
	return err == nil && id.Vendor == vendors[0] && id.Device == deviceU30
}

// cards are the FPGAs of U30 cards that are offered card by card. Which two make
// a card is told by its serial number alone, which both know.
type cards struct{ fpgas []*fpga }

func (c cards) read(context.Context) ([]core.Device, error) {
	var devices []core.Device
	var errs []error
	places := map[string]int{} // by serial number
	for _, one := range c.fpgas {
		l, err := one.look()
		if sysfs.IsAbsent(err) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d, serial := one.device(l), one.serial(l)
		if place, ok := places[serial.Value]; ok && serial.Known() {
			devices[place] = join(devices[place], d)
			continue
		}
		if serial.Known() {
			places[serial.Value] = len(devices)
		}
		devices = append(devices, d)
	}
	for i, d := range devices {
		if len(d.Ref.(*instance).fpgas) < fpgasOfU30 {
			devices[i].Faults = append(d.Faults, core.Fault{
				Code: codeHalf, Severity: core.Soft,
				Reason: "one of the card's two FPGAs is missing, or has not told its serial number yet, by which the two find each other",
				Remedy: remedyWait,
			})
		}
	}
	return devices, errors.Join(errs...)
}

// join makes one device of two FPGAs of a card. The FPGAs come by address, so
// that the first has the lower one.
func join(first, second core.Device) core.Device {
	ref := first.Ref.(*instance)
	first.Ref = &instance{config: ref.config, fpgas: slices.Concat(ref.fpgas, second.Ref.(*instance).fpgas)}
	for _, f := range second.Faults {
		f.Reason = fmt.Sprintf("FPGA %s: %s", second.PCI, f.Reason)
		first.Faults = append(first.Faults, f)
	}
	first.Faults = each(first.Faults)
	return first
}
