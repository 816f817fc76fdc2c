package fpga

import (
	"cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

// dir is the directory of one of the card's functions below /sys/devices, behind a
// root port.
func dir(a pcitree.Address) string {
	up := a.Up(1)
	return pcitree.Root(a.Domain, up.Bus) + "/" + rootPort(a).String() + "/" + a.String()
}

// rootPort is the port that a function's slot hangs on.
func rootPort(a pcitree.Address) pcitree.Address {
	port := a.Up(1)
	port.Device = 1
	return port
}

// function is one of the card's functions with a vendor and device, and the card's
// other numbers.
func (c card) function(f machine.Files, a pcitree.Address, vendor, device, driver string) pcitree.Function {
	link := pcitree.Link{
		Speed: pcitree.Speed(c.text("pcie.generation")), Width: c.text("pcie.width"),
		MaxSpeed: pcitree.Speed(c.text("pcie.max_generation")), MaxWidth: c.text("pcie.max_width"),
	}
	slot := map[string]string{
		"class": "0x060400", "vendor": "0x8086", "device": "0x347a", "subsystem_vendor": "0x8086", "subsystem_device": "0x0000", "revision": "0x00",
		"numa_node": cmp.Or(c.text("numa_node"), "-1"), "local_cpulist": cmp.Or(c.text("cpus"), "0"),
	}
	link.Add(slot)
	port := rootPort(a)
	pcitree.Function{Address: port, At: pcitree.Root(a.Domain, port.Bus) + "/" + port.String(), Driver: "pcieport", Files: slot}.Write(f.Tree)

	if c.is("lost", false) {
		link.Speed, link.Width = "Unknown", "63"
	}
	p := pcitree.Function{Address: a, At: dir(a), Files: map[string]string{
		"vendor": vendor, "device": device,
		"class":            cmp.Or(c.text("pci.class"), "0x120000"),
		"revision":         cmp.Or(c.text("pci.revision"), "0x00"),
		"subsystem_vendor": cmp.Or(c.text("pci.subsystem_vendor"), vendor), "subsystem_device": cmp.Or(c.text("pci.subsystem_device"), "0x0000"),
		"numa_node": slot["numa_node"], "local_cpulist": slot["local_cpulist"], "enable": "1",
	}}
	link.Add(p.Files)
	for _, kind := range []string{"correctable", "nonfatal", "fatal"} {
		p.Files["aer_dev_"+kind] = pcitree.AER(kind, c.text("aer."+kind))
	}
	if c.Loaded() && driver != "none" {
		p.Driver = driver
	}
	p.Write(f.Tree)
	return p
}
