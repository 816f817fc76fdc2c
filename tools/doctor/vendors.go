package doctor

import (
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// vendor is what a plugin of this project serves.
type vendor struct {
	// word is what the names of plugins for it have in them, HashiCorp's too.
	word string
	// plugin is the name of this project's plugin.
	plugin string
	// hardware is what people call it.
	hardware string
	families []family
	// nodes lists the device nodes that there must be, given the functions that
	// the driver has.
	nodes func(fs *sysfs.FS, functions []pci.Function) []string
	// makeNodes is the command that makes nodes which are missing.
	makeNodes string
	// beside are directories that have entries where there is hardware that is
	// on no PCI bus, or on none that can be seen.
	beside []string
	// allOffered says that each function is a device of its own, so that one
	// which no device names is missing.
	allOffered bool
}

// family are the PCI functions of one kernel driver.
type family struct {
	// owns says whether a function is of the family. Bridges and the sound of a
	// graphics card are not.
	owns func(pci.ID) bool
	// module is the kernel module, driver the name of its PCI driver.
	module, driver string
	// others are further drivers with which the plugin finds its devices.
	others []string
	// needsNone says that the plugin needs no driver.
	needsNone bool
}

var vendors = []*vendor{
	{
		word: "nvidia", plugin: "nomad-device-nvidia", hardware: "NVIDIA GPU",
		families:   []family{{owns: nvidiaGPU, module: "nvidia", driver: "nvidia"}},
		nodes:      nvidiaNodes,
		makeNodes:  "nvidia-modprobe -c 0 -u",
		beside:     []string{"/proc/driver/nvidia/gpus"},
		allOffered: true,
	},
	{
		word: "amd", plugin: "nomad-device-amd", hardware: "AMD GPU",
		families:   []family{{owns: amdGPU, module: "amdgpu", driver: "amdgpu"}},
		nodes:      amdNodes,
		makeNodes:  "udevadm trigger && udevadm settle",
		allOffered: true,
	},
	{
		word: "fpga", plugin: "nomad-device-fpga", hardware: "FPGA",
		families: []family{
			{owns: dflFPGA, module: "dfl_pci", driver: "dfl-pci", others: []string{"intel-fpga-pci"}},
			{owns: versalFPGA, module: "ami", driver: "ami", others: []string{"xocl", "xclmgmt"}},
			{owns: xilinxFPGA, module: "xocl", driver: "xocl", others: []string{"xclmgmt", "ami", "xdma", "qdma-pf", "qdma-vf"}},
			{owns: amazonFPGA, needsNone: true},
		},
		nodes:     fpgaNodes,
		makeNodes: "udevadm trigger && udevadm settle",
		beside:    []string{"/sys/class/fpga_manager", "/sys/class/fpga_region"},
	},
}

// vendorOf returns the vendor whose hardware a plugin of this name serves, or nil.
func vendorOf(plugin string) *vendor {
	for _, v := range vendors {
		if strings.Contains(strings.ToLower(plugin), v.word) {
			return v
		}
	}
	return nil
}

// The base classes of PCI functions that compute
// (https://pci-ids.ucw.cz/read/PD): display controllers and processing
// accelerators.
const (
	classDisplay     = 0x03
	classAccelerator = 0x12
)

func nvidiaGPU(id pci.ID) bool { return id.Vendor == 0x10de && id.BaseClass() == classDisplay }

func amdGPU(id pci.ID) bool {
	return id.Vendor == 0x1002 && (id.BaseClass() == classDisplay || id.BaseClass() == classAccelerator)
}

// dflDevices are the functions that the kernel's driver for Intel's Device
// Feature List takes (drivers/fpga/dfl-pci.c), by their vendors.
var dflDevices = map[uint16][]uint16{
	0x8086: {0xbcce, 0xbccf, 0x0b30, 0x0b31, 0x0b2b, 0x0b2c, 0x09c4, 0x09c5, 0xbcbd, 0xbcbf, 0xbcc0, 0xbcc1, 0xaf00, 0xaf01},
	0x1ded: {0x8103},
	0x1c2c: {0x1000, 0x1001, 0x1002, 0x1003},
}

func dflFPGA(id pci.ID) bool { return slices.Contains(dflDevices[id.Vendor], id.Device) }

const vendorXilinx = 0x10ee

// versalFPGA owns the cards of AMD's management interface for Versal
// (Xilinx/AVED, sw/AMI/driver).
func versalFPGA(id pci.ID) bool {
	return id.Vendor == vendorXilinx && slices.Contains([]uint16{0x50b4, 0x50bc, 0x5094, 0x5048}, id.Device)
}

func xilinxFPGA(id pci.ID) bool { return id.Vendor == vendorXilinx && id.BaseClass() != 0x06 }

// amazonFPGA owns the management functions of Amazon's F1 and F2 slots, which
// no kernel driver takes (aws/aws-fpga).
func amazonFPGA(id pci.ID) bool {
	return id.Vendor == 0x1d0f && (id.Device == 0x1041 || id.Device == 0x9248)
}

// familyOf returns the family that a function is of, or nil.
func (v *vendor) familyOf(id pci.ID) *family {
	for i := range v.families {
		if v.families[i].owns(id) {
			return &v.families[i]
		}
	}
	return nil
}

// drives reports whether the plugin finds a function that this driver has.
func (f *family) drives(driver string) bool {
	return f.needsNone || driver == f.driver || slices.Contains(f.others, driver)
}
