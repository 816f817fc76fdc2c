package ami

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

var (
	attrUUID     = &describe.Attribute{Name: "logic_uuid", Kind: core.KindString, On: name, Description: "UUID of the card's design."}
	attrProduct  = &describe.Attribute{Name: "product_name", Kind: core.KindString, On: name, Description: "Name of the board, as its data tell it."}
	attrFirmware = &describe.Attribute{Name: "amc_version", Kind: core.KindVersion, On: name, Description: "Version of the firmware on the card's controller (AMC)."}
)

// Attributes are the attributes that only this family's devices have.
var Attributes = []*describe.Attribute{attrUUID, attrProduct, attrFirmware}

// Stats are the statistics that only this family's devices have: there are none.
var Stats []*describe.Stat

// attributes returns the attributes of the card. What its board's data would tell
// cannot be read while its controller does not answer.
func (c *card) attributes(model family.Fact[string], uuid family.Fact[family.UUID]) map[string]core.Value {
	host := c.scan.Host
	all := map[string]core.Value{
		family.Name.Name:  core.String(name),
		family.Model.Name: family.Attribute(model, core.String),
		attrUUID.Name:     family.UUIDAttribute(uuid),
	}
	c.scan.PCIAttributes(all, c.address)
	product := family.Keep(c.scan.Memory, c.id()+" product", family.ReadWord(host, c.dir+"/product_name"))
	if !product.Known() {
		product = family.ReadWord(host, c.dir+"/dev_name")
	}
	all[attrProduct.Name] = family.Attribute(product, core.String)
	all[attrFirmware.Name] = family.Attribute(family.Read(host, c.dir+"/amc_version", parseFirmware), core.Version)
	all[family.MemorySize.Name] = family.Attribute(family.Read(host, c.dir+"/memory_size", parseMemory), func(mebibytes int64) core.Value {
		return core.Int(mebibytes, core.MiB)
	})
	return all
}

var firmware = regexp.MustCompile(`^(\d{1,3}\.\d{1,3}\.\d{1,3})( \+\d+ \*\d+)?$`)

// parseFirmware reads a version such as "3.0.0 +0 *0", which tells the commits and
// the local changes since that version.
func parseFirmware(data []byte) (string, error) {
	word, err := family.Word(data)
	if err != nil {
		return "", err
	}
	m := firmware.FindStringSubmatch(word)
	if m == nil {
		return "", fmt.Errorf("%w: %q is not a version such as \"3.0.0 +0 *0\"", sysfs.ErrMalformed, word)
	}
	return m[1], nil
}

// maxMemory is more GiB than any card has.
const maxMemory = 16 << 10

// parseMemory reads a size such as "32GB", in which memory makers mean GiB, and
// returns it in MiB. Boards without the datum say "N/A".
func parseMemory(data []byte) (int64, error) {
	word, err := family.Word(data)
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutSuffix(strings.ToUpper(word), "GB")
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 32)
	if !ok || err != nil || n == 0 || n > maxMemory {
		return 0, fmt.Errorf("%w: %q is not a size such as \"32GB\"", sysfs.ErrMalformed, word)
	}
	return int64(n) * 1024, nil
}
