// Package amd simulates a machine with AMD GPUs: the /sys, /proc and /dev of the
// amdgpu driver, which is all that a program without ROCm sees of them.
//
// Whoever edits the scenario changes the machine while programs run on it; see
// README.md for its keys. What cannot be simulated with files: reads that hang,
// and the driver's own errors. A file that cannot be read fails with EISDIR where
// the driver says EPERM, EBUSY or EINVAL.
package amd

import (
	"embed"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

//go:embed profiles/*.scenario
var scenarios embed.FS

// vendor is what is AMD's about a simulated machine.
var vendor = &machine.Vendor{
	Name: "amd", Title: "AMD", Noun: "GPU", Prefix: "gpu", Identity: "pci.bus_id",
	Scenarios: scenarios,
	Faults:    faults,
	Tree:      hostTree,
	Describe:  describe,
	Settle:    settle,
}

// Vendor gives what is AMD's about a simulated machine.
func Vendor() *machine.Vendor { return vendor }

// Machine is a simulated machine. It is safe for concurrent use, also by
// several processes on the same directory.
type Machine struct {
	*machine.Machine
}

// Start makes a machine of a profile in dir, which must not exist or be empty.
// set changes keys of the profile.
func Start(dir, profile string, set map[string]string) (*Machine, error) {
	f, err := vendor.Scenario(profile, set)
	if err != nil {
		return nil, err
	}
	m, err := vendor.Start(dir, profile, f, nil)
	if err != nil {
		return nil, err
	}
	return &Machine{m}, nil
}

// Open finds the machine in a directory that Start has made.
func Open(dir string) (*Machine, error) {
	m, err := vendor.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Machine{m}, nil
}

// Upgrade puts another driver version in, which loads the driver anew.
func (m *Machine) Upgrade(version string) error {
	if err := m.Unload(); err != nil {
		return err
	}
	return m.SetAll(map[string]string{"driver.version": version, "driver.loaded": "true"})
}
