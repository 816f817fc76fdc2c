// Package zocl finds the FPGA part of AMD (Xilinx) SoCs, such as Zynq UltraScale+,
// where XRT's embedded driver zocl is loaded. A task gets its render node. The SoC's
// FPGA manager, which loads the images, tells of its health.
//
// Sources: Xilinx/XRT, src/runtime_src/core/edge/drm/zocl; drivers/fpga/fpga-mgr.c
// of the kernel. The driver's file zocl_reset is for writing alone.
package zocl

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// name is the family's name.
const name = "zocl"

// driver is the directory of the driver, with a link for each of its devices.
const driver = "/sys/bus/platform/drivers/zocl-drm"

// deviceTree is where the device tree tells what the board is.
const deviceTree = "/sys/firmware/devicetree/base/"

// Family is the driver family of zocl.
type Family struct{}

var _ family.Family = Family{}

// New returns the family, which has no configuration.
func New() Family { return Family{} }

// Name returns "zocl".
func (Family) Name() string { return name }

// Discover lists the devices that the driver has. With them it claims the SoC's
// FPGA manager.
func (Family) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	bound, err := scan.Entries(driver)
	// The driver's directory has a link to its module too.
	bound = slices.DeleteFunc(slices.Clone(bound), func(e family.Entry) bool {
		return !strings.HasPrefix(e.Path, "/sys/devices/") || scan.Claimed(e.Path)
	})
	if len(bound) == 0 {
		return family.Found{}, err
	}
	managers, mgrErr := managers(scan)
	found := family.Found{Claims: slices.Clone(managers)}
	for _, e := range bound {
		d := device{scan: scan, name: strings.ReplaceAll(e.Name, ",", "_"), dir: e.Path, managers: managers}
		found.Claims = append(found.Claims, e.Path)
		found.Cards = append(found.Cards, family.Card{Key: d.name, Read: d.read})
	}
	if err == nil {
		err = mgrErr
	}
	return found, err
}

// maker begins the names of the FPGA managers of AMD's SoCs.
const maker = "xilinx"

// managers returns the directories of the SoC's own FPGA managers: those that are on
// no card.
func managers(scan *family.Scan) ([]string, error) {
	entries, err := scan.Entries(family.Managers)
	var dirs []string
	for _, e := range entries {
		if _, _, onPCI := family.Function(e.Path); onPCI || scan.Claimed(e.Path) {
			continue
		}
		label := family.Keep(scan.Memory, name+" "+e.Path+" name", family.ReadWord(scan.Host, e.Path+"/name"))
		if strings.HasPrefix(strings.ToLower(label.Value), maker) {
			dirs = append(dirs, e.Path)
		}
	}
	return dirs, err
}

// device is one device of the driver.
type device struct {
	scan     *family.Scan
	name     string   // of the platform device
	dir      string   // resolved
	managers []string // directories of the SoC's FPGA managers
}

func (d device) read(context.Context) ([]core.Device, error) {
	host, memory := d.scan.Host, d.scan.Memory
	if there, err := host.Exists(d.dir); err == nil && !there {
		return nil, nil // it went away while we looked
	}
	board := family.Keep(memory, name+" board", family.Read(host, deviceTree+"model", parseStrings))
	compatible := family.Keep(memory, name+" compatible", family.Read(host, deviceTree+"compatible", parseStrings))
	key := family.GroupKey{Vendor: "amd", Model: name}
	switch {
	case board.Known():
		key.Model = board.Value[0]
	case compatible.Known():
		key.Model = compatible.Value[0]
	}
	words := func(list []string) core.Value { return core.String(strings.Join(list, " ")) }
	read := core.Device{
		ID:    name + ":" + d.name,
		Group: memory.Group(key),
		Attributes: map[string]core.Value{
			family.Name.Name:       core.String(name),
			family.Board.Name:      family.Attribute(board, words),
			family.Compatible.Name: family.Attribute(compatible, words),
		},
		Faults: family.RenderFaults(host, d.dir, "look at the kernel log (dmesg) for zocl"),
		Ref:    d,
	}
	for _, dir := range d.managers {
		read.Faults = append(read.Faults, family.ManagerFaults(family.ReadWord(host, dir+"/state"))...)
	}
	return []core.Device{read}, nil
}

// Measure implements [family.Instance].
func (d device) Measure(context.Context) ([]core.Reading, error) {
	image := family.Read(d.scan.Host, d.dir+"/xclbinid", parseImages)
	return family.Measured(family.Image.Is(family.Attribute(image, core.String))), nil
}

// Grant hands over the render node.
func (d device) Grant(context.Context) (family.Grant, error) {
	nodes, err := family.RenderNodes(d.scan.Host, d.dir)
	if err != nil && !sysfs.IsAbsent(err) {
		return family.Grant{}, fmt.Errorf("looking for the render node: %w", err)
	}
	if len(nodes) == 0 {
		return family.Grant{}, fmt.Errorf("%s has no render node; look at the kernel log (dmesg) for zocl", d.name)
	}
	var g family.Grant
	for _, node := range nodes {
		g.Nodes = append(g.Nodes, core.Node{Path: node, Permissions: "rw"})
	}
	return g, nil
}

// parseStrings reads a string of the device tree, which is a list of words or names
// with a NUL byte behind each.
func parseStrings(data []byte) ([]string, error) {
	text, err := sysfs.Text(data)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, line := range family.Lines(text) {
		word, err := family.Word([]byte(line))
		if err != nil {
			return nil, err
		}
		list = append(list, word)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: the list is empty", sysfs.ErrMalformed)
	}
	return list, nil
}

// parseImages reads the images that are loaded: a line for each slot with its number,
// and with a UUID if it holds an image.
func parseImages(data []byte) (string, error) {
	text, err := sysfs.Text(data)
	if err != nil {
		return "", err
	}
	var images []string
	for _, line := range family.Lines(text) {
		slot, uuid, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := strconv.ParseUint(slot, 10, 31); err != nil {
			return "", fmt.Errorf("%w: %q does not begin with the number of a slot", sysfs.ErrMalformed, line)
		}
		list, err := family.UUIDs([]byte(uuid))
		if err != nil {
			return "", err
		}
		for _, u := range list {
			images = append(images, u.String())
		}
	}
	if len(images) == 0 {
		return "none", nil
	}
	return strings.Join(images, ","), nil
}
