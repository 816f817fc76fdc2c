package fpga

import (
	"cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// slotDevices are the device numbers of the management function by the kind of slot
// (aws-fpga, sdk/userspace/fpga_libs/fpga_mgmt).
var slotDevices = map[string]string{"f1": "0x1041", "f2": "0x9248"}

// awsTree is a slot of an F1 or F2 instance: a management function, and the
// application's, whose numbers are those of the loaded image. No driver makes them,
// so they are as good as gone while drivers are unloaded.
func awsTree(f machine.Files, c card) {
	if !c.Loaded() {
		return
	}
	const amazon = "0x1d0f"
	management := c.function(f, c.mgmt, amazon, slotDevices[c.text("slot")], "")
	f.Tree.Exact(management.At+"/resource0", nil)
	if !c.is("app", true) {
		return
	}
	app := c.function(f, c.address, cmp.Or(c.text("pci.vendor"), amazon), c.text("pci.device"), c.text("app.driver"))
	app.Group(f.Tree, c.text("iommu_group"))
	for _, bar := range []string{"resource0", "resource1", "resource2", "resource4", "resource4_wc"} {
		f.Tree.Exact(app.At+"/"+bar, nil)
	}
	for _, node := range c.vfioNodes() {
		f.Tree.Node(node)
	}
}

// vfioNodes are the nodes of the application function, if VFIO has it.
func (c card) vfioNodes() []string {
	if c.text("app.driver") != "vfio-pci" {
		return nil
	}
	return []string{"/dev/vfio/" + c.text("iommu_group"), "/dev/vfio/vfio"}
}
