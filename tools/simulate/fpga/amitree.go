package fpga

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

const amiDriver = "/sys/bus/pci/drivers/ami"

// amiDriverTree is the driver's own: a table of its cards, without their PCI domain,
// and a node by which all of them are reached.
func amiDriverTree(t *tree.Tree, all []card) {
	var table []string
	for _, c := range all {
		if c.text("family") == "ami" && c.is("present", true) && c.bound() {
			_, address, _ := strings.Cut(c.address.String(), ":")
			table = append(table, fmt.Sprintf("%s %d %d", address, c.counts.minor, c.counts.hwmon))
		}
	}
	if len(table) == 0 {
		return
	}
	t.File(amiDriver+"/devices", fmt.Sprintf("%d\n%s", len(table), strings.Join(table, "\n")))
	t.File(amiDriver+"/version", "3.0.0 +0 *0")
	t.Node("/dev/ami0")
}

// amiTree is a Versal card with the AMI driver (Xilinx/AVED, sw/AMI/driver).
func amiTree(f machine.Files, c card) {
	c.function(f, c.address, cmp.Or(c.text("pci.vendor"), "0x10ee"), c.text("pci.device"), c.driver()).Group(f.Tree, c.text("iommu_group"))
	if !c.bound() {
		return
	}
	at := dir(c.address)
	for name, text := range map[string]string{
		"dev_state": c.text("dev_state"), "logic_uuid": c.uuid(c.text("uuid")), "amc_version": c.text("controller.version"),
		"link_speed_current": c.text("pcie.generation"), "link_width_current": c.text("pcie.width"),
		"link_speed_max": c.text("pcie.max_generation"), "link_width_max": c.text("pcie.max_width"),
		"power_mode": "300W", "active_state": "Passive",
	} {
		f.Put(at+"/"+name, text)
	}
	// What is in the board's memory comes without a newline.
	for name, text := range map[string]string{
		"product_name": c.text("product"), "dev_name": c.text("product"), "board_serial": c.text("serial"), "memory_size": c.text("memory"),
	} {
		f.Put(at+"/"+name, text)
		if text != "" && text != machine.Unreadable && !f.Garbage && !f.Unreadable {
			f.Tree.Exact(at+"/"+name, []byte(text))
		}
	}
	h := addHwmon(f, at, c.counts.hwmon, "Alveo")
	c.sensors(func(kind, channel, _ string) {
		h.put(channel+"_input", c.Scaled(c.n, "sensor."+channel, scales[kind]))
		h.put(channel+"_label", machine.Unreadable) // the driver gives them a mode that nobody can read
	})
	f.Tree.Node(fmt.Sprintf("/dev/ami%d", c.counts.minor))
}
