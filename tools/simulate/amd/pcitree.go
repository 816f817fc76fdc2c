package amd

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// function is a PCI function in sysfs
// (Documentation/ABI/testing/sysfs-bus-pci).
type function struct {
	address address
	at      string            // its directory
	files   map[string]string // empty text: no such file
	driver  string            // empty: none
}

func (p function) write(t *tree.Tree) {
	for _, name := range sorted(p.files) {
		if text := p.files[name]; text != "" {
			t.File(path.Join(p.at, name), text)
		}
	}
	t.Link(path.Join(p.at, "subsystem"), "/sys/bus/pci")
	t.Link("/sys/bus/pci/devices/"+p.address.String(), p.at)
	hex := func(name string) string { return strings.ToUpper(strings.TrimPrefix(p.files[name], "0x")) }
	uevent := fmt.Sprintf("PCI_CLASS=%s\nPCI_ID=%s:%s\nPCI_SUBSYS_ID=%s:%s\nPCI_SLOT_NAME=%v\n",
		strings.TrimLeft(hex("class"), "0"), hex("vendor"), hex("device"), hex("subsystem_vendor"), hex("subsystem_device"), p.address)
	if p.driver != "" {
		driver := "/sys/bus/pci/drivers/" + p.driver
		t.Link(path.Join(p.at, "driver"), driver)
		t.Link(path.Join(driver, p.address.String()), p.at)
		uevent = "DRIVER=" + p.driver + "\n" + uevent
	}
	t.File(path.Join(p.at, "uevent"), uevent)
}

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
	return path.Join(fmt.Sprintf("/sys/devices/pci%04x:%02x", g.address.domain, g.rootBus()), at, g.address.String())
}

// file names a file in the GPU's directory.
func (g gpu) file(name string) string { return path.Join(g.dir(), name) }

func (g gpu) rootBus() uint32 {
	if above := uint32(len(g.bridges())); g.address.bus >= above {
		return g.address.bus - above
	}
	return 0
}

// bridge is a PCI bridge above the GPU.
type bridge struct {
	address        address
	vendor, device string
}

// bridges are those above the GPU, from the root down.
func (g gpu) bridges() []bridge {
	a := g.address
	a.device, a.function = 0, 0
	bus := func(up uint32) address {
		a.bus = max(g.address.bus, up) - up
		return a
	}
	if !g.is("pci.switch", false) {
		port := bus(1)
		port.device, port.function = 1, 1
		return []bridge{{port, "0x1022", "0x14ab"}}
	}
	port := bus(3)
	port.device, port.function = 1, 1
	return []bridge{{port, "0x1022", "0x14ab"}, {bus(2), "0x1002", switchUpstream}, {bus(1), "0x1002", switchDownstream}}
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
			slot.add(files)
		} else {
			inner.add(files)
		}
		function{address: b.address, at: at, driver: "pcieport", files: files}.write(t)
		at = path.Dir(at)
	}
	gpuFunction(g, numa, cpus).write(t)
	if audio := g.text("pci.audio"); audio != "" {
		a := g.address
		a.function = 1
		function{address: a, at: path.Join(path.Dir(g.dir()), a.String()), driver: "snd_hda_intel", files: map[string]string{
			"vendor": "0x1002", "device": audio, "class": "0x040300", "revision": "0x00", "numa_node": numa, "local_cpulist": cpus,
			"subsystem_vendor": "0x1002", "subsystem_device": audio, "power/runtime_status": "suspended",
		}}.write(t)
	}
	if group := g.text("iommu_group"); group != "" {
		groups := "/sys/kernel/iommu_groups/" + group
		t.File(groups+"/type", "DMA-FQ")
		t.Link(path.Join(groups, "devices", g.address.String()), g.dir())
		t.Link(g.file("iommu_group"), groups)
	}
}

func gpuFunction(g gpu, numa, cpus string) function {
	p := function{address: g.address, at: g.dir(), files: map[string]string{
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
		p.files["power/control"], p.files["power_state"] = "auto", "D3cold"
	}
	switch g.driver() {
	case driverName:
		if g.Loaded() {
			p.driver = driverName
		}
	case "none":
	default:
		p.driver = g.driver()
	}
	own := g.link()
	if g.is("pci.switch", false) {
		own = inner
	}
	if g.text("runtime_status") == "suspended" || g.is("lost", false) {
		own.speed, own.width = "Unknown", "63"
	}
	own.add(p.files)
	for _, kind := range []string{"correctable", "nonfatal", "fatal"} {
		if text := aer(kind, g.text("aer."+kind)); text != "" {
			p.files["aer_dev_"+kind] = text
		}
	}
	return p
}

// link is a PCIe link: what it runs at and what it could.
type link struct{ speed, width, maxSpeed, maxWidth string }

// inner is the link between the switch on a card and the GPU.
var inner = link{"16.0 GT/s PCIe", "16", "16.0 GT/s PCIe", "16"}

// link is the link between the card and its slot.
func (g gpu) link() link {
	return link{
		speed: linkSpeed(g.text("pcie.generation")), width: g.text("pcie.width"),
		maxSpeed: linkSpeed(g.text("pcie.max_generation")), maxWidth: g.text("pcie.max_width"),
	}
}

func (l link) add(files map[string]string) {
	files["current_link_speed"], files["current_link_width"] = l.speed, l.width
	files["max_link_speed"], files["max_link_width"] = l.maxSpeed, l.maxWidth
}

// rates are the signalling rates of the PCIe generations in GT/s.
var rates = map[string]string{"1": "2.5", "2": "5.0", "3": "8.0", "4": "16.0", "5": "32.0", "6": "64.0"}

// linkSpeed words a PCIe generation as the kernel does. What is no generation
// comes as it is.
func linkSpeed(generation string) string {
	if rate := rates[generation]; rate != "" {
		return rate + " GT/s PCIe"
	}
	return generation
}

// aer words a count of PCIe errors (Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats).
// The simulator counts all as one kind.
func aer(kind, count string) string {
	if count == "" {
		return ""
	}
	var l lines
	if kind == "correctable" {
		l.add("RxErr", 0)
		l.add("BadTLP", count)
		l.add("Rollover", 0)
		l.add("TOTAL_ERR_COR", count)
		return l.String()
	}
	l.add("Undefined", 0)
	l.add("DLP", 0)
	l.add("TLP", count)
	l.add("CmpltTO", 0)
	l.add("TOTAL_ERR_"+strings.ToUpper(kind), count)
	return l.String()
}
