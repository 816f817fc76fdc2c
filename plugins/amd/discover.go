package amd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

const (
	// vendorID is AMD's number on the PCI bus; it has been ATI's.
	vendorID = 0x1002
	// The base classes of GPUs: displays, and since the MI300 accelerators.
	classDisplay     = 0x03
	classAccelerator = 0x12

	driverName = "amdgpu"
	kfdNode    = "/dev/kfd"
)

// driver is what a scan saw of the driver, which all GPUs share.
type driver struct {
	version, source string
	err             error // why the version is not known
	// kfd describes /dev/kfd, if it is there and can be looked at; kfdMissing says
	// that it is not there.
	kfd        fs.FileInfo
	kfdMissing bool
}

// readDriver reads it. Only a driver that was installed by itself has a version; the
// other is part of the kernel.
func readDriver(host *sysfs.FS) *driver {
	var d driver
	info, err := host.Stat(kfdNode)
	if err == nil {
		d.kfd = info
	}
	d.kfdMissing = sysfs.IsAbsent(err)
	d.version, d.err = host.ReadString("/sys/module/amdgpu/version")
	if d.err == nil && word(d.version).Known() {
		d.source = "dkms"
		return &d
	}
	if d.err != nil && !sysfs.IsAbsent(d.err) {
		return &d
	}
	d.source = "kernel"
	release, err := host.ReadString("/proc/sys/kernel/osrelease")
	d.version, d.err = kernelVersion.FindString(release), err
	if err == nil && d.version == "" {
		d.err = sysfs.ErrMalformed
	}
	return &d
}

// kernelVersion matches the version at the beginning of a kernel's release: "6.14.0"
// of "6.14.0-29-generic". What distributions write behind it is no version for Nomad,
// or one before the release.
var kernelVersion = regexp.MustCompile(`^\d+(\.\d+)+`)

// sighting is what a scan saw of one GPU before its own files are read.
type sighting struct {
	driver *driver
	// function is the GPU on the PCI bus; onBus is false where the host shows no
	// bus, so that KFD's topology is all there is.
	function pci.Function
	onBus    bool
	// nodes are the GPU's in KFD's topology, in the order of their render minors:
	// partition 0 first.
	nodes []kfd.Node
	// unsure is why nodes may lack some, if they may.
	unsure error
	// id is what the GPU is called, empty if that is not decided, and uid its
	// unique ID, empty if it has none; unique says that no other GPU has the same.
	id, uid string
	unique  bool
}

// Discover lists the GPUs. It reads what the kernel knows without asking the
// hardware: PCI functions, KFD's topology, unique IDs.
func (v *Vendor) Discover(context.Context) (core.Inventory, error) {
	functions, err := pci.ListVendors(v.host, vendorID)
	if errors.Is(err, sysfs.ErrRoot) {
		return core.Inventory{}, err
	}
	var found core.Inventory
	if err != nil {
		found.Notes = append(found.Notes, core.Note{Subject: "PCI bus", Text: "some functions cannot be read, and AMD GPUs among them not be seen: " + err.Error()})
	}
	functions = slices.DeleteFunc(functions, func(f pci.Function) bool { return !isGPU(f) })
	topology, topologyErr := kfd.Read(v.host)
	seen := v.join(functions, topology)
	for address, s := range seen {
		s.unsure = errors.Join(topologyErr, errors.Join(topology.Unread...))
		unsettled := v.settle(&s)
		if unsettled == nil && !v.ignored[string(address)] {
			seen[address] = s
			continue
		}
		delete(seen, address)
		err = errors.Join(err, unsettled)
	}
	found.Probes = v.unread(seen, err)
	v.identify(seen)
	var driver *driver
	if len(seen) > 0 {
		driver = readDriver(v.host)
	}
	offered := false
	for address, s := range seen {
		s.driver = driver
		c := v.cards[address]
		if c == nil {
			c = newCard(v, address)
			v.cards[address] = c
		}
		if v.ignored[strings.ToLower(s.id)] {
			continue
		}
		if note, leave := v.leaves(c, s); leave {
			found.Notes = append(found.Notes, core.Note{Subject: c.label(), Text: note})
			continue
		}
		found.Probes = append(found.Probes, core.Probe{
			Key:  string(address),
			Read: func(context.Context) ([]core.Device, error) { return c.read(s) },
		})
		if note := c.note.Load(); note != nil {
			found.Notes = append(found.Notes, *note)
		}
		offered = offered || c.offered.Load()
	}
	if offered && driver.kfd != nil {
		found.Notes = append(found.Notes, accessNotes(v.host, driver.kfd)...)
	}
	return found, nil
}

// settle makes sure that a GPU which seems to have no driver has none.
func (v *Vendor) settle(s *sighting) error {
	if !s.onBus || s.function.Driver != "" {
		return nil
	}
	driver, err := v.host.LinkName(pci.Path(s.function.Address) + "/driver")
	if err != nil && !sysfs.IsAbsent(err) {
		return err
	}
	s.function.Driver = driver
	return nil
}

// unread returns probes for the GPUs that were offered and are not seen, if that is
// because some functions could not be read: they may be those.
func (v *Vendor) unread(seen map[core.PCIAddress]sighting, err error) []core.Probe {
	if err == nil {
		return nil
	}
	var probes []core.Probe
	for address, c := range v.cards {
		if _, ok := seen[address]; !ok && c.offered.Load() {
			probes = append(probes, core.Probe{
				Key: string(address),
				Read: func(context.Context) ([]core.Device, error) {
					return nil, fmt.Errorf("%s is not in the part of the PCI bus that can be read: %w", c.label(), err)
				},
			})
		}
	}
	return probes
}

func isGPU(f pci.Function) bool {
	return f.BaseClass() == classDisplay || f.BaseClass() == classAccelerator
}

// leaves says that a GPU is left alone, and why if that is worth a word. A GPU
// that was offered before is not left alone over something that may pass.
func (v *Vendor) leaves(c *card, s sighting) (why string, leave bool) {
	switch f := s.function; {
	case !s.onBus:
		return "", false
	case f.Driver != "" && f.Driver != driverName:
		return fmt.Sprintf("the driver %s has it; it is not offered. Bind it to %s to use it on this node", f.Driver, driverName), true
	case c.offered.Load():
		return "", false
	case f.Driver == "":
		return "no driver has it; it is not offered. To use it, load the amdgpu module (modprobe amdgpu); if that does not help, the kernel log says why (dmesg | grep amdgpu)", true
	case virtualFunctions(v.host, f.Address) > 0:
		return "it is the host's side of virtual functions, which are handed to guests; it is not offered", true
	default:
		return "", false
	}
}

// virtualFunctions returns how many virtual functions of a GPU exist.
func virtualFunctions(host *sysfs.FS, address core.PCIAddress) int64 {
	n, err := host.ReadInt(pci.Path(address) + "/sriov_numvfs")
	if err != nil {
		return 0 // it has none
	}
	return n
}

// join puts PCI functions and KFD's nodes together.
func (v *Vendor) join(functions []pci.Function, topology kfd.Topology) map[core.PCIAddress]sighting {
	seen := make(map[core.PCIAddress]sighting, len(functions))
	for _, f := range functions {
		seen[f.Address] = sighting{function: f, onBus: true}
	}
	bus, err := v.host.Exists(pci.Devices)
	noBus := err == nil && !bus
	for _, n := range topology.GPUs {
		address, err := addressOf(v.host, n, func(a core.PCIAddress) bool { return seen[a].onBus })
		if err != nil {
			continue
		}
		s, ok := seen[address]
		if !ok {
			if !noBus {
				continue // it fell off the bus; the core misses it
			}
			s.function = pci.Function{Address: address, NUMANode: -1, ID: pci.ID{Vendor: vendorID, Device: n.DeviceID}}
		}
		s.nodes = append(s.nodes, n)
		seen[address] = s
	}
	for _, s := range seen {
		slices.SortFunc(s.nodes, byRenderMinor)
	}
	return seen
}

// addressOf returns the PCI function that a node of KFD's topology is, or is a
// part of. Its render node says so, if it hangs below a function; the further
// partitions of a GPU have theirs below platform devices without a link to it, and
// there the location counts, whose last bits may be a function.
func addressOf(host *sysfs.FS, n kfd.Node, onBus func(core.PCIAddress) bool) (core.PCIAddress, error) {
	if target, err := host.Readlink(renderClass(n.RenderMinor)); err == nil {
		if address, ok := functionOf(target); ok {
			return address, nil
		}
	}
	address, err := n.Address()
	if err != nil {
		return "", err
	}
	if exact, err := pci.Address(n.Domain, n.Location>>8&0xff, n.Location>>3&0x1f, n.Function()); err == nil && onBus(exact) {
		return exact, nil
	}
	return address, nil
}

// functionOf returns the PCI function that a DRM device is part of, by where its
// link in /sys/class/drm leads to.
func functionOf(target string) (core.PCIAddress, bool) {
	above := path.Base(path.Dir(path.Dir(target))) // <function>/drm/renderDM
	address, err := pci.ParseAddress(above)
	return address, err == nil
}
