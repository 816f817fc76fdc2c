package amd

import (
	"cmp"
	"path"
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// The bridges of the switch that Vega and Navi cards have on them.
const (
	switchUpstream   = "0x1478"
	switchDownstream = "0x1479"
)

// dir is the GPU's directory below /sys/devices: behind a root port, and the
// card's own switch if it has one.
func (g gpu) dir() string {
	at := ""
	for _, b := range g.bridges() {
		at = path.Join(at, b.address.String())
	}
	return path.Join(pcitree.Root(g.address.Domain, g.address.Up(uint32(len(g.bridges()))).Bus), at, g.address.String())
}

// file names a file in the GPU's directory.
func (g gpu) file(name string) string { return path.Join(g.dir(), name) }

// bridge is a PCI bridge above the GPU.
type bridge struct {
	address        pcitree.Address
	vendor, device string
}

// bridges are those above the GPU, from the root down.
func (g gpu) bridges() []bridge {
	if !g.is("pci.switch", false) {
		port := g.address.Up(1)
		port.Device, port.Function = 1, 1
		return []bridge{{port, "0x1022", "0x14ab"}}
	}
	port := g.address.Up(3)
	port.Device, port.Function = 1, 1
	return []bridge{{port, "0x1022", "0x14ab"}, {g.address.Up(2), "0x1002", switchUpstream}, {g.address.Up(1), "0x1002", switchDownstream}}
}

// pciTree is the GPU on its bus, whatever drives it.
func pciTree(t *tree.Tree, g gpu) {
	numa, cpus := cmp.Or(g.text("numa_node"), "-1"), cmp.Or(g.text("cpus"), "0")
	at := path.Dir(g.dir())
	slot := g.link()
	for _, b := range slices.Backward(g.bridges()) {
		files := map[string]string{
			"vendor": b.vendor, "device": b.device, "class": "0x060400", "revision": "0x00", "numa_node": numa, "local_cpulist": cpus,
			"subsystem_vendor": b.vendor, "subsystem_device": b.device,
		}
		// The link of the slot is that of the uppermost part of the card.
		if b.device != switchDownstream {
			slot.Add(files)
		} else {
			inner.Add(files)
		}
		pcitree.Function{Address: b.address, At: at, Driver: "pcieport", Files: files}.Write(t)
		at = path.Dir(at)
	}
	own := gpuFunction(g, numa, cpus)
	own.Write(t)
	own.Group(t, g.text("iommu_group"))
	if audio := g.text("pci.audio"); audio != "" {
		a := g.address
		a.Function = 1
		pcitree.Function{Address: a, At: path.Join(path.Dir(g.dir()), a.String()), Driver: "snd_hda_intel", Files: map[string]string{
			"vendor": "0x1002", "device": audio, "class": "0x040300", "revision": "0x00", "numa_node": numa, "local_cpulist": cpus,
			"subsystem_vendor": "0x1002", "subsystem_device": audio, "power/runtime_status": "suspended",
		}}.Write(t)
	}
}

func gpuFunction(g gpu, numa, cpus string) pcitree.Function {
	p := pcitree.Function{Address: g.address, At: g.dir(), Files: map[string]string{
		"vendor":               cmp.Or(g.text("pci.vendor"), "0x1002"),
		"device":               g.text("pci.device"),
		"class":                g.text("pci.class"),
		"revision":             cmp.Or(g.text("pci.revision"), "0x00"),
		"subsystem_vendor":     cmp.Or(g.text("pci.subsystem_vendor"), "0x1002"),
		"subsystem_device":     cmp.Or(g.text("pci.subsystem_device"), g.text("pci.device")),
		"irq":                  cmp.Or(g.text("irq"), "0"),
		"enable":               "1",
		"numa_node":            numa,
		"local_cpulist":        cpus,
		"sriov_numvfs":         g.text("pci.sriov_numvfs"),
		"sriov_totalvfs":       g.text("pci.sriov_totalvfs"),
		"power/control":        "on",
		"power/runtime_status": g.text("runtime_status"),
		"power_state":          "D0",
	}}
	if g.text("runtime_status") == "suspended" {
		p.Files["power/control"], p.Files["power_state"] = "auto", "D3cold"
	}
	switch g.driver() {
	case driverName:
		if g.Loaded() {
			p.Driver = driverName
		}
	case "none":
	default:
		p.Driver = g.driver()
	}
	own := g.link()
	if g.is("pci.switch", false) {
		own = inner
	}
	if g.text("runtime_status") == "suspended" || g.is("lost", false) {
		own.Speed, own.Width = "Unknown", "63"
	}
	own.Add(p.Files)
	for _, kind := range []string{"correctable", "nonfatal", "fatal"} {
		if text := pcitree.AER(kind, g.text("aer."+kind)); text != "" {
			p.Files["aer_dev_"+kind] = text
		}
	}
	return p
}

// inner is the link between the switch on a card and the GPU.
var inner = pcitree.Link{Speed: "16.0 GT/s PCIe", Width: "16", MaxSpeed: "16.0 GT/s PCIe", MaxWidth: "16"}

// link is the link between the card and its slot.
func (g gpu) link() pcitree.Link {
	return pcitree.Link{
		Speed: pcitree.Speed(g.text("pcie.generation")), Width: g.text("pcie.width"),
		MaxSpeed: pcitree.Speed(g.text("pcie.max_generation")), MaxWidth: g.text("pcie.max_width"),
	}
}
