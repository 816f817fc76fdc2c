package fpga

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

// xrtTree is a card with XRT: a user function, and a management function that a
// virtual machine does not see (Xilinx/XRT, src/runtime_src/doc/toc/sysfs.rst).
func xrtTree(f machine.Files, c card) {
	vendor := cmp.Or(c.text("pci.vendor"), "0x10ee")
	if c.mgmt != (pcitree.Address{}) {
		c.function(f, c.mgmt, vendor, c.text("mgmt.device"), "xclmgmt")
		if c.Loaded() {
			mgmtTree(f, c)
		}
	}
	if !c.is("user", true) {
		return
	}
	c.function(f, c.address, vendor, c.text("pci.device"), c.driver()).Group(f.Tree, c.text("iommu_group"))
	if !c.bound() {
		return
	}
	at := dir(c.address)
	f.Tree.File(at+"/user_pf", "") // its existence is what counts
	drmTree(f, c, at)
	if !c.is("reset", false) {
		userTree(f, c, at)
	}
}

// shell is the name of the shell by vendor, board, name and version.
func (c card) shell() string {
	if c.golden() {
		return "xilinx_" + c.text("board") + "_GOLDEN_5"
	}
	return c.text("shell")
}

// golden reports whether the card runs the image that it left the factory with,
// which may have no user function.
func (c card) golden() bool { return c.is("factory", false) || !c.is("user", true) }

// optional is a file that is there also for cards without the fact, and then
// cannot be read.
func optional(text string) string { return cmp.Or(text, machine.Unreadable) }

// rom is what the sub-device of the shell's data tells.
func rom(f machine.Files, c card, at string) {
	f.Put(at+"/VBNV", c.shell())
	f.Put(at+"/timestamp", cmp.Or(c.fromCard(c.text("timestamp"), strconv.FormatUint(1<<64-1, 10)), "0"))
	f.Put(at+"/uuid", cmp.Or(c.uuid(c.text("uuid")), machine.Empty))
	f.Put(at+"/FPGA", cmp.Or(c.text("part"), machine.Empty))
	f.Put(at+"/ddr_bank_count_max", cmp.Or(c.text("memory.banks"), "0"))
	f.Put(at+"/ddr_bank_size", cmp.Or(c.text("memory.bank_size"), "0"))
}

func userTree(f machine.Files, c card, at string) {
	for name, text := range map[string]string{
		"ready": c.text("ready"), "dev_offline": c.text("dev_offline"), "device_bad_state": "0",
		"board_name": c.text("board"), "versal": strconv.Itoa(btoi(c.is("versal", false))),
		"logic_uuids": optional(c.uuid(c.text("uuid"))), "interface_uuids": optional(c.uuid(c.text("interface_uuid"))),
		"xclbinuuid": cmp.Or(c.text("xclbin"), machine.Empty),
		"link_speed": c.text("pcie.generation"), "link_width": c.text("pcie.width"),
		"link_speed_max": c.text("pcie.max_generation"), "link_width_max": c.text("pcie.max_width"),
		"mailbox_connect_state": "0x17", "mig_calibration": "0x1", "p2p_enable": "0", "nodma": "0", "host_mem_size": "0", "userbar": "0",
	} {
		f.Put(at+"/"+name, text)
	}
	sub := func(kind string) string { return fmt.Sprintf("%s/%s.u.%d", at, kind, c.counts.card) }
	rom(f, c, sub("rom"))
	f.Put(sub("icap")+"/idcode", "0x14b57093")
	if dma := c.text("dma"); dma != "" {
		f.Put(sub("dma."+dma)+"/channel_stat_raw", "0 0")
	}
	if c.text("dma") == "qdma" {
		f.Tree.Node(fmt.Sprintf("/dev/xfpga/dma.qdma.u%d.0", instance(c.address)))
	}
	chip, controller, version := c.shell()+"_user", sub("xmc"), "bmc_ver"
	if c.is("versal", false) {
		chip, controller, version = c.shell()+"_hwmon_sdm_user", sub("hwmon_sdm"), "active_msp_ver"
	}
	f.Put(controller+"/serial_num", c.text("serial"))
	f.Put(controller+"/"+version, c.text("controller.version"))
	h := addHwmon(f, at, c.counts.hwmon, chip)
	c.sensors(func(kind, channel, label string) {
		h.put(channel+"_label", label)
		if c.is("versal", false) {
			versalSensor(h, c, kind, channel)
			return
		}
		h.put(channel+"_input", c.Scaled(c.n, "sensor."+channel, scales[kind]))
	})
}

// versalSensor writes a sensor of a Versal card, which tells its unit and the power
// of ten it counts in (xocl/subdev/hwmon_sdm.c).
func versalSensor(h hwmon, c card, kind, channel string) {
	scale, exponent := 1000.0, "-3"
	if kind == "temp" || kind == "fan" {
		scale, exponent = 1, "0"
	}
	h.put(channel+"_input", c.Scaled(c.n, "sensor."+channel, scale))
	h.put(channel+"_status", "Sensor Present and Valid")
	h.put(channel+"_unitm", exponent)
	h.put(channel+"_units", map[string]string{"temp": "Celsius", "power": "Watts", "in": "Volts", "curr": "Amps"}[kind])
}

// mgmtTree is what the management function tells. Nothing in it is for tasks.
func mgmtTree(f machine.Files, c card) {
	at := dir(c.mgmt)
	f.Tree.File(at+"/mgmt_pf", "")
	for name, text := range map[string]string{
		"ready": "1", "dev_offline": c.text("dev_offline"), "mfg": strconv.Itoa(btoi(c.golden())), "recovery": "0", "board_name": c.text("board"),
		"error": machine.Empty, "mgmt_reset": machine.Unreadable, "mig_calibration": "1", "flash_type": "spi", "slot": "0",
		"instance": strconv.Itoa(int(instance(c.mgmt))),
	} {
		f.Put(at+"/"+name, text)
	}
	sub := func(kind string) string { return fmt.Sprintf("%s/%s.m.%d", at, kind, c.counts.card) }
	rom(f, c, sub("rom"))
	f.Put(sub("firewall")+"/detected_level", c.text("firewall.level"))
	f.Put(sub("firewall")+"/detected_status", "0x0")
	fpgaManager(f, c, sub("fmgr"), "Xilinx PCIe FPGA Manager")
	f.Tree.Node(fmt.Sprintf("/dev/xclmgmt%d", instance(c.mgmt)))
	for _, kind := range []string{"icap", "xvc_pri", "mailbox"} {
		f.Tree.Node(fmt.Sprintf("/dev/xfpga/%s.m%d.0", kind, instance(c.mgmt)))
	}
}

// instance is a function's address as one number (xocl/xocl_subdev.c, XOCL_DEV_ID).
func instance(a pcitree.Address) uint32 { return a.Domain<<16 | a.Bus<<8 | a.Device<<3 | a.Function }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
