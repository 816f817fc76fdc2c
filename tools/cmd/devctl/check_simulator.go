package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// simulated is a simulated machine in the hands of the conformance suite.
type simulated struct {
	machine *nvidia.Machine
	// cards are the devices of each GPU, as the plugin names them.
	cards map[int][]string
}

var (
	_ conformance.HardwareWithCalls    = (*simulated)(nil)
	_ conformance.HardwareWithFaults   = (*simulated)(nil)
	_ conformance.HardwareWithReadings = (*simulated)(nil)
)

// openSimulated opens the machine in a directory.
func openSimulated(dir string) (*simulated, error) {
	machine, err := nvidia.Open(dir)
	if err != nil {
		return nil, err
	}
	gpus, err := machine.GPUs()
	if err != nil {
		return nil, err
	}
	s := &simulated{machine: machine, cards: map[int][]string{}}
	for _, g := range gpus {
		if !g.Present {
			continue
		}
		s.cards[g.Number] = []string{g.UUID}
		if len(g.MIG) > 0 {
			s.cards[g.Number] = nil
		}
		for _, d := range g.MIG {
			s.cards[g.Number] = append(s.cards[g.Number], d.UUID)
		}
	}
	return s, nil
}

// environment makes a plugin find the machine's driver library that has no
// setting for it.
func (s *simulated) environment() []string {
	return []string{"LD_LIBRARY_PATH=" + s.machine.Dir()}
}

// settings make a plugin use the machine, and look at it often. Those that the
// plugin's schema does not have are left out.
func (s *simulated) settings(schema *hclspec.Spec) map[string]any {
	all := map[string]any{
		"nvml_library":       s.machine.Library(),
		"host_root":          s.machine.Root(),
		"fingerprint_period": "1s",
		"driver_timeout":     "1s",
		"stats_timeout":      "500ms",
		"health":             map[string]any{"recover_after": "1"},
	}
	known := schema.GetObject().GetAttributes()
	maps.DeleteFunc(all, func(key string, _ any) bool { return known[key] == nil })
	return all
}

// Break implements [conformance.Hardware].
func (s *simulated) Break(id string, fault conformance.Fault) ([]string, error) {
	gpu, err := s.machine.Find(id)
	if err != nil {
		return nil, err
	}
	switch fault {
	case conformance.Fail:
		err = s.machine.Lose(gpu)
	case conformance.Hang:
		err = s.machine.Hang(gpu, nvidia.EveryFunction)
	case conformance.Remove:
		err = s.machine.Remove(gpu)
	default:
		if err = s.machine.Break(gpu, string(fault)); err != nil {
			err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
		}
	}
	return s.cards[gpu], err
}

// nvmlUnknown is NVML_ERROR_UNKNOWN.
const nvmlUnknown = 999

// listing are the functions that list the GPUs.
var listing = []string{"nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2"}

// BreakAll implements [conformance.Hardware].
func (s *simulated) BreakAll(fault conformance.Fault) error {
	switch fault {
	case conformance.Fail:
		for _, function := range listing {
			if err := s.machine.Fail(nvidia.AllGPUs, function, nvmlUnknown); err != nil {
				return err
			}
		}
		return nil
	case conformance.Hang:
		return s.machine.Hang(nvidia.AllGPUs, nvidia.EveryFunction)
	case conformance.Remove:
		return s.machine.Unload()
	default:
		return errors.ErrUnsupported
	}
}

// Repair implements [conformance.Hardware].
func (s *simulated) Repair() error {
	errs := []error{s.machine.Load(), s.machine.Release(nvidia.AllGPUs, nvidia.EveryFunction)}
	for _, function := range listing {
		errs = append(errs, s.machine.Fail(nvidia.AllGPUs, function, 0))
	}
	for gpu := range s.cards {
		errs = append(errs, s.machine.Repair(gpu), s.machine.Add(gpu))
	}
	return errors.Join(errs...)
}

// Calls implements [conformance.HardwareWithCalls].
func (s *simulated) Calls() (uint64, error) {
	calls, err := s.machine.Calls()
	total := uint64(0)
	for _, n := range calls {
		total += n
	}
	return total, err
}

// Faults implements [conformance.HardwareWithFaults].
func (s *simulated) Faults() []conformance.Fault {
	var names []conformance.Fault
	for _, f := range nvidia.Faults() {
		// These two are the common ones, under another name.
		if !slices.Contains([]string{"hang", "removed"}, f.Name) {
			names = append(names, conformance.Fault(f.Name))
		}
	}
	return names
}

// Vary implements [conformance.HardwareWithReadings].
func (s *simulated) Vary(step int) error {
	values := map[string]string{}
	for gpu := range s.cards {
		prefix := "gpu." + strconv.Itoa(gpu) + "."
		values[prefix+"temperature"] = strconv.Itoa(40 + step)
		values[prefix+"power.usage"] = strconv.Itoa(90000 + 1000*step)
		values[prefix+"memory.used"] = strconv.Itoa(100*(step+1)) + " MiB"
	}
	return s.machine.SetAll(values)
}
