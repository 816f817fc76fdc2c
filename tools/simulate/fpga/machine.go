// Package fpga simulates a machine with FPGAs: the /sys and /dev that the drivers of
// several makers' cards and SoCs make, which is all that a program without their
// libraries sees.
//
// Whoever edits the scenario changes the machine while programs run on it; see
// README.md for its keys. What cannot be simulated with files: reads that hang, and
// the drivers' own errors. A file that cannot be read fails with EISDIR where a
// driver says EBUSY, EINVAL or ENODATA.
package fpga

import (
	"embed"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

//go:embed profiles/*.scenario
var scenarios embed.FS

// vendor is what is FPGAs' about a simulated machine.
var vendor = &machine.Vendor{
	Name: "fpga", Title: "FPGA", Noun: "card", Prefix: "card", Identity: "family",
	Scenarios: scenarios,
	Faults:    faults,
	Tree:      hostTree,
	Describe:  describe,
}

// Vendor gives what is FPGAs' about a simulated machine.
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

// Profiles gives all profiles, by name.
func Profiles() []machine.Profile { return vendor.Profiles() }
