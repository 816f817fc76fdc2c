package machine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// Fault is a way to break a card: keys of the scenario that it sets.
type Fault struct {
	Name    string
	Summary string // one line: what a program sees
	// Needs is a key without which a card cannot have the fault; empty: any can.
	Needs string
	// Set has the card's keys and what they become: "present=false". "+7" adds
	// to a number, which is 0 if there is none; "$clock.min" is the value of
	// another key.
	Set []string
	// Change is like Set for keys that the card has; others stay away.
	Change []string
}

// Break gives a card a fault by name.
func (m *Machine) Break(card int, fault string) error {
	i := slices.IndexFunc(m.vendor.Faults, func(f Fault) bool { return f.Name == fault })
	if i < 0 {
		var names []string
		for _, f := range m.vendor.Faults {
			names = append(names, f.Name)
		}
		return fmt.Errorf("there is no fault %q: use one of %s", fault, strings.Join(names, ", "))
	}
	return m.EditCard(card, func(f *scenario.File, v View) error {
		if err := m.vendor.Faults[i].apply(f, v, card); err != nil {
			return err
		}
		return m.broken(f, v, card, fault)
	})
}

func (m *Machine) broken(f *scenario.File, before View, card int, fault string) error {
	if m.vendor.Broken == nil {
		return nil
	}
	return m.vendor.Broken(f, before, card, fault)
}

func (fault Fault) apply(f *scenario.File, v View, card int) error {
	if fault.Needs != "" && v.Card(card, fault.Needs) == "" {
		return fmt.Errorf("%s %d (%s) cannot have the fault %s: it has no %s",
			v.vendor.Noun, card, v.Card(card, "name"), fault.Name, fault.Needs)
	}
	for _, assignment := range fault.Set {
		if err := assign(f, v, card, assignment); err != nil {
			return err
		}
	}
	for _, assignment := range fault.Change {
		if key, _, _ := strings.Cut(assignment, "="); v.Card(card, key) == "" {
			continue
		}
		if err := assign(f, v, card, assignment); err != nil {
			return err
		}
	}
	return nil
}

func assign(f *scenario.File, v View, card int, assignment string) error {
	key, value, _ := strings.Cut(assignment, "=")
	if more, ok := strings.CutPrefix(value, "+"); ok {
		if n, err := strconv.ParseInt(more, 10, 64); err == nil {
			value = strconv.FormatInt(v.Number(card, key, 0)+n, 10)
		}
	}
	if other, ok := strings.CutPrefix(value, "$"); ok {
		value = v.Card(card, other)
	}
	return f.Set(v.Key(card, key), value)
}

// Repair takes all faults from a card: what a fault can change is again as it was
// when the machine was started.
func (m *Machine) Repair(card int) error {
	origin, err := m.origin()
	if err != nil {
		return err
	}
	return m.EditCard(card, func(f *scenario.File, v View) error {
		for _, key := range slices.Sorted(maps.Keys(m.vendor.breakable(f, card))) {
			value, ok := origin.Get(key)
			if !ok {
				f.Unset(key)
				continue
			}
			if err := f.Set(key, value); err != nil {
				return err
			}
		}
		return m.broken(f, v, card, "")
	})
}

// breakable gives the keys of a card that faults can have changed.
func (vendor *Vendor) breakable(f *scenario.File, card int) map[string]bool {
	keys := make(map[string]bool)
	for _, fault := range vendor.Faults {
		for _, assignment := range slices.Concat(fault.Set, fault.Change) {
			key, _, _ := strings.Cut(assignment, "=")
			keys[vendor.key(card, key)] = true
		}
	}
	if vendor.Rules != "" {
		for key := range f.All() {
			if strings.HasPrefix(key, vendor.key(card, vendor.Rules)) {
				keys[key] = true
			}
		}
	}
	return keys
}
