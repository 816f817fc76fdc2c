package xrt

import (
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

var (
	attrShell      = &describe.Attribute{Name: "shell", Kind: core.KindString, On: name, Description: "Name of the shell by vendor, board, name and version (VBNV)."}
	attrPlatform   = &describe.Attribute{Name: "platform_uuid", Kind: core.KindString, On: name, Description: "UUID of the platform. Absent on shells of one stage."}
	attrStamp      = &describe.Attribute{Name: "platform_id", Kind: core.KindString, On: name, Description: "Time at which a shell of one stage was built: `0x5d1211e8`."}
	attrInterfaces = &describe.Attribute{Name: "interface_uuids", Kind: core.KindString, On: name, Description: "UUIDs of the interfaces that the shell offers, joined by commas."}
	attrPart       = &describe.Attribute{Name: "fpga_part", Kind: core.KindString, On: name, Description: "Part name of the FPGA."}
	attrDMA        = &describe.Attribute{Name: "dma", Kind: core.KindString, On: name, Description: "How the shell moves data: `xdma` or `qdma`."}
	attrController = &describe.Attribute{Name: "sc_version", Kind: core.KindVersion, On: name, Description: "Version of the firmware on the board's satellite controller."}
)

// Attributes are the attributes that only this family's devices have.
var Attributes = []*describe.Attribute{
	attrShell, attrPlatform, attrStamp, attrInterfaces, attrPart, attrDMA, attrController,
}

var (
	statVolts      = &describe.Stat{Name: "voltage_12v", Unit: "V", On: name, Description: "Voltage of the slot's 12 V supply"}
	statAmps       = &describe.Stat{Name: "current_12v", Unit: "A", On: name, Description: "Current from the slot's 12 V supply"}
	statFan        = &describe.Stat{Name: "fan", Unit: "rpm", On: name, Description: "Speed of the fan"}
	statController = &describe.Stat{Name: "sc_version", On: name, Description: "Version of the firmware on the board's satellite controller"}
)

// Stats are the statistics that only this family's devices have.
var Stats = []*describe.Stat{statVolts, statAmps, statFan, statController}

// put adds an attribute that has a value, or may have one.
func put(attributes map[string]core.Value, a *describe.Attribute, v core.Value) {
	if v.Kind() != core.KindNone {
		attributes[a.Name] = v
	}
}

// attributes returns the attributes of an FPGA. While the card is reset most of
// its files are gone; what was known before stays.
func (c *fpga) attributes(l look, s shell, vbnv, board family.Fact[string]) map[string]core.Value {
	host, memory, at := c.scan.Host, c.scan.Memory, c.user.address
	all := map[string]core.Value{family.Name.Name: core.String(name)}
	c.scan.PCIAttributes(all, at)
	put(all, family.Board, family.Attribute(board, core.String))
	put(all, attrShell, family.Attribute(vbnv, core.String))
	put(all, attrPlatform, family.UUIDAttribute(keep(memory, at, "uuid", s.uuid())))
	put(all, attrStamp, family.Attribute(keep(memory, at, "stamp", s.stamp), family.Hex))
	interfaces := readOptional(host, c.user.dir+"/interface_uuids", parseInterfaces)
	put(all, attrInterfaces, family.Attribute(keep(memory, at, "interfaces", interfaces), core.String))
	part, size := family.Fact[string]{State: family.None}, family.Fact[int64]{State: family.None}
	if rom := c.part(l, "rom"); rom != "" {
		part, size = readOptional(host, rom+"/FPGA", parsePart), readMemory(host, rom)
	}
	put(all, attrPart, family.Attribute(keep(memory, at, "part", part), core.String))
	put(all, family.MemorySize, family.Attribute(keep(memory, at, "memory", size), mebibytes))
	put(all, attrDMA, family.Attribute(keep(memory, at, "dma", l.dma()), core.String))
	put(all, attrController, family.Attribute(c.controllerVersion(l), family.Version))
	return all
}

// parseInterfaces reads the UUIDs of a shell's interfaces, one a line, and joins
// them by commas.
func parseInterfaces(data []byte) (string, error) {
	list, err := family.UUIDs(data)
	if err == nil && len(list) == 0 {
		err = errNone
	}
	texts := make([]string, len(list))
	for i, u := range list {
		texts[i] = u.String()
	}
	return strings.Join(texts, ","), err
}

// parsePart reads the part name of an FPGA, which shells of two stages do not tell.
func parsePart(data []byte) (string, error) {
	if text, err := sysfs.Text(data); err == nil && text == "" {
		return "", errNone
	}
	return family.Word(data)
}

// readMemory returns the size of a card's memory in GiB, from the number of its
// banks and the size of each. Shells of two stages, and cards with HBM, show 0
// until an image is loaded.
func readMemory(host *sysfs.FS, rom string) family.Fact[int64] {
	count := readOptional(host, rom+"/ddr_bank_count_max", parseBanks)
	size := readOptional(host, rom+"/ddr_bank_size", parseBanks)
	if !count.Known() {
		return count
	}
	size.Value *= count.Value
	return size
}

// maxBanks is more banks, and more GiB in one, than any card has.
const maxBanks = 1024

// parseBanks reads a number of banks, or of GiB in one.
func parseBanks(data []byte) (int64, error) {
	n, err := sysfs.Uint(data)
	switch {
	case err != nil:
		return 0, err
	case n == 0 || n > maxBanks:
		return 0, errNone
	default:
		return int64(n), nil
	}
}

func mebibytes(gibibytes int64) core.Value { return core.Int(gibibytes*1024, core.MiB) }

// dma returns the name of the shell's DMA engine. There are engines of several
// versions: dma.qdma, dma.qdma4.
func (l look) dma() family.Fact[string] {
	for kind := range l.parts {
		for _, engine := range []string{"qdma", "xdma"} {
			if strings.HasPrefix(kind, "dma."+engine) {
				return family.Is(engine)
			}
		}
	}
	return family.Fact[string]{State: family.None}
}
