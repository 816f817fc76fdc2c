package ami

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// instance is a card as a device.
type instance struct{ *card }

// chip is the name of a card's sensor chip.
const chip = "Alveo"

// Measure reads the statistics. While the card's controller does not answer there
// are none but its link.
func (i *instance) Measure(ctx context.Context) ([]core.Reading, error) {
	host := i.scan.Host
	var readings []core.Reading
	if states[readState(host, i.dir).Value].answers {
		readings = append(i.sensors(ctx), family.Serial.Is(family.Attribute(family.ReadWord(host, i.dir+"/board_serial"), core.String)))
	}
	return family.Measured(append(readings, i.link())...), ctx.Err()
}

// sensors reads the sensor chip, in the kernel's units. The driver gives the files
// with the labels a mode that nobody can read, so sensors go by their number; that
// the first temperature is the FPGA's, and the first power the board's, is an
// assumption that fits what the driver's own tool shows.
func (i *instance) sensors(ctx context.Context) []core.Reading {
	host := i.scan.Host
	var readings []core.Reading
	for _, hwmon := range family.NewScan(host, i.scan.Memory).Hwmons(i.dir) { // their numbers may have moved
		if hwmon.Name != chip {
			continue
		}
		for _, c := range family.Channels(host, hwmon) {
			if ctx.Err() != nil {
				return readings
			}
			r := c.Reading(host, c.Kind+strconv.Itoa(c.Number))
			switch {
			case c.Kind == "temp" && c.Number == 1:
				r = family.Temperature.Is(r.Value)
			case c.Kind == "power" && c.Number == 1:
				r = family.Power.Is(r.Value)
			}
			readings = append(readings, r)
		}
	}
	return readings
}

// link returns the card's PCIe link, as the driver tells it or else the kernel.
func (i *instance) link() core.Reading {
	generation := family.ReadInt(i.scan.Host, i.dir+"/link_speed_current")
	width := family.ReadInt(i.scan.Host, i.dir+"/link_width_current")
	if r := family.Link(int(generation.Value), int(width.Value)); r.Value.Known() {
		return r
	}
	return family.ReadLink(i.scan.Host, i.address)
}

// Grant hands over the management node, if the configuration says so, and nothing
// else. Of the card's functions the one that manages it is never a task's own.
func (i *instance) Grant(context.Context) (family.Grant, error) {
	g := family.Grant{Own: i.others}
	if !i.config.ExposeMgmtNode {
		return g, nil
	}
	node, err := i.mgmtNode()
	if err != nil {
		return family.Grant{}, fmt.Errorf("looking for the management node of %s: %w", i.address, err)
	}
	g.Nodes = []core.Node{{Path: node, Permissions: "rw"}}
	g.Exceptions = []string{node}
	return g, nil
}

var errNoNode = errors.New("the driver's table of devices does not list it")

// mgmtNode returns the management node of the card, by the driver's table. The
// table has no PCI domains, so of several cards that it may mean it is the one
// whose sensor chip has the number beside it.
func (i *instance) mgmtNode() (string, error) {
	host := i.scan.Host
	table := family.Read(host, driver+"/devices", parseTable)
	if !table.Known() {
		return "", table.Err
	}
	cards, err := host.ReadDir(driver)
	if err != nil {
		return "", err
	}
	same := func(a string) bool { return a == withoutDomain(i.address) }
	alike := 0
	for _, name := range cards {
		if a, err := pci.ParseAddress(name); err == nil && same(withoutDomain(a)) {
			alike++
		}
	}
	for _, r := range table.Value {
		if !same(r.address) {
			continue
		}
		if alike > 1 {
			there, err := host.Exists(path.Join(pci.Path(i.address), "hwmon", "hwmon"+strconv.Itoa(r.hwmon)))
			if err != nil {
				return "", err
			}
			if !there {
				continue
			}
		}
		return "/dev/ami" + strconv.Itoa(r.minor), nil
	}
	return "", errNoNode
}

// withoutDomain returns an address as the driver's table has it.
func withoutDomain(a core.PCIAddress) string {
	_, rest, _ := strings.Cut(string(a), ":")
	return rest
}

// row is one line of the driver's table of devices.
type row struct {
	address      string // without its domain: "c1:00.0"
	minor, hwmon int
}

// parseTable reads the driver's table: the number of cards, then a line for each.
func parseTable(data []byte) ([]row, error) {
	text, err := sysfs.Text(data)
	if err != nil {
		return nil, err
	}
	var rows []row
	for n, line := range family.Lines(text) {
		fields := strings.Fields(line)
		if n == 0 && len(fields) == 1 {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("%w: %q is not a line of the form \"c1:00.0 1 7\"", sysfs.ErrMalformed, line)
		}
		address, err := pci.ParseAddress(fields[0])
		minor, minorErr := strconv.ParseUint(fields[1], 10, 31)
		hwmon, hwmonErr := strconv.ParseUint(fields[2], 10, 31)
		if err := errors.Join(err, minorErr, hwmonErr); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", sysfs.ErrMalformed, line, err)
		}
		rows = append(rows, row{withoutDomain(address), int(minor), int(hwmon)})
	}
	return rows, nil
}
