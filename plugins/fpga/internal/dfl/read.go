package dfl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The codes of the faults of these families.
const (
	codeLost           = "off-the-bus"
	codeFatal          = "fatal-error"
	codeThermal        = "thermal-trip"
	codePortUnreadable = "port-unreadable"
	codePCIUnreadable  = "pci-unreadable"
	codeNoNode         = "node-missing"
)

var lostFault = core.Fault{
	Code: codeLost, Severity: core.Hard,
	Reason: "the card answers with all bits set, as one that has fallen off the bus",
	Remedy: "look at the kernel log (dmesg); reset the card or reboot the node, and check power and seating of the board",
}

// engine is what a scan read of a management engine.
type engine struct {
	dir       string // empty: there is none here
	iface     family.Fact[family.UUID]
	bitstream family.Fact[uint64]
	metadata  family.Fact[uint64]
	faults    []core.Fault
}

// port is what a scan read of a port.
type port struct {
	unit   *unit
	name   string // of its directory and its node
	id     uint64
	afu    family.Fact[family.UUID] // the last that was known
	now    family.Fact[family.UUID] // as this scan read it
	faults []core.Fault
}

func (p *port) dir() string { return p.unit.dir + "/" + p.name }

// read reads a card: its engine once, then each port.
func (f *Family) read(scan *family.Scan, c *card) ([]core.Device, error) {
	if c.err != nil {
		return nil, &core.Fault{
			Code: codePortUnreadable, Severity: core.Soft, Err: c.err,
			Reason: fmt.Sprintf("the card cannot be read: %v", c.err),
			Remedy: "look at the kernel log (dmesg)",
		}
	}
	e := engine{iface: family.Fact[family.UUID]{State: family.None}, bitstream: family.Fact[uint64]{State: family.None}, metadata: family.Fact[uint64]{State: family.None}}
	for _, u := range c.units {
		if u.fme != "" {
			e = f.readEngine(scan.Host, u.dir+"/"+u.fme)
			break
		}
	}
	var ports []port
	var errs []error
	for i := range c.units {
		for _, name := range c.units[i].ports {
			p, err := f.readPort(scan, &c.units[i], name)
			if err == nil {
				ports = append(ports, p)
			}
			errs = append(errs, err)
		}
	}
	devices, err := f.devices(scan, c, &e, ports)
	return devices, errors.Join(append(errs, err)...)
}

func (f *Family) readEngine(host *sysfs.FS, dir string) engine {
	e := engine{
		dir:       dir,
		bitstream: family.ReadUint(host, dir+"/bitstream_id"),
		metadata:  family.ReadUint(host, dir+"/bitstream_metadata"),
	}
	var manager string
	e.iface, manager = f.layout.programmable(host, dir)
	if errors.Is(e.iface.Err, family.ErrAllOnes) || e.bitstream.Value == ^uint64(0) {
		e.faults = append(e.faults, lostFault)
		e.bitstream, e.metadata = family.Fact[uint64]{}, family.Fact[uint64]{}
	}
	switch fatal := family.ReadUint(host, dir+"/errors/catfatal_errors"); {
	case !fatal.Known() || fatal.Value == 0:
	case fatal.Value == ^uint64(0):
		e.faults = append(e.faults, lostFault)
	default:
		e.faults = append(e.faults, core.Fault{
			Code: codeFatal, Severity: core.Hard,
			Reason: "the card reports fatal errors: " + strings.Join(names(fatal.Value, catfatalBits), ", "),
			Remedy: "stop the tasks on the card and reset it, or power-cycle the node; the errors stand in " + dir + "/errors",
		})
	}
	if manager != "" {
		e.faults = append(e.faults, family.ManagerFaults(family.ReadText(host, manager+"/state"))...)
	}
	return e
}

// programmable returns the interface of an engine, and the directory of its FPGA
// manager. All regions of an engine have one interface; their numbers are the
// kernel's, and need not be those of the engine or the ports.
func (l *layout) programmable(host *sysfs.FS, dir string) (iface family.Fact[family.UUID], manager string) {
	if l == opaeLayout {
		if names, err := host.ReadDir(dir + "/fpga_manager"); err == nil {
			for _, name := range below(names, "fpga") {
				manager = dir + "/fpga_manager/" + name
			}
		}
		return family.ReadUUID(host, dir+"/pr/interface_id"), manager
	}
	names, err := host.ReadDir(dir)
	if err != nil {
		return family.Failed[family.UUID](err), ""
	}
	for _, name := range below(names, "dfl-fme-mgr.") {
		at := dir + "/" + name + "/fpga_manager"
		if names, err := host.ReadDir(at); err == nil {
			for _, name := range below(names, "fpga") {
				manager = at + "/" + name
			}
		}
	}
	iface.State = family.None
	for _, name := range below(names, "dfl-fme-region.") {
		at := dir + "/" + name + "/fpga_region"
		names, err := host.ReadDir(at)
		if err != nil {
			iface = family.Failed[family.UUID](err)
			continue
		}
		for _, name := range below(names, "region") {
			if iface = family.ReadUUID(host, at+"/"+name+"/compat_id"); iface.Known() || errors.Is(iface.Err, family.ErrAllOnes) {
				return iface, manager
			}
		}
	}
	return iface, manager
}

// powerStopped is the power state of a port that was stopped by heat, AP6
// (Documentation/ABI/testing/sysfs-platform-dfl-port).
const powerStopped = 6

// readPort reads a port. An error means that the port's number was never known.
func (f *Family) readPort(scan *family.Scan, u *unit, name string) (port, error) {
	p := port{unit: u, name: name}
	id := family.Read(scan.Host, p.dir()+"/id", parsePortNumber)
	unreadable := id.Err
	id = family.Keep(scan.Memory, f.Name()+" "+string(u.address)+" "+name, id)
	if !id.Known() {
		return port{}, &core.Fault{
			Code: codePortUnreadable, Severity: core.Soft, Err: id.Err,
			Reason: fmt.Sprintf("the number of %s cannot be read: %v", name, id.Err),
			Remedy: "look at the kernel log (dmesg)",
		}
	}
	p.id = id.Value
	p.now = family.ReadUUID(scan.Host, p.dir()+"/afu_id")
	switch {
	case errors.Is(p.now.Err, family.ErrAllOnes):
		p.faults = append(p.faults, lostFault)
	case p.now.State == family.Unknown && !f.program.running(deviceID(f, u, &p)):
		unreadable = p.now.Err
	}
	if unreadable != nil {
		p.faults = append(p.faults, core.Fault{
			Code: codePortUnreadable, Severity: core.Soft, Err: unreadable,
			Reason: fmt.Sprintf("the port cannot be read: %v", unreadable),
			Remedy: "a port that is being programmed is busy for some seconds; else look at the kernel log (dmesg)",
		})
	}
	p.afu = family.Keep(scan.Memory, deviceID(f, u, &p)+" afu", p.now)
	if power := family.ReadUint(scan.Host, p.dir()+"/power_state"); power.Known() && power.Value == powerStopped {
		p.faults = append(p.faults, core.Fault{
			Code: codeThermal, Severity: core.Hard,
			Reason: "the FPGA was too hot, and the card has stopped the accelerator function (power state AP6)",
			Remedy: "check the cooling; then reset the card or power-cycle the node",
		})
	}
	p.faults = append(p.faults, nodeFaults(scan.Host, name)...)
	return p, nil
}

// maxPort is more than the number of any port: the field of the register has two
// bits (drivers/fpga/dfl.h, PORT_CAP_PORT_NUM).
const maxPort = 63

// parsePortNumber reads the number of a port on its card.
func parsePortNumber(data []byte) (uint64, error) {
	n, err := sysfs.Uint(data)
	if err == nil && n > maxPort {
		err = fmt.Errorf("%w: no port has the number %d", sysfs.ErrMalformed, n)
	}
	return n, err
}

// nodeFaults returns the fault of an engine or a port without a device node.
func nodeFaults(host *sysfs.FS, name string) []core.Fault {
	if there, err := host.Exists("/dev/" + name); err != nil || there {
		return nil
	}
	return []core.Fault{{
		Code: codeNoNode, Severity: core.Soft,
		Reason: "its device node is missing",
		Remedy: "look whether udev runs and whether the driver has made /dev/" + name,
	}}
}
