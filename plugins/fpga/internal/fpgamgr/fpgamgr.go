// Package fpgamgr reads what the kernel's FPGA managers know of FPGAs that no
// other family knows: those of SoCs, and cards that are configured by protocol.
//
// A manager loads images, and has no device node for tasks: what a task uses is
// what the loaded image makes, which only the operator knows.
//
// Sources: drivers/fpga/fpga-mgr.c, Documentation/ABI/testing/
// sysfs-class-fpga-{manager,bridge} of the kernel.
package fpgamgr

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

const codeUnreadable = "manager-unreadable"

// Family is the FPGAs behind managers.
type Family struct{}

var _ family.Family = Family{}

// New returns the family "mgr".
func New() Family { return Family{} }

// Name implements [family.Family].
func (Family) Name() string { return "mgr" }

// ofOthers are parts of the paths of managers that belong to other families.
var ofOthers = []string{"/dfl-fme-mgr.", "/dfl-fme.", "/intel-fpga-fme.", "/fmgr.m."}

// Attributes are those that the family has beside the shared ones.
var Attributes = []*describe.Attribute{attrManager}

var attrManager = &describe.Attribute{Name: "manager", Kind: core.KindString, On: "mgr", Description: "Name of the FPGA manager."}

// Stats are the statistics that the family has beside the shared ones.
var Stats = []*describe.Stat{statState, statStatus, statBridge}

var (
	statState  = &describe.Stat{Name: "state", On: "mgr", Description: "State of the FPGA manager"}
	statStatus = &describe.Stat{Name: "status", On: "mgr", Description: "Errors of the last configuration"}
	statBridge = &describe.Stat{Name: "bridge_…", On: "mgr", Description: "State of each bridge between an SoC and its FPGA, by its name"}
)

// manager is one FPGA manager.
type manager struct {
	id   string
	path string // its directory
	pci  core.PCIAddress
}

// Discover implements [family.Family].
func (f Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	entries, err := scan.Entries(family.Managers)
	var found family.Found
	seen := map[string]bool{}
	for _, e := range entries {
		m := manager{path: e.Path}
		parent := path.Dir(path.Dir(e.Path)) // above fpga_manager/fpgaN
		m.id = f.Name() + ":" + strings.ReplaceAll(strings.TrimPrefix(parent, "/sys/devices/"), ",", "_")
		address, _, onPCI := family.Function(e.Path)
		if onPCI {
			m.pci, m.id = address, f.Name()+":"+string(address)
		}
		if f.others(scan, e.Path, parent) || onPCI && scan.Claimed(string(address)) || seen[m.id] {
			continue
		}
		seen[m.id] = true
		if len(scan.Nodes[m.id]) == 0 {
			found.Notes = append(found.Notes, core.Note{
				Subject: m.id,
				Text:    "a reservation of this FPGA hands over no device node: it only keeps others away. What a task needs to use it belongs into a nodes block of the plugin's configuration",
			})
		}
		found.Cards = append(found.Cards, family.Card{
			Key:  strings.TrimPrefix(m.id, f.Name()+":"),
			Read: func(context.Context) ([]core.Device, error) { return f.read(scan, m) },
		})
	}
	return found, err
}

// others returns whether a manager belongs to another family.
func (Family) others(scan *family.Scan, at, parent string) bool {
	for _, part := range ofOthers {
		if strings.Contains(at, part) {
			return true
		}
	}
	return scan.Claimed(at) || scan.Claimed(parent)
}

func (f Family) read(scan *family.Scan, m manager) ([]core.Device, error) {
	name := family.Keep(scan.Memory, m.id+" name", family.ReadText(scan.Host, m.path+"/name"))
	if !name.Known() {
		return nil, &core.Fault{
			Code: codeUnreadable, Severity: core.Soft, Err: name.Err,
			Reason: fmt.Sprintf("the name of the FPGA manager cannot be read: %v", name.Err),
		}
	}
	// A manager for configuration by protocol has the address of its card in its
	// name (drivers/fpga/altera-cvp.c).
	kind := strings.TrimSuffix(name.Value, " @"+string(m.pci))
	d := core.Device{
		ID:    m.id,
		PCI:   m.pci,
		Group: scan.Memory.Group(family.GroupKey{Vendor: "generic", Model: kind}),
		Attributes: map[string]core.Value{
			family.Name.Name: core.String(f.Name()),
			attrManager.Name: core.String(kind),
		},
	}
	if m.pci != "" {
		scan.PCIAttributes(d.Attributes, m.pci)
	} else {
		text := func(s string) core.Value { return core.String(strings.Join(family.Lines(s), " ")) }
		d.Attributes[family.Board.Name] = family.Attribute(family.ReadText(scan.Host, deviceTree+"model"), text)
		d.Attributes[family.Compatible.Name] = family.Attribute(family.ReadText(scan.Host, deviceTree+"compatible"), text)
	}
	state := family.ReadText(scan.Host, m.path+"/state")
	d.Faults = family.ManagerFaults(state)
	if state.State == family.Unknown {
		d.Faults = append(d.Faults, core.Fault{
			Code: codeUnreadable, Severity: core.Soft, Err: state.Err,
			Reason: fmt.Sprintf("the state of the FPGA manager cannot be read: %v", state.Err),
		})
	}
	d.Ref = instance{scan.Host, m}
	return []core.Device{d}, nil
}

const deviceTree = "/sys/firmware/devicetree/base/"

// instance is a device of the family.
type instance struct {
	host *sysfs.FS
	manager
}

// Grant implements [family.Instance]: there is nothing to hand over.
func (instance) Grant(context.Context) (family.Grant, error) { return family.Grant{}, nil }

// Measure implements [family.Instance].
func (i instance) Measure(context.Context) ([]core.Reading, error) {
	readings := []core.Reading{
		statState.Is(family.Attribute(family.ReadText(i.host, i.path+"/state"), core.String)),
		statStatus.Is(family.Attribute(family.ReadText(i.host, i.path+"/status"), core.String)),
	}
	if i.pci != "" {
		return family.Measured(append(readings, family.ReadLink(i.host, i.pci))...), nil
	}
	const class = "/sys/class/fpga_bridge"
	names, err := i.host.ReadDir(class)
	if err != nil {
		return family.Measured(readings...), nil // a host without bridges has no such class
	}
	for _, br := range names {
		at, err := i.host.Resolve(class + "/" + br)
		if _, _, onPCI := family.Function(at); err != nil || onPCI {
			continue // the bridge of a card
		}
		if name := family.ReadText(i.host, class+"/"+br+"/name"); name.Known() {
			r := statBridge.Is(family.Attribute(family.ReadText(i.host, class+"/"+br+"/state"), core.String))
			r.Name = strings.TrimSuffix(r.Name, "…") + strings.ReplaceAll(family.Slug(name.Value), "-", "_")
			readings = append(readings, r)
		}
	}
	return family.Measured(readings...), nil
}
