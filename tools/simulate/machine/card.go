package machine

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// Card is a card of the scenario: what fails alone, and goes and comes as one.
type Card struct {
	// Number in the scenario.
	Number int
	// Present is false for a card that was taken out.
	Present bool
	// Name is the model.
	Name string
	// Address is the PCI address as sysfs has it, or empty.
	Address string
	// Devices are the IDs under which a plugin offers the card: one, or one for
	// each part of it.
	Devices []string
	// Nodes are the device nodes that a task needs for each of these devices, by
	// its ID. A machine that does not say leaves them out.
	Nodes map[string][]string
	// Aliases are further names by which people know the card.
	Aliases []string
}

// Cards gives the cards of the scenario, also those that were taken out.
func (m *Machine) Cards() ([]Card, error) {
	f, err := m.store.Read()
	if err != nil {
		return nil, err
	}
	return m.vendor.View(f).Cards(), nil
}

// Cards gives the cards of the scenario, also those that were taken out.
func (v View) Cards() []Card {
	var all []Card
	for _, n := range v.Defined() {
		card := Card{Number: n, Present: v.True(n, presentKey, true)}
		v.vendor.Describe(v, n, &card)
		all = append(all, card)
	}
	return all
}

// Find gives the number of the card that is named by its number, its PCI
// address, or the ID of one of its devices or of a part of one.
func (m *Machine) Find(name string) (int, error) {
	cards, err := m.Cards()
	if err != nil {
		return 0, err
	}
	if whole, ok := share.CutID(name); ok {
		name = whole
	}
	for _, card := range cards {
		if name == strconv.Itoa(card.Number) || name != "" && name == card.Address ||
			slices.Contains(card.Devices, name) || slices.Contains(card.Aliases, name) {
			return card.Number, nil
		}
	}
	return 0, fmt.Errorf("the machine in %s has no %s %q: name it by number (%s), device ID or PCI address",
		m.dir, m.vendor.Noun, name, numbers(cards))
}

// numbers words which cards there are.
func numbers(cards []Card) string {
	if len(cards) == 0 {
		return "it has none"
	}
	if first, last := cards[0].Number, cards[len(cards)-1].Number; first != last {
		return fmt.Sprintf("%d to %d", first, last)
	}
	return strconv.Itoa(cards[0].Number)
}

// Remove takes a card out of the machine.
func (m *Machine) Remove(card int) error { return m.SetCard(card, presentKey, "false") }

// Add puts a removed card back.
func (m *Machine) Add(card int) error { return m.SetCard(card, presentKey, "true") }

// SetCard changes a key of one card, which must exist.
func (m *Machine) SetCard(card int, key, value string) error {
	return m.EditCard(card, func(f *scenario.File, v View) error { return f.Set(v.Key(card, key), value) })
}

// EditCard changes the scenario in one step for one card, which must exist.
// change gets the view of the scenario before the change.
func (m *Machine) EditCard(card int, change func(f *scenario.File, v View) error) error {
	return m.Edit(func(f *scenario.File) error {
		v := m.vendor.View(f)
		if defined := v.Defined(); !slices.Contains(defined, card) {
			return fmt.Errorf("the machine in %s has no %s %d: it has %d", m.dir, m.vendor.Noun, card, defined)
		}
		return change(f, v)
	})
}
