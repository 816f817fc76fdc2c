// Package pcitree puts the PCI functions of simulated machines into their trees:
// what the kernel knows of a function, whatever drives it.
package pcitree

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// Devices is the directory with a link for each function.
const Devices = "/sys/bus/pci/devices"

// Address is a PCI address in numbers.
type Address struct {
	Domain, Bus, Device, Function uint32
}

// Parse reads an address: "0000:3b:00.0".
func Parse(text string) (Address, error) {
	var a Address
	canonical, err := pci.ParseAddress(text)
	if err != nil {
		return a, err
	}
	_, err = fmt.Sscanf(string(canonical), "%x:%x:%x.%x", &a.Domain, &a.Bus, &a.Device, &a.Function)
	return a, err
}

// String gives the address as sysfs has it.
func (a Address) String() string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", a.Domain, a.Bus, a.Device, a.Function)
}

// Up is the address of what is above the function by so many bridges: device and
// function 0 of that bus.
func (a Address) Up(bridges uint32) Address {
	return Address{Domain: a.Domain, Bus: max(a.Bus, bridges) - bridges}
}

// Root is the directory of the host bridge with this bus: "/sys/devices/pci0000:3a".
func Root(domain, bus uint32) string { return fmt.Sprintf("/sys/devices/pci%04x:%02x", domain, bus) }

// Function is a PCI function in sysfs
// (Documentation/ABI/testing/sysfs-bus-pci).
type Function struct {
	Address Address
	At      string            // its directory
	Files   map[string]string // empty text: no such file
	Driver  string            // empty: none
}

// Write puts the function into a tree.
func (f Function) Write(t *tree.Tree) {
	for _, name := range slices.Sorted(maps.Keys(f.Files)) {
		if text := f.Files[name]; text != "" {
			t.File(path.Join(f.At, name), text)
		}
	}
	t.Link(path.Join(f.At, "subsystem"), "/sys/bus/pci")
	t.Link(path.Join(Devices, f.Address.String()), f.At)
	hex := func(name string) string { return strings.ToUpper(strings.TrimPrefix(f.Files[name], "0x")) }
	uevent := fmt.Sprintf("PCI_CLASS=%s\nPCI_ID=%s:%s\nPCI_SUBSYS_ID=%s:%s\nPCI_SLOT_NAME=%v\n",
		strings.TrimLeft(hex("class"), "0"), hex("vendor"), hex("device"), hex("subsystem_vendor"), hex("subsystem_device"), f.Address)
	if f.Driver != "" {
		driver := "/sys/bus/pci/drivers/" + f.Driver
		t.Link(path.Join(f.At, "driver"), driver)
		t.Link(path.Join(driver, f.Address.String()), f.At)
		uevent = "DRIVER=" + f.Driver + "\n" + uevent
	}
	t.File(path.Join(f.At, "uevent"), uevent)
}

// Group puts the function into an IOMMU group; empty: there is none.
func (f Function) Group(t *tree.Tree, group string) {
	if group == "" {
		return
	}
	groups := "/sys/kernel/iommu_groups/" + group
	t.File(groups+"/type", "DMA-FQ")
	t.Link(path.Join(groups, "devices", f.Address.String()), f.At)
	t.Link(path.Join(f.At, "iommu_group"), groups)
}

// Link is a PCIe link: what it runs at and what it could.
type Link struct{ Speed, Width, MaxSpeed, MaxWidth string }

// Add adds the link to the files of a function.
func (l Link) Add(files map[string]string) {
	files["current_link_speed"], files["current_link_width"] = l.Speed, l.Width
	files["max_link_speed"], files["max_link_width"] = l.MaxSpeed, l.MaxWidth
}

// rates are the signalling rates of the PCIe generations in GT/s.
var rates = map[string]string{"1": "2.5", "2": "5.0", "3": "8.0", "4": "16.0", "5": "32.0", "6": "64.0"}

// Rate is the signalling rate of a PCIe generation in GT/s: "16.0" of "4". It is
// empty for what is no generation.
func Rate(generation string) string { return rates[generation] }

// Speed words a PCIe generation as the kernel does. What is no generation comes as
// it is.
func Speed(generation string) string {
	if rate := Rate(generation); rate != "" {
		return rate + " GT/s PCIe"
	}
	return generation
}

// AER words a count of PCIe errors of the kind correctable, nonfatal or fatal
// (Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats). The simulators count
// all as one sort.
func AER(kind, count string) string {
	sorts := []string{"Undefined 0", "DLP 0", "TLP " + count, "CmpltTO 0", "TOTAL_ERR_" + strings.ToUpper(kind) + " " + count}
	switch {
	case count == "":
		return ""
	case kind == "correctable":
		sorts = []string{"RxErr 0", "BadTLP " + count, "Rollover 0", "TOTAL_ERR_COR " + count}
	}
	return strings.Join(sorts, "\n") + "\n"
}
