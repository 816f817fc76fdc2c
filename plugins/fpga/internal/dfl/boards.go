package dfl

import (
	"fmt"
	"maps"
	"slices"

	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// board is one line of the table of boards, by the vendor and device of the
// physical function and of its virtual functions (drivers/fpga/dfl-pci.c).
type board struct {
	vendor   uint16
	pf, vf   uint16
	model    string
	byDevice map[uint32]string // by subsystem vendor and device, where that tells boards apart
}

var boards = []board{
	{0x8086, 0xbcce, 0xbccf, "ofs", map[uint32]string{
		0x8086_1770: "n6000", 0x8086_1771: "n6001", 0x8086_17d4: "c6100", 0x8086_138d: "d5005",
	}},
	{0x8086, 0x0b30, 0x0b31, "n3000", nil},
	{0x8086, 0x0b2b, 0x0b2c, "d5005", nil},
	{0x8086, 0x09c4, 0x09c5, "a10-pac", nil},
	{0x8086, 0xbcbd, 0xbcbf, "xeon-fpga", nil},
	{0x8086, 0xbcc0, 0xbcc1, "xeon-fpga", nil},
	{0x8086, 0xaf00, 0xaf01, "ofs", nil},
	{0x1ded, 0x8103, 0x8103, "alibaba", nil},
	{silicom, 0x1000, 0x1002, "n5010", nil},
	{silicom, 0x1001, 0x1003, "n5011", nil},
}

// Boards returns the table for documentation: functions, and model.
func Boards() [][2]string {
	var rows [][2]string
	for _, b := range boards {
		functions := fmt.Sprintf("%04x:%04x", b.vendor, b.pf)
		if b.vf != b.pf {
			functions += fmt.Sprintf(" (virtual functions %04x)", b.vf)
		}
		for _, subsystem := range slices.Sorted(maps.Keys(b.byDevice)) {
			rows = append(rows, [2]string{
				fmt.Sprintf("%s with subsystem %04x:%04x", functions, subsystem>>16, subsystem&0xffff), b.byDevice[subsystem],
			})
		}
		if b.byDevice != nil {
			functions += ", all others"
		}
		rows = append(rows, [2]string{functions, b.model})
	}
	return append(rows, [2]string{"all others", "dfl-<vendor>-<device>"})
}

// silicom is the PCI vendor that is not a name of Intel's for its own chips.
const silicom = 0x1c2c

// identity is what a card is.
type identity struct {
	vendor, model string
	// listed says that the table has the card. What the driver drives is a card
	// all the same.
	listed bool
	// general says that boards of this device have names by their subsystem, and
	// this one has none of them: it is another, or cannot be read.
	general bool
}

func identify(id pci.ID) identity {
	is := identity{vendor: "intel", model: fmt.Sprintf("dfl-%04x-%04x", id.Vendor, id.Device)}
	if id.Vendor == silicom {
		is.vendor = "silicom"
	}
	for _, b := range boards {
		if b.vendor != id.Vendor || b.pf != id.Device && b.vf != id.Device {
			continue
		}
		is.listed, is.model, is.general = true, b.model, b.byDevice != nil
		if model, ok := b.byDevice[uint32(id.SubsystemVendor)<<16|uint32(id.SubsystemDevice)]; ok {
			is.model, is.general = model, false
		}
	}
	return is
}

// keepIdentity returns what a card is by the numbers of its function, or was when
// those could be read.
func keepIdentity(memory *family.Memory, function string, id pci.ID, err error) family.Fact[identity] {
	now := family.Failed[identity](err)
	is := identify(id)
	if err == nil && !is.general {
		now = family.Is(is)
	}
	known := family.Keep(memory, function+" identity", now)
	if !known.Known() && err == nil {
		return family.Is(is)
	}
	return known
}
