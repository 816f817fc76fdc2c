package amd

import (
	"fmt"
	"path"
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
	dir      string // the GPU's own directory, links followed
	bridge   core.PCIAddress
	name     string // of the model, once it was decided
	mode     modes
	mismatch string // what was said last about the numbers of partitions
	said     string // and about the firmware's metrics
	watch    watchful
	parent   parentReadings
	hwmon    hwmon
}

func newCard(v *Vendor, address core.PCIAddress) *card {
	return &card{vendor: v, address: address}
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
	if s.id == "" {
		return nil, fmt.Errorf("%s cannot be identified: its unique_id cannot be read", c.label())
	}
	if devices, err, done := c.absent(s); done {
		return devices, err
	}
	c.locate()
	if c.isAPU(s) && !c.vendor.cfg.APUs {
		return c.refused("it is part of a processor, and apus = false")
	}
	c.mode = c.readModes(s)
	c.decideName(s)
	common := core.Device{PCI: c.address, Faults: c.examine(s)}
	attributes := c.readAttributes(s)
	var devices []core.Device
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
		for i := range s.nodes {
			devices = append(devices, c.device(common, attributes, s, i, &s.nodes[i]))
		}
		c.checkNumbers(s)
	}
	c.note.Store(nil)
	c.offered.Store(true)
	return devices, nil
}

// absent answers for a GPU that the driver does not run, or compute cannot use.
func (c *card) absent(s sighting) (devices []core.Device, err error, done bool) {
	switch {
	case s.onBus && s.function.Driver == "":
		devices, err = c.unusable(core.Fault{
			Code: codeUnbound, Severity: core.Soft,
			Reason: "the driver amdgpu is not bound to the GPU",
			Remedy: "see the kernel log for why (dmesg | grep amdgpu), then load the module or bind the GPU",
		})
		return devices, err, true
	case len(s.nodes) > 0:
		return nil, nil, false
	case s.unsure != nil:
		return nil, fmt.Errorf("%s is not in the part of KFD's topology that can be read: %w", c.label(), s.unsure), true
	case !c.vendor.cfg.RequireCompute:
		return nil, nil, false
	case c.offered.Load():
		devices, err = c.unusable(core.Fault{
			Code: codeNoKFD, Severity: core.Soft,
			Reason: "the GPU has no node in KFD's topology any more: ROCm cannot use it",
			Remedy: "it comes back by itself after a reset or a change of partitions; else see the kernel log (dmesg | grep kfd)",
		})
		return devices, err, true
	default:
		devices, err = c.refused("ROCm cannot use it: it has no node in KFD's topology. To offer it for graphics and video all the same, set require_compute = false")
		return devices, err, true
	}
}

// unusable lays a fault on all devices of the card, which keep their identity.
func (c *card) unusable(f core.Fault) ([]core.Device, error) {
	return []core.Device{{PCI: c.address, Faults: []core.Fault{f}}}, nil
}

// refused leaves a remark about a card that is not offered.
func (c *card) refused(why string) ([]core.Device, error) {
	c.note.Store(&core.Note{Subject: c.label(), Text: why + "."})
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
		c.dir, c.bridge = "", ""
		return
	}
	dir := path.Join(path.Dir(link), target)
	if dir == c.dir {
		return
	}
	c.dir, c.bridge = dir, ""
	for _, part := range strings.Split(path.Dir(dir), "/") {
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
	if len(s.nodes) > 0 && s.nodes[0].CPUCores > 0 {
		return true
	}
	c.hwmon.find(c)
	return c.hwmon.apu
}

// decideName decides what the model is called, once and for the process's life: it
// names the device's group.
func (c *card) decideName(s sighting) {
	if c.name != "" {
		return
	}
	product, err := c.vendor.host.ReadString(c.file("product_name"))
	if err != nil {
		product = "" // most boards have none
	}
	c.name = c.vendor.names.Of(names.ID{Device: s.function.Device, Revision: s.function.Revision}, product)
}

// device returns a device of the card: the whole GPU, or the partition with the
// given number.
func (c *card) device(d core.Device, attributes map[string]core.Value, s sighting, part int, n *kfd.Node) core.Device {
	r := &ref{card: c, at: c.address, uid: s.uid, part: part, divisible: c.mode.divisible}
	d.ID = s.id
	d.Group = core.Group{Vendor: vendorName, Type: typeGPU, Name: c.groupName(s)}
	if part != whole {
		d.ID = fmt.Sprintf("%s/%s%d", s.id, strings.ToLower(c.mode.compute), part)
		d.Group.Type = c.vendor.cfg.PartitionType
		d.Group.Name += " " + c.mode.String()
	}
	if n != nil {
		r.node, r.compute = *n, true
	} else if minor, err := c.vendor.renderMinor(c.address); err == nil {
		r.node.RenderMinor = minor
	}
	d.Attributes = withNode(attributes, n, part)
	d.Faults = append(d.Faults[:len(d.Faults):len(d.Faults)], c.nodeFaults(r)...)
	d.Ref = r
	return d
}

// groupName returns what the GPUs of the card's kind are called in jobs.
func (c *card) groupName(s sighting) string {
	switch c.vendor.cfg.GroupBy {
	case groupByGFX:
		if len(s.nodes) > 0 && s.nodes[0].GFX() != "" {
			return s.nodes[0].GFX()
		}
	case groupByID:
		return fmt.Sprintf("0x%04x", s.function.Device)
	}
	return c.name
}
