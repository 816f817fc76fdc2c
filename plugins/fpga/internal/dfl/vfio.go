package dfl

import (
	"context"
	"fmt"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const codeGroup = "iommu-group"

// VFIO is the functions of DFL cards that are handed to user space as a whole:
// those of the table of boards that are bound to vfio-pci. Their accelerator
// function is not known, since it stands in a register of the card.
type VFIO struct{}

var _ family.Family = VFIO{}

// NewVFIO returns the family "vfio".
func NewVFIO() VFIO { return VFIO{} }

// Name implements [family.Family].
func (VFIO) Name() string { return "vfio" }

// Discover implements [family.Family].
func (v VFIO) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	functions, err := scan.PCIEntries("/sys/bus/pci/drivers/" + family.VFIODriver)
	var found family.Found
	for _, e := range functions {
		address := core.PCIAddress(e.Name)
		if scan.Claimed(e.Name) {
			continue
		}
		id, err := scan.PCI(address)
		is := keepIdentity(scan.Memory, v.Name()+" "+e.Name, id, err)
		if !is.Value.listed {
			continue
		}
		found.Claims = append(found.Claims, e.Name)
		found.Cards = append(found.Cards, family.Card{
			Key:  e.Name,
			Read: func(context.Context) ([]core.Device, error) { return v.read(scan, e.Path, address, is.Value, err) },
		})
	}
	return found, err
}

func (v VFIO) read(scan *family.Scan, dir string, address core.PCIAddress, is identity, unreadable error) ([]core.Device, error) {
	iface := family.Keep(scan.Memory, v.Name()+" "+string(address)+" interface", physicalInterface(scan.Host, dir))
	d := core.Device{
		ID:  v.Name() + ":" + string(address),
		PCI: address,
		Group: scan.Memory.Group(family.GroupKey{
			Vendor: is.vendor, Model: is.model, IDs: []family.ID{family.IDOf(iface), "none"},
		}),
		Attributes: map[string]core.Value{
			family.Name.Name:   core.String(v.Name()),
			family.Model.Name:  core.String(is.model),
			attrInterface.Name: family.UUIDAttribute(iface),
			attrMode.Name:      core.String(modeVFIO),
		},
	}
	scan.PCIAttributes(d.Attributes, address)
	if unreadable != nil {
		d.Faults = append(d.Faults, core.Fault{
			Code: codePCIUnreadable, Severity: core.Soft, Err: unreadable,
			Reason: fmt.Sprintf("the PCI function cannot be read: %v", unreadable),
			Remedy: "look at the kernel log (dmesg)",
		})
	}
	instance := function{host: scan.Host, dir: dir, address: address}
	if grant, err := instance.Grant(context.Background()); err != nil {
		d.Faults = append(d.Faults, core.Fault{Code: codeGroup, Severity: core.Soft, Err: err, Reason: err.Error()})
	} else if err := family.Check(scan.Host, grant); err != nil {
		d.Faults = append(d.Faults, core.Fault{
			Code: codeGroup, Severity: core.Hard, Err: err, Reason: err.Error(),
			Remedy: "a function can be handed over alone where the IOMMU keeps it apart: see the kernel's documentation of VFIO on groups",
		})
	}
	d.Ref = instance
	return []core.Device{d}, nil
}

// physicalInterface returns the interface of the card that a virtual function
// belongs to, which its physical function shows while the kernel drives that.
func physicalInterface(host *sysfs.FS, dir string) family.Fact[family.UUID] {
	none := family.Fact[family.UUID]{State: family.None}
	name, err := host.LinkName(dir + "/physfn")
	if err != nil {
		return none
	}
	physical, err := pci.ParseAddress(name)
	if err != nil {
		return none
	}
	regions, err := bases(host, kernelLayout, pci.Path(physical))
	if err != nil {
		return family.Failed[family.UUID](err)
	}
	for _, b := range regions {
		if b.fme != "" {
			iface, _ := kernelLayout.programmable(host, b.fme)
			return iface
		}
	}
	return none
}

// function is a device of [VFIO].
type function struct {
	host    *sysfs.FS
	dir     string
	address core.PCIAddress
}

// Measure implements [family.Instance].
func (f function) Measure(context.Context) ([]core.Reading, error) {
	return family.Measured(family.ReadLink(f.host, f.address)), nil
}

// Grant implements [family.Instance].
func (f function) Grant(context.Context) (family.Grant, error) {
	nodes, err := family.VFIONodes(f.host, f.dir)
	return family.Grant{Grant: core.Grant{Nodes: nodes}, Own: []core.PCIAddress{f.address}}, err
}
