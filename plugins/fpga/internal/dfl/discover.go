package dfl

import (
	"context"
	"errors"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Family is the cards of one of the two drivers.
type Family struct {
	layout  *layout
	cfg     Config
	program *programmer
}

var _ family.Family = (*Family)(nil)

// New returns the family "dfl": cards that the kernel drives.
func New(cfg Config) *Family { return newFamily(kernelLayout, cfg) }

// NewOPAE returns the family "opae": cards of the older driver. They are not
// programmed.
func NewOPAE(cfg Config) *Family {
	cfg.Programs = nil
	return newFamily(opaeLayout, cfg)
}

func newFamily(l *layout, cfg Config) *Family {
	return &Family{layout: l, cfg: cfg, program: newProgrammer(cfg)}
}

// Name implements [family.Family].
func (f *Family) Name() string { return f.layout.family }

// unit is one base region: the engine and the ports of one PCI function.
type unit struct {
	address core.PCIAddress
	// dir is the base region, pciDir that of the function; both are resolved.
	dir, pciDir string
	fme         string // a name in dir, or empty
	ports       []string
}

// card is the units that share an engine: a virtual function has its ports, and
// its physical function the engine.
type card struct {
	address core.PCIAddress // the function that has the engine
	units   []unit
	err     error // a base region could not be read
}

// Discover implements [family.Family]. A base region has an engine or ports
// below it. All other regions are what an engine programs, or belong to further
// functions of the card that hold nothing, and are no devices.
func (f *Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	entries, err := scan.Entries(f.layout.class)
	var found family.Found
	cards := map[core.PCIAddress]*card{}
	at := func(address core.PCIAddress) *card {
		if cards[address] == nil {
			cards[address] = &card{address: address}
		}
		return cards[address]
	}
	var orphans []unit // without an engine
	for _, e := range entries {
		if !is(e.Name, f.layout.base) || f.belowEngine(e.Path) {
			continue
		}
		address, pciDir, onPCI := family.Function(e.Path)
		if onPCI && scan.Claimed(string(address)) {
			continue
		}
		names, err := scan.Host.ReadDir(e.Path)
		if err != nil {
			if onPCI && !sysfs.IsAbsent(err) {
				at(address).err = errors.Join(at(address).err, err)
			}
			continue
		}
		u := unit{address: address, dir: e.Path, pciDir: pciDir}
		switch u.fme, u.ports = f.layout.members(names); {
		case u.fme == "" && len(u.ports) == 0:
		case !onPCI:
			found.Notes = append(found.Notes, core.Note{
				Subject: e.Path, Text: "the FPGA belongs to no PCI function, by which it could be told from others; it is not offered",
			})
		case u.fme == "":
			orphans = append(orphans, u)
		default:
			at(address).units = append(at(address).units, u)
		}
	}
	for _, u := range orphans {
		owner := u.address
		if name, err := scan.Host.LinkName(u.pciDir + "/physfn"); err == nil {
			if physical, err := pci.ParseAddress(name); err == nil && cards[physical] != nil {
				owner = physical
			}
		}
		at(owner).units = append(at(owner).units, u)
	}
	for _, c := range cards {
		found.Claims = append(found.Claims, string(c.address))
		for _, u := range c.units {
			found.Claims = append(found.Claims, string(u.address))
		}
		found.Cards = append(found.Cards, family.Card{
			Key:  string(c.address),
			Read: func(context.Context) ([]core.Device, error) { return f.read(scan, c) },
		})
	}
	return found, err
}

// belowEngine reports whether a region is one that an engine programs.
func (f *Family) belowEngine(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if is(part, f.layout.fme) {
			return true
		}
	}
	return false
}
