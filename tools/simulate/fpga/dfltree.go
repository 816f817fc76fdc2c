package fpga

import (
	"cmp"
	"fmt"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

func (p port) onVF() bool { return p.vf != pcitree.Address{} }

// regions is how many regions of a DFL card are programmed one by one.
func (c card) regions() int { return max(1, number(c.text("regions"), 1)) }

// portDevices are the ports of a card as devices of a family. A node has the number
// of its port behind a path.
func (c card) portDevices(family, node string) map[string][]string {
	all := map[string][]string{}
	for _, p := range c.ports {
		a := c.address
		if p.onVF() {
			a = p.vf
		}
		all[fmt.Sprintf("%s:%v/port%s", family, a, p.id)] = []string{fmt.Sprint(node, p.node)}
	}
	return all
}

// dflTree is a card with the kernel's driver: a base region with a management
// engine (FME) and ports (drivers/fpga/dfl*.c, Documentation/ABI/testing/
// sysfs-platform-dfl-{fme,port}).
func dflTree(f machine.Files, c card) {
	vendor := cmp.Or(c.text("pci.vendor"), "0x8086")
	c.function(f, c.address, vendor, c.text("pci.device"), c.driver()).Group(f.Tree, c.text("iommu_group"))
	vfs := 0
	for _, p := range c.ports {
		if p.onVF() {
			c.function(f, p.vf, vendor, cmp.Or(c.text("vf.device"), c.text("pci.device")), c.driver())
			f.Tree.Link(dir(p.vf)+"/physfn", dir(c.address))
			f.Tree.Link(fmt.Sprintf("%s/virtfn%d", dir(c.address), vfs), dir(p.vf))
			vfs++
		}
	}
	f.Tree.File(dir(c.address)+"/sriov_numvfs", fmt.Sprint(vfs))
	if !c.bound() {
		return
	}
	base := baseRegion(f, dir(c.address), c.counts.region)
	name := fmt.Sprintf("dfl-fme.%d", c.counts.base)
	engine := base + "/" + name
	device(f, engine, name, 240, c.counts.base, true)
	engineTree(f, c, engine)
	regionsTree(f, c, engine)
	boardTree(f, c, engine)
	for _, p := range c.ports {
		at := base
		if p.onVF() {
			at = baseRegion(f, dir(p.vf), p.region)
		}
		portTree(f, c, p, at, "dfl-port.", 239)
	}
}

// baseRegion is the region of a function. Its own compat_id is there and cannot be
// read.
func baseRegion(f machine.Files, function string, n int) string {
	name := fmt.Sprintf("region%d", n)
	at := function + "/fpga_region/" + name
	link(f.Tree, "fpga_region", name, at, function)
	f.Tree.Unreadable(at + "/compat_id")
	return at
}

// device is what the directory and /dev have of a device with a node.
func device(f machine.Files, at, name string, major, minor int, node bool) {
	f.Tree.File(at+"/dev", fmt.Sprintf("%d:%d", major, minor))
	f.Tree.File(at+"/uevent", fmt.Sprintf("MAJOR=%d\nMINOR=%d\nDEVNAME=%s\n", major, minor, name))
	if node {
		f.Tree.Node("/dev/" + name)
	}
}

// engineTree is what the engine tells of itself with both drivers.
func engineTree(f machine.Files, c card, at string) {
	f.Put(at+"/bitstream_id", c.register("bitstream_id"))
	f.Put(at+"/bitstream_metadata", c.register("bitstream_metadata"))
	f.Put(at+"/ports_num", fmt.Sprint(len(c.ports)))
	f.Put(at+"/socket_id", "0")
	for _, name := range []string{"catfatal", "nonfatal", "pcie0", "pcie1"} {
		f.Put(at+"/errors/"+name+"_errors", c.register("errors."+name))
	}
}

// regionsTree is what programs the regions below an engine: the manager, bridges,
// and regions, which all have one interface.
func regionsTree(f machine.Files, c card, engine string) {
	for file, key := range map[string]string{"fme_errors": "errors.fme", "first_error": "errors.fme"} {
		f.Put(engine+"/errors/"+file, c.register(key))
	}
	fpgaManager(f, c, fmt.Sprintf("%s/dfl-fme-mgr.%d", engine, c.counts.manager), "DFL FME FPGA Manager")
	for i := range c.regions() {
		bridge := fmt.Sprintf("br%d", c.counts.bridge+i)
		at := fmt.Sprintf("%s/dfl-fme-bridge.%d.auto", engine, c.counts.bridge+i)
		link(f.Tree, "fpga_bridge", bridge, at+"/fpga_bridge/"+bridge, at)
		f.Put(at+"/fpga_bridge/"+bridge+"/name", "DFL FPGA FME Bridge")
		f.Put(at+"/fpga_bridge/"+bridge+"/state", "enabled")

		region := fmt.Sprintf("region%d", c.counts.region+1+i)
		at = fmt.Sprintf("%s/dfl-fme-region.%d", engine, c.counts.region+i)
		link(f.Tree, "fpga_region", region, at+"/fpga_region/"+region, at)
		f.Put(at+"/fpga_region/"+region+"/compat_id", c.uuid(c.text("uuid")))
	}
	if text := c.Scaled(c.n, "engine.temperature", 1000); text != "" {
		addHwmon(f, engine, c.counts.hwmon, "dfl_fme_thermal").put("temp1_input", text)
	}
	if text := c.Scaled(c.n, "engine.power", 1e6); text != "" {
		addHwmon(f, engine, c.counts.hwmon+1, "dfl_fme_power").put("power1_input", text)
	}
}

// boardTree is the controller of the board (BMC) with its sensors
// (drivers/hwmon/intel-m10-bmc-hwmon.c), and a feature of the engine that is no
// task's: a network port.
func boardTree(f machine.Files, c card, engine string) {
	if c.is("uio", false) {
		at := engine + "/dfl_dev.6"
		name := fmt.Sprintf("uio%d", c.counts.uio)
		f.Put(at+"/type", "0x0")
		f.Put(at+"/feature_id", "0x15")
		link(f.Tree, "uio", name, at+"/uio/"+name, at)
		device(f, at+"/uio/"+name, name, 241, c.counts.uio, true)
	}
	bmc := c.text("bmc")
	if bmc == "" {
		return
	}
	at := engine + "/dfl_dev.3"
	f.Put(at+"/bmc_version", c.text("bmc.version"))
	f.Put(at+"/bmcfw_version", c.text("bmc.firmware"))
	h := addHwmon(f, fmt.Sprintf("%s/%sbmc-hwmon.%d.auto", at, bmc, c.counts.hwmon+2), c.counts.hwmon+2, bmc+"bmc_hwmon")
	c.sensors(func(kind, channel, label string) {
		scale := scales[kind]
		if kind == "power" && (bmc == "n6000" || bmc == "c6100") {
			scale = 1000 // the driver's multiplier is wrong
		}
		h.put(channel+"_input", c.Scaled(c.n, "sensor."+channel, scale))
		h.put(channel+"_label", label)
	})
}

// portTree is a port with either driver, in a base region.
func portTree(f machine.Files, c card, p port, base, prefix string, major int) {
	name := fmt.Sprint(prefix, p.node)
	at := base + "/" + name
	device(f, at, name, major, p.node, c.nodes())
	f.Put(at+"/id", p.id)
	afu := c.uuid(c.ofPort(p, "afu_uuid"))
	if afu != "" && c.is("port.busy", false) {
		afu = machine.Unreadable
	}
	f.Put(at+"/afu_id", afu)
	if state := c.ofPort(p, "power_state"); state != "" {
		f.Put(at+"/power_state", "0x"+c.fromCard(state, "f"))
	}
	f.Put(at+"/ap1_event", "0")
	f.Put(at+"/ap2_event", "0")
	f.Put(at+"/ltr", "1")
	errors := cmp.Or(c.ofPort(p, "errors.port"), "0x0")
	f.Put(at+"/errors/errors", c.fromCard(errors, register64))
	f.Put(at+"/errors/first_error", c.fromCard(errors, register64))
}

// opaeTree is a card with the older driver, which has an FPGA device in place of a
// base region.
func opaeTree(f machine.Files, c card) {
	c.function(f, c.address, cmp.Or(c.text("pci.vendor"), "0x8086"), c.text("pci.device"), c.driver()).Group(f.Tree, c.text("iommu_group"))
	if !c.bound() {
		return
	}
	name := fmt.Sprintf("intel-fpga-dev.%d", c.counts.base)
	base := dir(c.address) + "/fpga/" + name
	link(f.Tree, "fpga", name, base, dir(c.address))
	name = fmt.Sprintf("intel-fpga-fme.%d", c.counts.base)
	engine := base + "/" + name
	device(f, engine, name, 245, c.counts.base, true)
	engineTree(f, c, engine)
	for _, file := range []string{"errors", "first_error"} {
		f.Put(engine+"/errors/fme-errors/"+file, c.register("errors.fme"))
	}
	f.Put(engine+"/pr/interface_id", c.uuid(c.text("uuid")))
	f.Put(engine+"/thermal_mgmt/temperature", c.text("engine.temperature"))
	if watts := c.Number(c.n, "engine.power", -1); watts >= 0 {
		f.Put(engine+"/power_mgmt/consumed", fmt.Sprintf("%#x", watts))
	}
	fpgaManager(f, c, engine, "Intel FPGA FME PR Manager")
	for _, p := range c.ports {
		portTree(f, c, p, base, "intel-fpga-port.", 244)
	}
}
