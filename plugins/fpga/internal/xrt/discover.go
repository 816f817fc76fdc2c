package xrt

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// name is the family's name.
const name = "xrt"

// vendorName is the vendor of all device groups.
const vendorName = "amd"

// The drivers of the two kinds of functions, and the files by whose existence
// they are told. A user function keeps its file while the card is reset and all
// other attributes are gone.
const (
	userDriver = "/sys/bus/pci/drivers/xocl"
	userMarker = "user_pf"
	mgmtDriver = "/sys/bus/pci/drivers/xclmgmt"
	mgmtMarker = "mgmt_pf"
)

// vendorAWS is Amazon's vendor number. The functions of its cards are made for
// virtual machines and do not pair.
const vendorAWS = 0x1d0f

// vendors are the vendors of cards with functions for XRT
// (xocl/xocl_devices.h): Xilinx, Advantech, Amazon, Arista.
var vendors = []uint16{0x10ee, 0x13fe, vendorAWS, 0x3475}

// Family is the driver family of XRT.
type Family struct{ config Config }

var _ family.Family = (*Family)(nil)

// New returns the family for a configuration.
func New(c Config) *Family { return &Family{config: c} }

// Name returns "xrt".
func (f *Family) Name() string { return name }

// function is one PCI function of a card.
type function struct {
	address core.PCIAddress
	dir     string // resolved
}

// slot is the function's address without its last part: what all functions of a
// card share.
func (f function) slot() string {
	slot, _, _ := strings.Cut(string(f.address), ".")
	return slot
}

// Discover lists the FPGAs by their user functions, and the cards that have no
// user function.
func (f *Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	users, userErr := functions(scan, userDriver, userMarker)
	mgmts, mgmtErr := functions(scan, mgmtDriver, mgmtMarker)
	var found family.Found
	managed := map[string]*function{}
	for i := range mgmts {
		found.Claims = append(found.Claims, string(mgmts[i].address))
		managed[mgmts[i].slot()] = &mgmts[i]
	}
	var u30 []*fpga
	used := map[string]bool{}
	for _, user := range users {
		found.Claims = append(found.Claims, string(user.address))
		used[user.slot()] = true
		c := &fpga{config: f.config, scan: scan, user: user, mgmt: managed[user.slot()]}
		if f.config.U30Unit == unitCard && c.isU30() {
			u30 = append(u30, c)
			continue
		}
		found.Cards = append(found.Cards, family.Card{Key: string(user.address), Read: c.read})
	}
	if len(u30) > 0 {
		found.Cards = append(found.Cards, family.Card{Key: keyU30, Read: cards{u30}.read})
	}
	if err := errors.Join(userErr, mgmtErr); err != nil {
		return found, err // a user function may have been overlooked
	}
	for _, mgmt := range mgmts {
		if used[mgmt.slot()] {
			continue
		}
		idle, driver := siblings(scan, mgmt)
		if driver != "" {
			found.Notes = append(found.Notes, core.Note{
				Subject: string(mgmt.address),
				Text:    fmt.Sprintf("the card is not offered: its user function %s is with the driver %s, not with xocl", idle, driver),
			})
			continue
		}
		c := &factory{scan: scan, mgmt: mgmt, idle: idle}
		found.Cards = append(found.Cards, family.Card{Key: string(mgmt.address), Read: c.read})
	}
	return found, nil
}

// functions lists the functions that a driver has or that show its marker, and
// that no earlier family has claimed.
func functions(scan *family.Scan, driver, marker string) ([]function, error) {
	bound, err := scan.PCIEntries(driver)
	all, allErr := scan.Functions()
	var list []function
	for _, e := range bound {
		list = append(list, function{core.PCIAddress(e.Name), e.Path})
	}
	for _, e := range all {
		f := function{core.PCIAddress(e.Name), e.Path}
		if slices.Contains(list, f) || !marked(scan, f, marker) {
			continue
		}
		list = append(list, f)
	}
	list = slices.DeleteFunc(list, func(f function) bool {
		return scan.Claimed(string(f.address)) || marker == mgmtMarker && isAWS(scan, f)
	})
	slices.SortFunc(list, func(a, b function) int { return pci.Compare(a.address, b.address) })
	return list, errors.Join(err, allErr)
}

// marked reports whether a function of one of the vendors shows a marker.
func marked(scan *family.Scan, f function, marker string) bool {
	vendor, err := scan.Vendor(f.address)
	if err != nil || !slices.Contains(vendors, vendor) {
		return false
	}
	there, err := scan.Host.Exists(f.dir + "/" + marker)
	return there && err == nil
}

func isAWS(scan *family.Scan, f function) bool {
	vendor, err := scan.Vendor(f.address)
	return err == nil && vendor == vendorAWS
}

// siblings returns the other function of a card whose management function alone
// is with XRT, if it has one, and the driver of that function.
func siblings(scan *family.Scan, mgmt function) (address core.PCIAddress, driver string) {
	all, _ := scan.Functions() // which has been read
	for _, e := range all {
		f := function{core.PCIAddress(e.Name), e.Path}
		if f.slot() != mgmt.slot() || f == mgmt {
			continue
		}
		if vendor, err := scan.Vendor(f.address); err == nil && !slices.Contains(vendors, vendor) {
			continue
		}
		driver, err := scan.Host.LinkName(f.dir + "/driver")
		if err != nil && !sysfs.IsAbsent(err) {
			continue
		}
		return f.address, driver
	}
	return "", ""
}
