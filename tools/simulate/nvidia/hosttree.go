package nvidia

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// Device major numbers, as the driver registers them. nvidia-uvm and
// nvidia-caps get theirs from the kernel; these are usual ones.
const (
	majorNvidia = 195
	majorUVM    = 508
	majorCaps   = 236
)

// hostTree gives the /sys, /proc and /dev of the machine.
func hostTree(v view) *tree.Tree {
	t := &tree.Tree{}
	for _, d := range []string{"/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/class/drm", "/sys/module", "/proc/driver", "/dev"} {
		t.Dir(d)
	}
	if total := v.Machine("host.memory_kib"); total != "" {
		t.File("/proc/meminfo", fmt.Sprintf("MemTotal:       %s kB\nMemFree:        %s kB\nMemAvailable:   %s kB\n",
			total, cmp.Or(v.Machine("host.memory_free_kib"), total), cmp.Or(v.Machine("host.memory_available_kib"), total)))
	}
	loaded := v.loaded()
	majors := "Character devices:\n  1 mem\n  5 /dev/tty\n"
	if loaded {
		driverTree(t, v)
		majors += fmt.Sprintf("%d nvidia\n%d nvidia-modeset\n%d nvidiactl\n%d nvidia-caps\n%d nvidia-uvm\n",
			majorNvidia, majorNvidia, majorNvidia, majorCaps, majorUVM)
	}
	t.File("/proc/devices", majors+"\nBlock devices:\n  8 sd\n")
	for i, n := range v.Defined() {
		if !v.True(n, "present", true) {
			continue
		}
		pciTree(t, v, n, i, loaded)
		if loaded {
			gpuTree(t, v, n)
		}
	}
	return t
}

// driverTree is what the driver shows as soon as it is loaded.
func driverTree(t *tree.Tree, v view) {
	version := v.Machine("driver.version")
	kind := "NVIDIA UNIX x86_64 Kernel Module"
	if machine.True(v.Machine("driver.open"), false) {
		kind = "NVIDIA UNIX Open Kernel Module for x86_64"
	}
	t.File("/proc/driver/nvidia/version", fmt.Sprintf("NVRM version: %s  %s  Release Build\nGCC version:  gcc version 12.2.0\n", kind, version))
	t.Dir("/proc/driver/nvidia/gpus")
	for _, module := range []string{"nvidia", "nvidia_uvm", "nvidia_modeset", "nvidia_drm"} {
		t.File("/sys/module/"+module+"/version", version)
		t.File("/sys/module/"+module+"/initstate", "live")
		t.File("/sys/module/"+module+"/refcnt", "1")
	}
	t.Dir("/sys/bus/pci/drivers/nvidia")
	for _, name := range []string{"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"} {
		t.Node("/dev/" + name)
	}
	capsTree(t)
}

// gpuTree is what the driver shows of a GPU.
func gpuTree(t *tree.Tree, v view, n int) {
	address := v.Card(n, "pci.bus_id")
	minor := v.Number(n, "minor_number", int64(n))
	var info strings.Builder
	row := func(name, value string) { fmt.Fprintf(&info, "%-16s %s\n", name+":", value) }
	row("Model", v.Card(n, "name"))
	row("IRQ", cmp.Or(v.Card(n, "irq"), "0"))
	row("GPU UUID", v.Card(n, "uuid"))
	row("Video BIOS", cmp.Or(v.Card(n, "vbios_version"), "??.??.??.??.??"))
	row("Bus Type", "PCIe")
	row("DMA Size", "52 bits")
	row("DMA Mask", "0xfffffffffffff")
	row("Bus Location", address)
	row("Device Minor", fmt.Sprint(minor))
	row("GPU Firmware", cmp.Or(v.Card(n, "gsp.version"), "N/A"))
	row("GPU Excluded", "No")
	if address != "" {
		t.File("/proc/driver/nvidia/gpus/"+address+"/information", info.String())
	}
	t.Node(fmt.Sprintf("/dev/nvidia%d", minor))
	if v.Card(n, "mig.mode") != "" {
		migTree(t, v, n, int(minor))
	}
}

// pciTree is the GPU on its bus, below a root port of its own. order numbers
// the DRM devices; a GPU that goes does not change those of the others.
func pciTree(t *tree.Tree, v view, n, order int, loaded bool) {
	var domain, bus, device, function int
	address := v.Card(n, "pci.bus_id")
	if count, err := fmt.Sscanf(address, "%x:%x:%x.%x", &domain, &bus, &device, &function); count < 4 || err != nil || bus == 0 {
		return
	}
	root := fmt.Sprintf("/sys/devices/pci%04x:%02x", domain, bus-1)
	port := fmt.Sprintf("%04x:%02x:01.0", domain, bus-1)
	numa := cmp.Or(v.Card(n, "numa_node"), "-1")
	cpus := cmp.Or(v.Card(n, "cpus"), "0")

	at := path.Join(root, port)
	pciDevice(t, at, map[string]string{
		"vendor": "0x8086", "device": "0x352a", "class": "0x060400", "numa_node": numa, "local_cpulist": cpus,
	})
	t.Link("/sys/bus/pci/devices/"+port, at)

	at = path.Join(at, address)
	pciDevice(t, at, map[string]string{
		"vendor":             hex4(v.Number(n, "pci.vendor", 0x10de)),
		"device":             hex4(v.Number(n, "pci.device", 0)),
		"subsystem_vendor":   hex4(v.Number(n, "pci.subsystem_vendor", 0x10de)),
		"subsystem_device":   hex4(v.Number(n, "pci.subsystem_device", 0)),
		"class":              fmt.Sprintf("0x%06x", v.Number(n, "pci.class", 0x030200)),
		"revision":           "0xa1",
		"irq":                cmp.Or(v.Card(n, "irq"), "0"),
		"enable":             "1",
		"numa_node":          numa,
		"local_cpulist":      cpus,
		"max_link_speed":     linkSpeed(v.Card(n, "pcie.max_generation")),
		"max_link_width":     v.Card(n, "pcie.max_width"),
		"current_link_speed": linkSpeed(v.Card(n, "pcie.generation")),
		"current_link_width": v.Card(n, "pcie.width"),
	})
	t.Link("/sys/bus/pci/devices/"+address, at)
	uevent := fmt.Sprintf("PCI_CLASS=%05X\nPCI_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n", v.Number(n, "pci.class", 0x030200),
		v.Number(n, "pci.vendor", 0x10de), v.Number(n, "pci.device", 0), address)
	if loaded {
		uevent = "DRIVER=nvidia\n" + uevent
		t.Link(path.Join(at, "driver"), "/sys/bus/pci/drivers/nvidia")
		t.Link("/sys/bus/pci/drivers/nvidia/"+address, at)
		for _, name := range []string{fmt.Sprintf("card%d", order), fmt.Sprintf("renderD%d", 128+order)} {
			t.Link(path.Join(at, "drm", name, "device"), at)
			t.Link("/sys/class/drm/"+name, path.Join(at, "drm", name))
			t.Node("/dev/dri/" + name)
		}
	}
	t.File(path.Join(at, "uevent"), uevent)
}

func pciDevice(t *tree.Tree, at string, files map[string]string) {
	for name, text := range files {
		if text != "" {
			t.File(path.Join(at, name), text)
		}
	}
	t.Link(path.Join(at, "subsystem"), "/sys/bus/pci")
}

func hex4(n int64) string { return fmt.Sprintf("0x%04x", n) }

// linkSpeed words a PCIe generation as the kernel does; empty if unknown.
// https://docs.kernel.org/PCI/sysfs-pci.html
func linkSpeed(generation string) string {
	speeds := map[string]string{"1": "2.5", "2": "5.0", "3": "8.0", "4": "16.0", "5": "32.0", "6": "64.0"}
	if speed := speeds[generation]; speed != "" {
		return speed + " GT/s PCIe"
	}
	return ""
}
