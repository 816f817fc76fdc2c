package amd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

// driverName is the driver that runs a GPU, unless the scenario says otherwise.
const driverName = "amdgpu"

// gpu is a GPU of the scenario as the driver knows it.
type gpu struct {
	machine.View
	n       int
	address pcitree.Address
	minors  minors
	// parts are what compute can use it as: one, or its partitions.
	parts []part
}

// minors are the numbers that the GPU's first DRM devices, its partitions'
// platform devices and its hwmon have. They are counted when the driver loads
// and stay with a GPU when another goes.
type minors struct {
	card, render, platform, hwmon int
}

// lastRender is the last minor of a render node that a kernel gives: older ones
// have 64 of them.
const lastRender = 191

// part is a GPU or a partition of it.
type part struct {
	index int
	// card and render are the minors of its DRM devices.
	card, render int
	// platform is the number of its platform device, or -1: the first part has
	// the DRM devices of the PCI function.
	platform int
}

// maxPartitions is how many partitions a GPU that can be divided has DRM devices
// for, whether it is divided or not (amdgpu_xcp.c, MAX_XCP).
const maxPartitions = 8

// gpus reads all GPUs of a scenario, also those that were taken out: they keep
// their numbers.
func gpus(v machine.View) ([]gpu, error) {
	var all []gpu
	next := minors{
		card:   number(v.Machine("drm.card"), 0),
		render: number(v.Machine("drm.render"), 128),
		hwmon:  number(v.Machine("hwmon"), 0),
	}
	if v.Machine("display.driver") != "" {
		next.card++
	}
	seen := map[pcitree.Address]int{}
	for _, n := range v.Defined() {
		g := gpu{View: v, n: n, minors: next}
		var err error
		if g.address, err = pcitree.Parse(g.text("pci.bus_id")); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Key(n, "pci.bus_id"), err)
		}
		if other, ok := seen[g.address]; ok {
			return nil, fmt.Errorf("GPU %d and GPU %d have one PCI address, %v", other, n, g.address)
		}
		seen[g.address] = n
		if g.parts, err = g.divide(); err != nil {
			return nil, fmt.Errorf("GPU %d: %w", n, err)
		}
		next.hwmon++
		next.card++
		next.render++
		if g.divisible() {
			next.card += maxPartitions - 1
			next.render += maxPartitions - 1
			next.platform += maxPartitions - 1
		}
		all = append(all, g)
	}
	return all, nil
}

// partitions gives into how many parts a compute mode divides a GPU; CPX makes
// one of each die.
func partitions(mode string, dies int) (int, error) {
	count, ok := map[string]int{"SPX": 1, "DPX": 2, "TPX": 3, "QPX": 4, "CPX": dies, "UNKNOWN": 1}[mode]
	switch {
	case !ok:
		return 0, fmt.Errorf("compute_partition = %s: want SPX, DPX, TPX, QPX, CPX or UNKNOWN", mode)
	case count < 1 || dies%count != 0 || count > maxPartitions:
		return 0, fmt.Errorf("compute_partition = %s does not divide %d dies (xcc)", mode, dies)
	}
	return count, nil
}

// divisible reports whether the GPU can be divided: its driver has files for
// that.
func (g gpu) divisible() bool { return g.text("compute_partition") != "" }

func (g gpu) dies() int { return int(g.Number(g.n, "xcc", 1)) }

func (g gpu) divide() ([]part, error) {
	parts := []part{{card: g.minors.card, render: g.minors.render, platform: -1}}
	if !g.divisible() {
		return parts, nil
	}
	count, err := partitions(g.text("compute_partition"), g.dies())
	if err != nil {
		return nil, err
	}
	for i := 1; i < count; i++ {
		parts = append(parts, g.platformPart(i))
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.render > lastRender }), nil
}

// platformPart is partition i, from 1, with the DRM devices that it has in every
// mode.
func (g gpu) platformPart(i int) part {
	return part{index: i, card: g.minors.card + i, render: g.minors.render + i, platform: g.minors.platform + i - 1}
}

func (g gpu) text(key string) string { return g.Card(g.n, key) }

func (g gpu) is(key string, otherwise bool) bool { return g.True(g.n, key, otherwise) }

// bound reports whether amdgpu runs the GPU.
func (g gpu) bound() bool { return g.Loaded() && g.driver() == driverName }

// driver gives the kernel driver of the GPU, or "none".
func (g gpu) driver() string {
	if driver := g.text("driver"); driver != "" {
		return driver
	}
	return driverName
}

// drm reports whether the driver has come so far as to make DRM devices.
func (g gpu) drm() bool { return g.bound() && g.is("drm", true) }

// kfd reports whether compute can use the GPU.
func (g gpu) kfd() bool { return g.drm() && g.is("kfd", false) }

// id is the name of the whole GPU for a plugin.
func (g gpu) id() string {
	if unique := g.text("unique_id"); unique != "" && unique != machine.Empty && unique != machine.Unreadable {
		return "GPU-" + unique
	}
	return "PCI-" + g.address.String()
}

// ids are the names under which a plugin offers the GPU.
func (g gpu) ids() []string {
	if len(g.parts) == 1 {
		return []string{g.id()}
	}
	var all []string
	for _, p := range g.parts {
		all = append(all, fmt.Sprintf("%s/%s%d", g.id(), strings.ToLower(g.text("compute_partition")), p.index))
	}
	return all
}

func describe(v machine.View, n int, card *machine.Card) {
	card.Name = v.Card(n, "name")
	all, err := gpus(v)
	i := slices.IndexFunc(all, func(g gpu) bool { return g.n == n })
	if err != nil || i < 0 {
		return // a scenario edited by hand; the next edit says what is wrong
	}
	card.Address = all[i].address.String()
	card.Devices = all[i].ids()
	card.Nodes = map[string][]string{}
	for k, id := range card.Devices {
		card.Nodes[id] = []string{"/dev/kfd", fmt.Sprintf("/dev/dri/renderD%d", all[i].parts[k].render)}
	}
	card.Aliases = []string{all[i].id(), all[i].text("unique_id")}
}

// number reads a decimal number.
func number(text string, otherwise int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return otherwise
}

// words splits a list of a value.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
}

// sorted gives the keys of a map in their order.
func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
