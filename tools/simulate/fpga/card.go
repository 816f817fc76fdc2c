package fpga

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
)

// card is an FPGA of the scenario as its driver knows it.
type card struct {
	machine.View
	n      int
	family family
	// address is the function that tasks use, mgmt the one that manages the
	// card. A card without one has the zero address there.
	address, mgmt pcitree.Address
	ports         []port
	counts        counts
}

// port is a port of a DFL or OPAE card.
type port struct {
	id   string // its number on the card
	node int    // the kernel's number
	// vf is the virtual function that has the port, and region the number of its
	// base region; the zero address: the port is with its card.
	vf     pcitree.Address
	region int
}

// counts are the numbers that the kernel has come to. They are counted when the
// drivers load and stay with a card when another goes.
type counts struct {
	base, port, region, manager, bridge, uio, hwmon, card, render, minor int
}

// cards reads all cards of a scenario, also those that were taken out: they keep
// their numbers.
func cards(v machine.View) ([]card, error) {
	var all []card
	next := counts{
		card:   number(v.Machine("drm.card"), 0),
		render: number(v.Machine("drm.render"), 128),
		hwmon:  number(v.Machine("hwmon"), 0),
		minor:  1, // the first is the driver's own
	}
	seen := map[pcitree.Address]int{}
	for _, n := range v.Defined() {
		c := card{View: v, n: n, counts: next}
		family, ok := families[c.text("family")]
		if !ok {
			return nil, fmt.Errorf("%s = %s: want one of %s", v.Key(n, "family"), c.text("family"), strings.Join(sorted(families), ", "))
		}
		c.family = family
		var addresses []pcitree.Address
		for _, a := range []struct {
			key    string
			to     *pcitree.Address
			needed bool
		}{
			{"pci.bus_id", &c.address, family.onPCI},
			{"mgmt.bus_id", &c.mgmt, family.managed || !c.is("user", true)},
		} {
			if err := c.parse(a.key, a.to, &addresses, a.needed); err != nil {
				return nil, err
			}
		}
		for _, id := range words(c.text("ports")) {
			p := port{id: id, node: next.port}
			if err := c.parse("port."+id+".vf", &p.vf, &addresses, false); err != nil {
				return nil, err
			}
			next.port++
			c.ports = append(c.ports, p)
		}
		for _, a := range addresses {
			if other, ok := seen[a]; ok {
				return nil, fmt.Errorf("card %d and card %d have one PCI address, %v", other, n, a)
			}
			seen[a] = n
		}
		if family.count != nil {
			family.count(&c, &next)
		}
		all = append(all, c)
	}
	return all, nil
}

// parse reads an address of the card and adds it to all of them.
func (c card) parse(key string, to *pcitree.Address, all *[]pcitree.Address, needed bool) error {
	text := c.text(key)
	if text == "" && !needed {
		return nil
	}
	var err error
	if *to, err = pcitree.Parse(text); err != nil {
		return fmt.Errorf("%s: %w", c.Key(c.n, key), err)
	}
	*all = append(*all, *to)
	return nil
}

func (c card) text(key string) string { return c.Card(c.n, key) }

func (c card) is(key string, otherwise bool) bool { return c.True(c.n, key, otherwise) }

// ofPort gives a value of a port: its own, or that of all ports of the card.
func (c card) ofPort(p port, key string) string {
	return cmp.Or(c.text("port."+p.id+"."+key), c.text(key))
}

// bound reports whether the card's driver runs it.
func (c card) bound() bool { return c.Loaded() && c.driver() == c.family.driver }

// driver gives the kernel driver of the function that tasks use, or "none".
func (c card) driver() string { return cmp.Or(c.text("driver"), c.family.driver) }

const (
	allOnes    = "ffffffffffffffffffffffffffffffff"
	register64 = "0xffffffffffffffff"
)

// fromCard gives what is read from the card, which has all bits set if the card has
// fallen off the bus. What the card does not have stays away.
func (c card) fromCard(text, ones string) string {
	if text != "" && c.is("lost", false) {
		return ones
	}
	return text
}

// uuid gives a UUID that is read from the card.
func (c card) uuid(text string) string { return c.fromCard(text, allOnes) }

// register gives a register of the card.
func (c card) register(key string) string { return c.fromCard(c.text(key), register64) }

// nodes reports whether /dev has the nodes for tasks.
func (c card) nodes() bool { return c.is("node", true) }

func describe(v machine.View, n int, to *machine.Card) {
	to.Name = v.Card(n, "name")
	all, err := cards(v)
	i := slices.IndexFunc(all, func(c card) bool { return c.n == n })
	if err != nil || i < 0 {
		return // a scenario edited by hand; the next edit says what is wrong
	}
	c := all[i]
	to.Nodes = c.family.devices(c)
	to.Devices = sorted(to.Nodes)
	for _, a := range []pcitree.Address{c.address, c.mgmt} {
		switch {
		case a == pcitree.Address{}:
		case to.Address == "":
			to.Address = a.String()
		default:
			to.Aliases = append(to.Aliases, a.String())
		}
	}
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
