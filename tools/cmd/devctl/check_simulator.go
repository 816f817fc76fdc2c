package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// hardware is a simulated machine in the hands of the conformance suite.
type hardware struct {
	machine simulated
	vendor  simulator
	// cards are the cards that the machine has as it is given.
	cards map[int]machine.Card
	// before has the keys that breaking the driver changes, as they were.
	before map[string]string
}

// countingHardware is hardware with a driver library that counts its calls.
type countingHardware struct {
	*hardware
	counter interface {
		Calls() (map[string]uint64, error)
	}
}

var (
	_ conformance.HardwareWithCalls    = countingHardware{}
	_ conformance.HardwareWithFaults   = (*hardware)(nil)
	_ conformance.HardwareWithReadings = (*hardware)(nil)
)

// openHardware opens the machine in a directory.
func openHardware(dir string) (*hardware, error) {
	m, err := openMachine(dir)
	if err != nil {
		return nil, err
	}
	all, err := m.Cards()
	if err != nil {
		return nil, err
	}
	h := &hardware{machine: m, vendor: simulatorOf(m), cards: map[int]machine.Card{}, before: map[string]string{}}
	for _, card := range all {
		if card.Present {
			h.cards[card.Number] = card
		}
	}
	for _, keys := range h.vendor.conformance.driver {
		for key := range keys {
			if value, ok, err := m.Get(key); err != nil {
				return nil, err
			} else if ok {
				h.before[key] = value
			}
		}
	}
	return h, nil
}

// forSuite gives the hardware with all that it can do.
func (h *hardware) forSuite() conformance.Hardware {
	if counter, ok := h.machine.(interface {
		Calls() (map[string]uint64, error)
	}); ok {
		return countingHardware{h, counter}
	}
	return h
}

// environment makes a plugin find the machine's driver library that has no
// setting for it.
func (h *hardware) environment() []string {
	if _, ok := h.machine.(interface{ Library() string }); ok {
		return []string{"LD_LIBRARY_PATH=" + h.machine.Dir()}
	}
	return nil
}

// settings make a plugin use the machine, and look at it often. Those that the
// plugin's schema does not have are left out.
func (h *hardware) settings(schema *hclspec.Spec) map[string]any {
	all := map[string]any{
		"host_root":          h.machine.Root(),
		"fingerprint_period": "1s",
		"driver_timeout":     "1s",
		"stats_timeout":      "500ms",
	}
	if library, ok := h.machine.(interface{ Library() string }); ok {
		all["nvml_library"] = library.Library()
	}
	maps.Copy(all, h.vendor.conformance.settings)
	known := schema.GetObject().GetAttributes()
	maps.DeleteFunc(all, func(key string, _ any) bool { return known[key] == nil })
	return all
}

// Break implements [conformance.Hardware].
func (h *hardware) Break(id string, fault conformance.Fault) ([]string, error) {
	card, err := h.machine.Find(id)
	if err != nil {
		return nil, err
	}
	name := string(fault)
	switch fault {
	case conformance.Fail, conformance.Hang, conformance.Remove:
		if name = h.vendor.conformance.card[fault]; name == "" {
			return nil, h.cannot(fault)
		}
	}
	if err := h.machine.Break(card, name); err != nil { // a card without what the fault is about
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return h.cards[card].Devices, nil
}

func (h *hardware) cannot(fault conformance.Fault) error {
	return fmt.Errorf("%w: %s hardware is simulated with files alone, which do not %s", errors.ErrUnsupported, h.vendor.Title, fault)
}

// BreakAll implements [conformance.Hardware].
func (h *hardware) BreakAll(fault conformance.Fault) error {
	keys, ok := h.vendor.conformance.driver[fault]
	if !ok {
		return h.cannot(fault)
	}
	return h.machine.SetAll(keys)
}

// Repair implements [conformance.Hardware].
func (h *hardware) Repair() error {
	var gone []string
	for _, keys := range h.vendor.conformance.driver {
		for key := range keys {
			if _, ok := h.before[key]; !ok {
				gone = append(gone, key)
			}
		}
	}
	errs := []error{h.machine.Unset(gone...), h.machine.SetAll(h.before)}
	for card := range h.cards {
		errs = append(errs, h.machine.Repair(card))
	}
	return errors.Join(errs...)
}

// Faults implements [conformance.HardwareWithFaults].
func (h *hardware) Faults() []conformance.Fault {
	var names []conformance.Fault
	common := slices.Collect(maps.Values(h.vendor.conformance.card))
	for _, f := range h.vendor.Faults {
		if !slices.Contains(common, f.Name) {
			names = append(names, conformance.Fault(f.Name))
		}
	}
	return names
}

// Vary implements [conformance.HardwareWithReadings].
func (h *hardware) Vary(step int) error {
	f, err := h.machine.Scenario()
	if err != nil {
		return err
	}
	v := h.vendor.View(f)
	values := map[string]string{}
	for card := range h.cards {
		for key, at := range h.vendor.conformance.vary {
			if v.Card(card, key) != "" {
				values[v.Key(card, key)] = at(step)
			}
		}
	}
	return h.machine.SetAll(values)
}

// Calls implements [conformance.HardwareWithCalls].
func (h countingHardware) Calls() (uint64, error) {
	calls, err := h.counter.Calls()
	total := uint64(0)
	for _, n := range calls {
		total += n
	}
	return total, err
}
