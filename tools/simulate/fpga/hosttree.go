package fpga

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// lists are the directories by which cards are found.
var lists = []string{
	pcitree.Devices, "/sys/class/fpga_region", "/sys/class/fpga_manager", "/sys/class/fpga",
	"/sys/bus/pci/drivers/xocl", "/sys/bus/pci/drivers/xclmgmt", amiDriver, zoclDriver,
}

// hostTree gives the /sys and /dev of the machine.
func hostTree(v machine.View) (*tree.Tree, error) {
	t := &tree.Tree{}
	for _, d := range []string{pcitree.Devices, "/sys/bus/pci/drivers", "/sys/class", "/sys/module", "/dev"} {
		t.Dir(d)
	}
	if release := v.Machine("kernel.release"); release != "" {
		t.File("/proc/sys/kernel/osrelease", release)
	}
	for _, name := range []string{"model", "compatible"} {
		if list := v.Machine("devicetree." + name); list != "" {
			// A list of strings with a NUL byte behind each.
			t.Exact("/sys/firmware/devicetree/base/"+name, []byte(strings.ReplaceAll(list, ", ", "\x00")+"\x00"))
		}
	}
	all, err := cards(v)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if !c.is("present", true) {
			continue
		}
		c.family.tree(machine.Files{Tree: t, Garbage: c.is("garbage", false), Unreadable: c.is("unreadable", false)}, c)
	}
	amiDriverTree(t, all)
	if machine.True(v.Machine("lists.unreadable"), false) {
		for _, list := range lists {
			t.Remove(list)
			t.File(list, "not a directory")
		}
	}
	return t, nil
}

// hwmon is a sensor chip (Documentation/hwmon/sysfs-interface.rst).
type hwmon struct {
	machine.Files
	at string
}

// addHwmon adds a chip with a name to a device.
func addHwmon(f machine.Files, device string, n int, chip string) hwmon {
	name := fmt.Sprintf("hwmon%d", n)
	at := device + "/hwmon/" + name
	link(f.Tree, "hwmon", name, at, device)
	h := hwmon{f, at}
	h.put("name", chip)
	return h
}

func (h hwmon) put(name, text string) { h.Put(h.at+"/"+name, text) }

// link makes a device known to its class.
func link(t *tree.Tree, class, name, at, device string) {
	t.Link(at+"/device", device)
	t.Link(at+"/subsystem", "/sys/class/"+class)
	t.Link("/sys/class/"+class+"/"+name, at)
}

// scales are the kernel's units by what a scenario has: °C, W, V, A and rpm.
var scales = map[string]float64{"temp": 1000, "power": 1e6, "in": 1000, "curr": 1000, "fan": 1}

// maxSensors is how many sensors of a kind a card can have.
const maxSensors = 40

// sensors calls write for each sensor of the card: temp1, power1, in0.
func (c card) sensors(write func(kind, channel, label string)) {
	for _, kind := range sorted(scales) {
		for i := range maxSensors {
			channel := fmt.Sprintf("%s%d", kind, i)
			if c.text("sensor."+channel) != "" {
				write(kind, channel, c.text("sensor."+channel+".label"))
			}
		}
	}
}

// drmTree is the DRM devices of a card's function or platform device.
func drmTree(f machine.Files, c card, at string) {
	for name, minor := range map[string]int{fmt.Sprintf("card%d", c.counts.card): c.counts.card, fmt.Sprintf("renderD%d", c.counts.render): c.counts.render} {
		dir := at + "/drm/" + name
		f.Tree.File(dir+"/dev", fmt.Sprintf("226:%d", minor))
		link(f.Tree, "drm", name, dir, at)
		if c.nodes() {
			f.Tree.Node("/dev/dri/" + name)
		}
	}
}

// fpgaManager is the kernel's manager of an FPGA (drivers/fpga/fpga-mgr.c).
func fpgaManager(f machine.Files, c card, device, name string) string {
	manager := fmt.Sprintf("fpga%d", c.counts.manager)
	at := device + "/fpga_manager/" + manager
	link(f.Tree, "fpga_manager", manager, at, device)
	f.Put(at+"/name", name)
	f.Put(at+"/state", cmp.Or(c.text("manager.state"), "unknown")) // never programmed
	f.Put(at+"/status", c.text("manager.status"))
	return at
}
