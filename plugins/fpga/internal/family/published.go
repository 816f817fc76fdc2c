package family

import (
	"fmt"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// Attributes and Stats are those that devices of more than one family have.
var (
	Attributes = []*describe.Attribute{Name, Model, Board, Compatible, MemorySize, PCIID, PCISubsystem, PCIVendor, PCIDevice, NUMANode}
	Stats      = []*describe.Stat{Temperature, Power, PCIeLink, Image, Serial, Sensor}
)

// The attributes that devices of more than one family have.
var (
	Name         = &describe.Attribute{Name: "family", Kind: core.KindString, On: "all", Description: "Driver family: `dfl`, `opae`, `xrt`, `ami`, `aws`, `zocl`, `vfio` or `mgr`."}
	Model        = &describe.Attribute{Name: "model", Kind: core.KindString, On: "dfl, opae, ami, aws, vfio", Description: "Model of the board, or kind of the slot."}
	Board        = &describe.Attribute{Name: "board", Kind: core.KindString, On: "xrt, zocl, mgr", Description: "Name of the board, such as `u250`; of an SoC, as the device tree has it."}
	Compatible   = &describe.Attribute{Name: "compatible", Kind: core.KindString, On: "zocl, mgr", Description: "What the board of an SoC is compatible with, as the device tree has it."}
	PCIID        = &describe.Attribute{Name: "pci_id", Kind: core.KindString, On: "on PCI", Description: "Vendor and device of the PCI function, as lspci writes them: `8086:bcce`."}
	PCISubsystem = &describe.Attribute{Name: "pci_subsystem", Kind: core.KindString, On: "on PCI", Description: "Vendor and device of the board: `8086:1771`."}
	PCIVendor    = &describe.Attribute{Name: "pci_vendor", Kind: core.KindString, On: "on PCI", Description: "Vendor of the PCI function: `0x8086`."}
	PCIDevice    = &describe.Attribute{Name: "pci_device", Kind: core.KindString, On: "on PCI", Description: "Device of the PCI function: `0xbcce`."}
	NUMANode     = &describe.Attribute{Name: "numa_node", Kind: core.KindString, On: "on PCI", Description: "NUMA node that the card is near to, as `node0`. Only if all devices of the group are near the same one; a job's `numa` block works in any case."}
	MemorySize   = &describe.Attribute{Name: "memory", Kind: core.KindInt, Unit: core.MiB, On: "xrt, ami", Description: "Size of the card's memory."}
)

// The statistics that devices of more than one family have. The first that a
// device has of temperature and power is its summary.
var (
	Temperature = &describe.Stat{Name: "temperature", Unit: "C", On: "all", Description: "Temperature of the FPGA"}
	Power       = &describe.Stat{Name: "power", Unit: "W", On: "all", Description: "Power that the board draws"}
	PCIeLink    = &describe.Stat{Name: "pcie_link", On: "on PCI", Description: "Generation and lanes of the PCIe link as it runs now"}
	Image       = &describe.Stat{Name: "xclbin", On: "xrt, zocl", Description: "UUIDs of the images that are loaded into the shell, or none"}
	Sensor      = &describe.Stat{Name: "sensor_…", Unit: "C, W, V, A, rpm", On: "dfl, opae, ami", Description: "Each sensor of the board's controller: by its label, `sensor_fpga_core_voltage`, or where drivers tell none, by its number, `sensor_in0`"}
	Serial      = &describe.Stat{Name: "serial", On: "xrt, ami", Description: "Serial number of the board"}
)

// Measured returns the readings that have a value.
func Measured(readings ...core.Reading) []core.Reading {
	return slices.DeleteFunc(readings, func(r core.Reading) bool { return !r.Value.Known() })
}

// PCIAttributes adds what is known of a PCI function to a device's attributes.
func (s *Scan) PCIAttributes(attributes map[string]core.Value, address core.PCIAddress) {
	id, err := s.PCI(address)
	if err != nil {
		for _, a := range []*describe.Attribute{PCIID, PCISubsystem, PCIVendor, PCIDevice} {
			attributes[a.Name] = core.Unknown()
		}
	} else {
		attributes[PCIID.Name] = core.String(id.String())
		attributes[PCIVendor.Name] = core.String(fmt.Sprintf("0x%04x", id.Vendor))
		attributes[PCIDevice.Name] = core.String(fmt.Sprintf("0x%04x", id.Device))
		attributes[PCISubsystem.Name] = Subsystem(s.Host, address, id)
	}
	node := ReadInt(s.Host, pci.Path(address)+"/numa_node")
	attributes[NUMANode.Name] = Attribute(node, func(n int64) core.Value {
		if n < 0 { // the firmware did not say
			return core.Value{}
		}
		return core.String(fmt.Sprintf("node%d", n))
	})
}

// Subsystem returns the numbers of the board of a PCI function, if it has one. Some
// boards have the number 0, which is also what is left of a file that is not there.
func Subsystem(host *sysfs.FS, address core.PCIAddress, id pci.ID) core.Value {
	if id.SubsystemDevice == 0 {
		if there, err := host.Exists(pci.Path(address) + "/subsystem_device"); err != nil || !there {
			return core.Value{}
		}
	}
	if id.SubsystemVendor == 0 {
		return core.Value{}
	}
	return core.String(fmt.Sprintf("%04x:%04x", id.SubsystemVendor, id.SubsystemDevice))
}

// Link returns the reading of a PCIe link, or one without a value if its
// generation or width is not known.
func Link(generation, width int) core.Reading {
	if _, ok := pci.Bandwidth(generation, width); !ok {
		return PCIeLink.Is(core.Unknown())
	}
	return PCIeLink.Is(core.String(fmt.Sprintf("gen%d x%d", generation, width)))
}

// ReadLink reads the PCIe link of a function from what the kernel knows.
func ReadLink(host *sysfs.FS, address core.PCIAddress) core.Reading {
	speed := Read(host, pci.Path(address)+"/current_link_speed", text(pci.ParseSpeed))
	width := Read(host, pci.Path(address)+"/current_link_width", text(pci.ParseWidth))
	return Link(pci.Generation(speed.Value), width.Value)
}

func text[T any](parse func(string) (T, error)) func([]byte) (T, error) {
	return func(data []byte) (T, error) {
		t, err := sysfs.Text(data)
		if err != nil {
			var none T
			return none, err
		}
		return parse(t)
	}
}
