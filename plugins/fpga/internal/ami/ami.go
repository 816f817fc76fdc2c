// Package ami finds AMD Versal cards that run an AVED design, such as the Alveo
// V80, by the driver of their management interface (AMI).
//
// The driver has a card's management function and tells of its health, its board
// and its sensors. It has no node for tasks: its own, /dev/amiN, writes the flash
// and chooses what the card boots, for whoever can open it. What a task uses is
// what the design of the card offers, VFIO or a QDMA driver, which only the
// operator knows.
//
// Sources: Xilinx/AVED, sw/AMI/driver (ami_sysfs.c, ami_top.c, ami_hwmon.c).
package ami

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// name is the family's name.
const name = "ami"

// driver is the directory of the driver: a link for each card, and the table of
// its nodes.
const driver = "/sys/bus/pci/drivers/ami"

// Config is the configuration of the family.
type Config struct {
	ExposeMgmtNode bool `hcl:"expose_mgmt_node" default:"false" doc:"Whether a task also gets its card's management node, /dev/amiN. Whoever holds it can write the card's flash, choose what it boots and reset it, without being root: the task owns the card, beyond its own end. The node of the driver, /dev/ami0, is never handed over."`
}

// Family is the driver family of AMI.
type Family struct{ config Config }

var _ family.Family = (*Family)(nil)

// New returns the family for a configuration.
func New(c Config) *Family { return &Family{config: c} }

// Name returns "ami".
func (f *Family) Name() string { return name }

// Discover lists the functions that the driver has. A card of which an earlier
// family offers another function is that family's.
func (f *Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	bound, err := scan.PCIEntries(driver)
	all, allErr := scan.Functions()
	var found family.Found
	for _, e := range bound {
		c := &card{config: f.config, scan: scan, address: core.PCIAddress(e.Name), dir: e.Path}
		taken := scan.Claimed(e.Name)
		found.Claims = append(found.Claims, e.Name)
		for _, other := range all {
			if other.Name != e.Name && slot(other.Name) == slot(e.Name) {
				taken = taken || scan.Claimed(other.Name)
				found.Claims = append(found.Claims, other.Name)
				c.others = append(c.others, core.PCIAddress(other.Name))
			}
		}
		if taken {
			continue
		}
		found.Cards = append(found.Cards, family.Card{Key: e.Name, Read: c.read})
		found.Notes = append(found.Notes, f.notes(c.id(), len(scan.Nodes[c.id()]))...)
	}
	return found, errors.Join(err, allErr)
}

// slot is what the addresses of all functions of a card share.
func slot(address string) string {
	before, _, _ := strings.Cut(address, ".")
	return before
}

// notes says what a reservation of a card means.
func (f *Family) notes(id string, nodes int) []core.Note {
	switch {
	case f.config.ExposeMgmtNode:
		return []core.Note{{Subject: id, Text: "expose_mgmt_node is set: a task that gets this card can write its flash, choose what it boots and reset it"}}
	case nodes == 0:
		return []core.Note{{Subject: id, Text: "a reservation of this card hands over no device node: it only keeps others away. The nodes that its design offers to tasks belong into a nodes block of the plugin's configuration"}}
	default:
		return nil
	}
}

// card is one card.
type card struct {
	config  Config
	scan    *family.Scan
	address core.PCIAddress
	dir     string // resolved
	// others are the card's other functions, which its design makes for tasks.
	others []core.PCIAddress
}

func (c *card) id() string { return name + ":" + string(c.address) }

// vendorAMD is AMD's vendor number for what was Xilinx.
const vendorAMD = 0x10ee

// models are the cards that the driver knows, by their device number
// (ami_pcie.h).
var models = map[uint16]string{0x50b4: "v80", 0x50bc: "v80p", 0x5094: "v70", 0x5048: "vck5000"}

// model returns the model of the card.
func (c *card) model() family.Fact[string] {
	id, err := c.scan.PCI(c.address)
	model := family.Failed[string](err)
	if err == nil {
		model = family.Is(fmt.Sprintf("%s-%04x-%04x", name, id.Vendor, id.Device))
		if known := models[id.Device]; id.Vendor == vendorAMD && known != "" {
			model.Value = known
		}
	}
	return family.Keep(c.scan.Memory, c.id()+" model", model)
}

func (c *card) read(context.Context) ([]core.Device, error) {
	host := c.scan.Host
	if there, err := host.Exists(c.dir); err == nil && !there {
		return nil, nil // it went away while we looked
	}
	state := readState(host, c.dir)
	model, uuid := c.model(), readUUID(host, c.dir)
	partID := family.Fact[family.ID]{Value: family.IDOf(uuid), State: uuid.State}
	key := family.GroupKey{
		Vendor: "amd", Model: name,
		IDs: []family.ID{family.KeepID(c.scan.Memory, c.id()+" uuid", partID, partID)},
	}
	if model.Known() {
		key.Model = model.Value
	}
	d := core.Device{
		ID:         c.id(),
		PCI:        c.address,
		Group:      c.scan.Memory.Group(key),
		Attributes: c.attributes(model, uuid),
		Faults:     stateFaults(state),
		Ref:        &instance{c},
	}
	if errors.Is(uuid.Err, family.ErrAllOnes) {
		d.Faults = append(d.Faults, core.Fault{
			Code: codeOffTheBus, Severity: core.Hard, Err: uuid.Err,
			Reason: "the card has fallen off the bus", Remedy: "drain the node and power-cycle it",
		})
	}
	return []core.Device{d}, nil
}

// readUUID reads the UUID of the card's design. All bits clear stand for none.
func readUUID(host *sysfs.FS, dir string) family.Fact[family.UUID] {
	f := family.ReadUUID(host, dir+"/logic_uuid")
	if f.Known() && f.Value.IsZero() {
		f.State = family.None
	}
	return f
}
