package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/fpga"
	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// simulator is a vendor whose machines can be simulated.
type simulator struct {
	*machine.Vendor
	// start makes a machine.
	start func(ctx context.Context, dir, profile string, opts startOptions) (simulated, error)
	// open finds one that was made.
	open func(dir string) (simulated, error)
	// conformance is how the machines are broken for the conformance suite.
	conformance breakage
}

// startOptions are what a machine can be started with.
type startOptions struct {
	set map[string]string
	// library and without are of the driver library that NVIDIA's machines have.
	library string
	without []string
}

// simulated is a simulated machine of any vendor. What only some vendors'
// machines can do is found by type assertion.
type simulated interface {
	Vendor() *machine.Vendor
	Dir() string
	Root() string
	Config() string
	Stop() error

	SetAll(values map[string]string) error
	Unset(keys ...string) error
	Cards() ([]machine.Card, error)
	Find(name string) (int, error)
	Break(card int, fault string) error
	Repair(card int) error
	Load() error
	Unload() error
	Get(key string) (value string, ok bool, err error)
	Scenario() (*scenario.File, error)
}

// breakage says how machines of a vendor are broken for the conformance suite.
type breakage struct {
	// card has the names of the faults of a card that the suite knows in words of
	// its own. One that is not here cannot be made.
	card map[conformance.Fault]string
	// driver has what breaks the driver: keys of the scenario.
	driver map[conformance.Fault]map[string]string
	// vary has keys of a card that it measures, and what they are at a step. A
	// card that does not have a key does not get it.
	vary map[string]func(step int) string
	// settings make a plugin notice quickly; host_root is set for all.
	settings map[string]any
}

// simulators are all vendors, by name.
var simulators = []simulator{
	{
		Vendor: amd.Vendor(),
		start: func(_ context.Context, dir, profile string, opts startOptions) (simulated, error) {
			if opts.library != "" || len(opts.without) > 0 {
				return nil, noLibrary(profile, amd.Vendor())
			}
			return amd.Start(dir, profile, opts.set)
		},
		open: func(dir string) (simulated, error) { return amd.Open(dir) },
		conformance: breakage{
			// A file cannot hang.
			card: map[conformance.Fault]string{conformance.Fail: "unreadable", conformance.Remove: "gone"},
			driver: map[conformance.Fault]map[string]string{
				conformance.Fail:   {"lists.unreadable": "true"},
				conformance.Remove: {"driver.loaded": "false"},
			},
			vary: map[string]func(int) string{
				"temperature":      counting(40, 1),
				"temperature.edge": counting(38, 1),
				"power.average":    counting(90000, 1000),
				"power.input":      counting(90000, 1000),
				"memory.used":      counting(100<<20, 1<<20),
				"utilization.gpu":  counting(10, 10),
				"clock.graphics":   counting(500, 100),
				"pcie.generation":  counting(1, 1),
			},
			settings: map[string]any{
				"ras_period": "1s",
				"health":     map[string]any{"unhealthy_after": "1", "recover_after": "1"},
			},
		},
	},
	{
		Vendor: fpga.Vendor(),
		start: func(_ context.Context, dir, profile string, opts startOptions) (simulated, error) {
			if opts.library != "" || len(opts.without) > 0 {
				return nil, noLibrary(profile, fpga.Vendor())
			}
			return fpga.Start(dir, profile, opts.set)
		},
		open: func(dir string) (simulated, error) { return fpga.Open(dir) },
		conformance: breakage{
			card: map[conformance.Fault]string{conformance.Fail: "unreadable", conformance.Remove: "gone"},
			driver: map[conformance.Fault]map[string]string{
				conformance.Fail:   {"lists.unreadable": "true"},
				conformance.Remove: {"driver.loaded": "false"},
			},
			vary: map[string]func(int) string{
				"engine.temperature": counting(40, 1),
				"engine.power":       counting(20, 1),
				"sensor.temp1":       counting(40, 1),
				"sensor.temp2":       counting(41, 1),
				"sensor.temp4":       counting(42, 1),
				"sensor.power1":      counting(50, 1),
				"errors.fme":         counting(1, 1),
				"pcie.generation":    counting(1, 1),
				"manager.status":     func(step int) string { return fmt.Sprintf("reconfig error %d", step) },
				"xclbin":             func(step int) string { return fmt.Sprintf("0f3b6c52-98a1-4de7-b604-%012d", step) },
			},
			settings: map[string]any{
				"fpga_managers": "true",
				"health":        map[string]any{"unhealthy_after": "1", "recover_after": "1"},
			},
		},
	},
	{
		Vendor: nvidia.Vendor(),
		start: func(ctx context.Context, dir, profile string, opts startOptions) (simulated, error) {
			return nvidia.Start(ctx, dir, profile, nvidia.Options{Set: opts.set, Library: opts.library, Without: opts.without})
		},
		open: func(dir string) (simulated, error) { return nvidia.Open(dir) },
		conformance: breakage{
			card: map[conformance.Fault]string{conformance.Fail: "lost", conformance.Hang: "hang", conformance.Remove: "removed"},
			driver: map[conformance.Fault]map[string]string{
				// 999 is NVML_ERROR_UNKNOWN, of the functions that list the GPUs.
				conformance.Fail: {
					"call.nvmlDeviceGetCount_v2.return":         "999",
					"call.nvmlDeviceGetHandleByIndex_v2.return": "999",
				},
				conformance.Hang:   {"call.*.hang": "true"},
				conformance.Remove: {"driver.loaded": "false"},
			},
			vary: map[string]func(int) string{
				"temperature": counting(40, 1),
				"power.usage": counting(90000, 1000),
				"memory.used": counting(100<<20, 100<<20),
			},
			settings: map[string]any{"health": map[string]any{"recover_after": "1"}},
		},
	},
}

func noLibrary(profile string, vendor *machine.Vendor) error {
	return fmt.Errorf("%s is a machine with %s hardware, which has no driver library: leave out --library and --without", profile, vendor.Title)
}

// counting gives a value that grows from step to step.
func counting(first, step int) func(int) string {
	return func(n int) string { return strconv.Itoa(first + step*n) }
}

// profileOf finds the vendor that has a profile.
func profileOf(profile string) (simulator, error) {
	var names []string
	for _, s := range simulators {
		for _, p := range s.Profiles() {
			if p.Name == profile {
				return s, nil
			}
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return simulator{}, usageError{fmt.Errorf("there is no profile %q: use one of %s", profile, strings.Join(names, ", "))}
}

// openMachine opens the machine in a directory, whosever it is.
func openMachine(dir string) (simulated, error) {
	for _, s := range simulators {
		if s.Owns(dir) {
			return s.open(dir)
		}
	}
	return nil, fmt.Errorf("%s: %w: make one with devctl simulate start", dir, machine.ErrNotAMachine)
}

// simulatorOf gives the vendor of a machine.
func simulatorOf(m simulated) simulator {
	i := slices.IndexFunc(simulators, func(s simulator) bool { return s.Vendor == m.Vendor() })
	return simulators[i]
}

// able gives a machine that can do something of its own, or says in words that
// machines of its vendor cannot.
func able[T any](m simulated, what string) (T, error) {
	can, ok := m.(T)
	if !ok {
		return can, fmt.Errorf("the machine in %s has %s hardware, which has no %s", m.Dir(), m.Vendor().Title, what)
	}
	return can, nil
}
