// Package aws finds the FPGA slots of Amazon's F1 and F2 instances.
//
// A slot has two PCI functions: one by which it is managed, which stays, and one
// of the application, whose numbers are those of the image (AFI) that is loaded
// and which goes while another one is. A slot is told by the first and used by the
// second. Which image is loaded only the management function's registers know;
// they have one user at a time, and are not touched.
//
// A slot that an XRT shell is loaded into belongs to the family xrt.
//
// Sources: aws/aws-fpga, sdk/userspace/fpga_libs/fpga_pci and fpga_mgmt.
package aws

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// name is the family's name, and the vendor of its groups.
const name = "aws"

// vendorAmazon is Amazon's vendor number.
const vendorAmazon = 0x1d0f

// The kinds of slots, by the device number of the management function.
const (
	f1 = "f1"
	f2 = "f2"
)

var kinds = map[uint16]string{0x1041: f1, 0x9248: f2}

// codeNoApplication is the fault of a slot without its application function.
const codeNoApplication = "no-application-function"

// Config is the configuration of the family.
type Config struct {
	BARMounts bool `hcl:"bar_mounts" default:"false" doc:"Whether a task gets the memory windows (BARs) of its slot's application function as writable mounts of their files in sysfs, where the function is not with vfio-pci. The mounts break when another image is loaded, because the function then goes and comes back, and after the Nomad client was restarted."`
}

// Family is the driver family of F1 and F2 slots.
type Family struct{ config Config }

var _ family.Family = (*Family)(nil)

// New returns the family for a configuration.
func New(c Config) *Family { return &Family{config: c} }

// Name returns "aws".
func (f *Family) Name() string { return name }

// Attributes are the attributes that only this family's devices have: there are
// none.
var Attributes []*describe.Attribute

var (
	statApplication = &describe.Stat{Name: "app_id", On: name, Description: "Vendor and device of the application function, which the loaded image chooses; `1d0f:9048` is a cleared slot"}
	statSubsystem   = &describe.Stat{Name: "app_subsystem", On: name, Description: "Subsystem of the application function"}
	statSlot        = &describe.Stat{Name: "slot", On: name, Description: "Number of the slot, as Amazon's tools count"}
)

// Stats are the statistics that only this family's devices have.
var Stats = []*describe.Stat{statApplication, statSubsystem, statSlot}

// slot is one slot.
type slot struct {
	config Config
	scan   *family.Scan
	kind   string
	number family.Fact[int]
	// mgmt is the function by which it is managed, app that of the application:
	// where it is, or would be.
	mgmt, app core.PCIAddress
}

// Discover lists the slots by their management functions.
func (f *Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	all, err := scan.Functions()
	var found family.Found
	for _, s := range f.slots(scan, all) {
		if scan.Claimed(string(s.mgmt)) {
			continue
		}
		found.Claims = append(found.Claims, string(s.mgmt))
		if s.taken(slices.ContainsFunc(all, func(e family.Entry) bool { return e.Name == string(s.app) })) {
			continue
		}
		found.Claims = append(found.Claims, string(s.app))
		found.Cards = append(found.Cards, family.Card{Key: string(s.mgmt), Read: s.read})
		if !f.config.BARMounts && len(scan.Nodes[s.id()]) == 0 && !s.vfio() {
			found.Notes = append(found.Notes, core.Note{
				Subject: s.id(),
				Text:    "a reservation of this slot hands over nothing: it only keeps others away. Bind its application function " + string(s.app) + " to vfio-pci, or set bar_mounts in the block aws",
			})
		}
	}
	return found, err
}

// slots returns the slots in the order in which Amazon's tools count them: that of
// the management functions' addresses. Behind a function that may be one, and could
// not be read, their numbers are not known.
func (f *Family) slots(scan *family.Scan, all []family.Entry) []*slot {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b family.Entry) int { return pci.Compare(core.PCIAddress(a.Name), core.PCIAddress(b.Name)) })
	var slots []*slot
	counted := true
	for _, e := range all {
		address := core.PCIAddress(e.Name)
		kind := family.Keep(scan.Memory, name+" "+e.Name+" kind", readKind(scan, address))
		counted = counted && kind.State != family.Unknown
		app, ok := application(address, kind.Value)
		if !kind.Known() || !ok {
			continue
		}
		s := &slot{config: f.config, scan: scan, kind: kind.Value, number: family.Is(len(slots)), mgmt: address, app: app}
		if !counted {
			s.number.State = family.Unknown
		}
		slots = append(slots, s)
	}
	return slots
}

// readKind returns the kind of slot that a function manages, or none.
func readKind(scan *family.Scan, address core.PCIAddress) family.Fact[string] {
	vendor, err := scan.Vendor(address)
	if err == nil && vendor != vendorAmazon {
		return family.Fact[string]{State: family.None}
	}
	id, err := scan.PCI(address)
	switch kind, ok := kinds[id.Device]; {
	case ok:
		return family.Is(kind)
	case err != nil && id == (pci.ID{}):
		return family.Failed[string](err)
	default:
		return family.Fact[string]{State: family.None}
	}
}

// application returns the address of a slot's application function: on F1 one
// device before the management function, on F2 the first function of its device.
func application(mgmt core.PCIAddress, kind string) (core.PCIAddress, bool) {
	var domain, bus, device, function uint32
	if _, err := fmt.Sscanf(string(mgmt), "%x:%x:%x.%x", &domain, &bus, &device, &function); err != nil {
		return "", false
	}
	if kind == f1 {
		device-- // of device 0 it is out of bounds
	} else {
		function = 0
	}
	app, err := pci.Address(domain, bus, device, function)
	return app, err == nil && app != mgmt
}

// taken reports whether the slot belongs to XRT. It still does while its
// application function is missing, because another image is being loaded.
func (s *slot) taken(present bool) bool {
	key := s.id() + " taken"
	if !present {
		return family.Keep(s.scan.Memory, key, family.Fact[bool]{}).Value
	}
	marked, err := s.scan.Host.Exists(pci.Path(s.app) + "/user_pf")
	is := s.scan.Claimed(string(s.app)) || marked && err == nil
	return family.Keep(s.scan.Memory, key, family.Is(is)).Value
}

func (s *slot) id() string { return name + ":" + string(s.mgmt) }

func (s *slot) read(context.Context) ([]core.Device, error) {
	d := core.Device{
		ID:    s.id(),
		PCI:   s.app,
		Group: s.scan.Memory.Group(family.GroupKey{Vendor: name, Model: s.kind}),
		Attributes: map[string]core.Value{
			family.Name.Name:  core.String(name),
			family.Model.Name: core.String(s.kind),
		},
		Ref: &instance{s},
	}
	s.scan.PCIAttributes(d.Attributes, s.mgmt)
	switch there, err := s.scan.Host.Exists(pci.Path(s.app)); {
	case err != nil:
		d.Faults = append(d.Faults, noApplication(fmt.Sprintf("whether the slot has its application function cannot be read: %v", err)))
	case !there:
		d.Faults = append(d.Faults, noApplication("the slot's application function "+string(s.app)+" is missing, as while an image is loaded"))
	}
	return []core.Device{d}, nil
}

func noApplication(reason string) core.Fault {
	return core.Fault{
		Code: codeNoApplication, Severity: core.Soft, Reason: reason,
		Remedy: "if it lasts, load or clear the slot's image (fpga-load-local-image, fpga-clear-local-image), or scan the bus again (/sys/bus/pci/rescan)",
	}
}

// vfio reports whether the application function is with VFIO.
func (s *slot) vfio() bool {
	driver, err := s.scan.Host.LinkName(pci.Path(s.app) + "/driver")
	return err == nil && driver == family.VFIODriver
}

// instance is a slot as a device.
type instance struct{ *slot }

// Measure reads the statistics. What the image chose is read anew each time.
func (i *instance) Measure(context.Context) ([]core.Reading, error) {
	number := family.Attribute(i.number, func(n int) core.Value { return core.Count(int64(n)) })
	readings := []core.Reading{statSlot.Is(number)}
	if id, err := pci.ReadID(i.scan.Host, i.app); err == nil {
		readings = append(readings,
			statApplication.Is(core.String(id.String())), statSubsystem.Is(family.Subsystem(i.scan.Host, i.app, id)))
	}
	return family.Measured(append(readings, family.ReadLink(i.scan.Host, i.app))...), nil
}

// bar are the files of the memory windows that applications use. Those that end in
// _wc are the same with writes combined.
var bar = regexp.MustCompile(`^resource[0124](_wc)?$`)

// Grant hands over the application function: by VFIO if it is bound to that, else
// by its memory windows if the configuration says so.
func (i *instance) Grant(context.Context) (family.Grant, error) {
	host, dir := i.scan.Host, pci.Path(i.app)
	g := family.Grant{Own: []core.PCIAddress{i.app}}
	names, err := host.ReadDir(dir)
	if sysfs.IsAbsent(err) {
		return family.Grant{}, fmt.Errorf("the slot's application function %s is missing; is an image being loaded?", i.app)
	}
	if err != nil {
		return family.Grant{}, err
	}
	switch {
	case i.vfio():
		g.Nodes, err = family.VFIONodes(host, dir)
		return g, err
	case !i.config.BARMounts:
		return g, nil
	}
	for _, file := range names {
		if bar.MatchString(file) {
			g.Mounts = append(g.Mounts, core.Mount{HostPath: dir + "/" + file, TaskPath: dir + "/" + file, Writable: true})
		}
	}
	if len(g.Mounts) == 0 {
		return family.Grant{}, errors.New("the slot's application function " + string(i.app) + " has no memory windows")
	}
	return g, nil
}
