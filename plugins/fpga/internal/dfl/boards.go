package dfl

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
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

// silicom is the PCI vendor that is not a name of Intel's for its own chips.
const silicom = 0x1c2c

// identify returns the vendor and the model of a card. listed says whether the
// table has it: what the driver drives is a card all the same.
func identify(id pci.ID) (vendor, model string, listed bool) {
	vendor = "intel"
	if id.Vendor == silicom {
		vendor = "silicom"
	}
	for _, b := range boards {
		if b.vendor != id.Vendor || b.pf != id.Device && b.vf != id.Device {
			continue
		}
		if model, ok := b.byDevice[uint32(id.SubsystemVendor)<<16|uint32(id.SubsystemDevice)]; ok {
			return vendor, model, true
		}
		return vendor, b.model, true
	}
	return vendor, fmt.Sprintf("dfl-%04x-%04x", id.Vendor, id.Device), false
}
