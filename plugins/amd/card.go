package amd

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/names"
)

// The codes of the faults of a GPU that cannot be used as a whole.
const (
	codeUnbound = "driver-not-bound"
	codeNoKFD   = "no-kfd-node"
)

// card is one GPU with its partitions, and what is remembered about it between
// scans.
type card struct {
	vendor  *Vendor
	address core.PCIAddress

	// note is the remark of the last Read for the next Discover, and offered
	// whether the card ever had devices.
	note    atomic.Pointer[core.Note]
	offered atomic.Bool

	// What follows belongs to Read and Measure, of which one runs at a time.
	dir    string // the GPU's own directory, links followed
	bridge core.PCIAddress
	// name is the model's, and group what its groups are named by, once they were
	// decided.
	name, group string
	// link and numaNode are what was read of these last; apu says that the GPU was
	// once seen to be part of a processor, computes that it had a node in KFD's
	// topology.
	link          pci.Link
	numaNode      int
	apu, computes bool
	mode          modes
	partitions    int      // how many it had when it was read last
	nodes         []uint32 // KFD's numbers of its devices
	uncertain     bool     // whether it was said that the partitions' numbers are
	said          string   // what was said last about the firmware's metrics
	watch         watchful
	parent        parentReadings
	hwmon         hwmon
}

func newCard(v *Vendor, address core.PCIAddress) *card {
	return &card{vendor: v, address: address, numaNode: -1}
}

// file returns the path of one of the GPU's own files.
func (c *card) file(name string) string {
	if c.dir != "" {
		return c.dir + "/" + name
	}
	return pci.Path(c.address) + "/" + name
}

// label names the card for people.
func (c *card) label() string { return "GPU " + string(c.address) }

// read reads the card's devices.
func (c *card) read(s sighting) ([]core.Device, error) {
	if devices, err, done := c.absent(s); done {
		return devices, err
	}
	if s.id == "" {
		return nil, fmt.Errorf("%s cannot be identified: its unique_id cannot be read", c.label())
	}
	c.locate()
	c.hwmon.find(c)
	if c.isAPU(s) && !c.vendor.cfg.APUs {
		return c.refused("it is part of a processor, and apus = false")
	}
	c.mode = c.readModes(s)
	c.decideNames(s)
	awake := c.power() == powerActive
	common := core.Device{PCI: c.address, Faults: c.examine(s, awake)}
	if len(s.nodes) > 0 && s.driver.kfdMissing {
		common.Faults = append(common.Faults, nodeFault(kfdNode))
	}
	attributes := c.readAttributes(s, awake)
	var devices []core.Device
	var err error
	switch {
	case len(s.nodes) == 0:
		devices = []core.Device{c.device(common, attributes, s, whole, nil)}
	case c.mode.compute == "" || c.mode.compute == modeSPX:
		for i := range s.nodes {
			d := c.device(common, attributes, s, whole, &s.nodes[i])
			if i > 0 { // two nodes of one GPU that cannot be divided: an odd kernel
				d.ID = fmt.Sprintf("%s/node%d", s.id, i)
			}
			devices = append(devices, d)
		}
	default:
		devices, err = c.readPartitions(common, attributes, s)
	}
	c.nodes = c.nodes[:0]
	for _, n := range s.nodes {
		if n.ID != 0 {
			c.nodes = append(c.nodes, n.ID)
		}
	}
	c.note.Store(nil)
	c.offered.Store(true)
	return slices.DeleteFunc(devices, func(d core.Device) bool { return c.vendor.ignored[strings.ToLower(d.ID)] }), err
}

// absent answers for a GPU that the driver does not run, or compute cannot use.
func (c *card) absent(s sighting) (devices []core.Device, err error, done bool) {
	switch {
	case s.onBus && s.function.Driver == "":
		c.watch = watchful{} // what it counted ends with the driver
		devices, err = c.unusable(core.Fault{
			Code: codeUnbound, Severity: core.Soft,
			Reason: "the driver amdgpu is not bound to the GPU",
			Remedy: "see the kernel log for why (dmesg | grep amdgpu), then load the module or bind the GPU",
		})
		devices[0].Cleared = []string{codeWedged} // that was the driver's word
		return devices, err, true
	case len(s.nodes) > 0:
		c.computes = true
		return nil, nil, false
	case s.unsure != nil:
		return nil, fmt.Errorf("%s is not in the part of KFD's topology that can be read: %w", c.label(), s.unsure), true
	case !c.vendor.cfg.RequireCompute && !c.computes:
		return nil, nil, false
	case c.offered.Load():
		devices, err = c.unusable(core.Fault{
			Code: codeNoKFD, Severity: core.Soft,
			Reason: "the GPU has no node in KFD's topology any more: ROCm cannot use it",
			Remedy: "it comes back by itself after a reset or a change of partitions; else see the kernel log (dmesg | grep kfd)",
		})
		return devices, err, true
	default:
		why := "ROCm cannot use it: it has no node in KFD's topology. To offer it for graphics and video all the same, set require_compute = false"
		if _, err := c.vendor.renderMinor(c.address); err != nil {
			why = "the driver amdgpu has not set it up: it has no render node. If that lasts, the kernel log says why (dmesg | grep amdgpu)"
		}
		devices, err = c.refused(why)
		return devices, err, true
	}
}

// unusable lays a fault on all devices of the card, which keep their identity.
func (c *card) unusable(f core.Fault) ([]core.Device, error) {
	return []core.Device{{PCI: c.address, Faults: []core.Fault{f}}}, nil
}

// refused leaves a remark about a card that is not offered.
func (c *card) refused(why string) ([]core.Device, error) {
	c.note.Store(&core.Note{Subject: c.label(), Text: why})
	return nil, nil
}

// locate finds the GPU's own directory and the outermost bridge that belongs to
// the same board. Navi and Vega boards have a switch of their own, and it is the
// switch's link that leads to the node (amdgpu_device.c,
// amdgpu_device_gpu_bandwidth).
func (c *card) locate() {
	link := pci.Path(c.address)
	target, err := c.vendor.host.Readlink(link)
	if err != nil {
		return // where it was, it still is, or it is gone
	}
	dir := path.Join(path.Dir(link), target)
	if dir == c.dir {
		return
	}
	c.dir, c.bridge = dir, ""
	for part := range strings.SplitSeq(path.Dir(dir), "/") {
		address, err := pci.ParseAddress(part)
		if err != nil {
			continue
		}
		if vendor, err := c.vendor.host.ReadHex(pci.Path(address) + "/vendor"); err == nil && vendor == vendorID {
			c.bridge = address
			return
		}
	}
}

// isAPU reports whether the GPU is part of a processor. The driver shows the
// voltage of the north bridge for these alone (amdgpu_pm.c); the MI300A, which has
// the memory and the interface of a GPU, is none of them. Kernels of the first APUs
// show one KFD node with both kinds of cores.
func (c *card) isAPU(s sighting) bool {
	c.apu = c.apu || c.hwmon.apu || len(s.nodes) > 0 && s.nodes[0].CPUCores > 0
	return c.apu
}

// decideNames decides what the model is called and what its groups are named by,
// once and for the process's life.
func (c *card) decideNames(s sighting) {
	if c.name != "" {
		return
	}
	product, err := c.vendor.host.ReadString(c.file("product_name"))
	if err != nil {
		product = "" // most boards have none
	}
	c.name = c.vendor.names.Of(names.ID{Device: s.function.Device, Revision: s.function.Revision}, product)
	c.group = c.name
	switch c.vendor.cfg.GroupBy {
	case groupByGFX:
		if len(s.nodes) > 0 && s.nodes[0].GFX() != "" {
			c.group = s.nodes[0].GFX()
		}
	case groupByID:
		c.group = fmt.Sprintf("0x%04x", s.function.Device)
	}
}

// device returns a device of the card: the whole GPU, or the partition with the
// given number.
func (c *card) device(d core.Device, attributes facts, s sighting, part int, n *kfd.Node) core.Device {
	r := &ref{card: c, at: c.address, part: part, mode: c.mode.compute, divisible: c.mode.divisible}
	if s.unique {
		r.uid = s.uid
	}
	d.ID = s.id
	d.Group = core.Group{Vendor: vendorName, Type: typeGPU, Name: c.group}
	if part != whole {
		d.ID = fmt.Sprintf("%s/%s%d", s.id, strings.ToLower(c.mode.compute), part)
		d.Group.Type = c.vendor.cfg.PartitionType
		d.Group.Name += " " + c.mode.String()
	}
	if n != nil {
		r.node, r.compute = *n, true
	}
	if r.node.RenderMinor == 0 && part == whole {
		r.node.RenderMinor, _ = c.vendor.renderMinor(c.address) // a fault if it stays unknown
	}
	d.Attributes = withNode(attributes, n, part)
	d.Faults = slices.Concat(d.Faults, c.renderFaults(r))
	d.Ref = r
	return d
}
