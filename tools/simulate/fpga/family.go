package fpga

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// family is a driver family: what is special about the cards of one.
type family struct {
	// driver is what runs its cards, unless the scenario says otherwise; empty:
	// none needs to.
	driver string
	// onPCI says that its cards have a PCI function.
	onPCI bool
	// managed says that each has a second one, by which it is managed.
	managed bool
	// count says which of the kernel's numbers a card takes.
	count func(c *card, next *counts)
	// tree writes a card that is there, and its functions.
	tree func(f machine.Files, c card)
	// devices are the IDs under which a plugin offers the card, with the device
	// nodes that a task needs for each.
	devices func(c card) map[string][]string
}

var families = map[string]family{
	"dfl": {
		driver: "dfl-pci", onPCI: true, tree: dflTree,
		devices: func(c card) map[string][]string { return c.portDevices("dfl", "/dev/dfl-port.") },
		count: func(c *card, next *counts) {
			next.base++
			next.region += 1 + c.regions()
			for i := range c.ports {
				if c.ports[i].onVF() {
					c.ports[i].region = next.region
					next.region++
				}
			}
			next.manager++
			next.bridge += c.regions()
			next.hwmon += 3 // of the engine two, and of the board
			next.uio++
		},
	},
	"opae": {
		driver: "intel-fpga-pci", onPCI: true, tree: opaeTree,
		devices: func(c card) map[string][]string { return c.portDevices("opae", "/dev/intel-fpga-port.") },
		count: func(_ *card, next *counts) {
			next.base++
			next.manager++
		},
	},
	"xrt": {
		driver: "xocl", onPCI: true, tree: xrtTree,
		devices: func(c card) map[string][]string {
			if !c.is("user", true) {
				return map[string][]string{"xrt:" + c.mgmt.String(): nil}
			}
			return map[string][]string{"xrt:" + c.address.String(): {c.renderNode()}}
		},
		count: countDRM,
	},
	"ami": {
		driver: "ami", onPCI: true, tree: amiTree,
		devices: func(c card) map[string][]string { return map[string][]string{"ami:" + c.address.String(): nil} },
		count: func(_ *card, next *counts) {
			next.minor++
			next.hwmon++
		},
	},
	"aws": {
		onPCI: true, managed: true, tree: awsTree,
		devices: func(c card) map[string][]string {
			return map[string][]string{"aws:" + c.mgmt.String(): c.vfioNodes()}
		},
	},
	"zocl": {
		driver: "zocl-drm", tree: zoclTree,
		devices: func(c card) map[string][]string {
			return map[string][]string{"zocl:" + c.platformName(): {c.renderNode()}}
		},
		count: countDRM,
	},
	"mgr": {
		tree: managerTree,
		devices: func(c card) map[string][]string {
			return map[string][]string{"mgr:platform/" + c.text("manager.platform"): nil}
		},
		count: func(c *card, next *counts) {
			next.manager++
			next.region++
			next.bridge += len(words(c.text("bridges")))
		},
	},
}

// countDRM counts a card with DRM devices, sensors and an FPGA manager.
func countDRM(_ *card, next *counts) {
	next.card++
	next.render++
	next.hwmon++
	next.manager++
}

func (c card) renderNode() string { return fmt.Sprintf("/dev/dri/renderD%d", c.counts.render) }

// sorted gives the keys of a map in their order.
func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
