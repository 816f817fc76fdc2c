// Package nvidia simulates a machine with NVIDIA GPUs: a driver library that an
// unmodified NVML program loads, and the /sys, /proc and /dev around it.
//
// A machine is a directory. It holds the library, the scenario that says what
// the library answers, the counts of its calls, and the tree. Whoever edits the
// scenario changes the machine while programs run on it; see README.md for its
// keys.
package nvidia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// callsName is the file of the counters.
const callsName = "calls"

// vendor is what is NVIDIA's about a simulated machine.
var vendor = &machine.Vendor{
	Name: "nvidia", Title: "NVIDIA", Noun: "GPU", Prefix: "gpu", Identity: "uuid",
	Scenarios: profiles,
	Faults:    plain(faults),
	Rules:     "call.",
	Files:     []string{libraryName, callsName},
	Tree:      func(v machine.View) (*tree.Tree, error) { return hostTree(view{v}), nil },
	Describe:  describe,
	Broken:    broken,
}

// Vendor gives what is NVIDIA's about a simulated machine.
func Vendor() *machine.Vendor { return vendor }

// Options change how a machine starts. The zero value takes the profile as it
// is and compiles the driver for it.
type Options struct {
	// Set changes keys of the profile, like "driver.api": "12.4".
	Set map[string]string
	// Library is a simulated driver that is compiled already; empty: the one
	// beside the program, or else it is compiled.
	Library string
	// Without names functions that the driver shall not have.
	Without []string
}

// Machine is a simulated machine. It is safe for concurrent use, also by
// several processes on the same directory.
type Machine struct {
	*machine.Machine
}

// Start makes a machine of a profile in dir, which must not exist or be empty.
// The machine has no process: it is there until Stop.
func Start(ctx context.Context, dir, profile string, opts Options) (*Machine, error) {
	f, err := vendor.Scenario(profile, opts.Set)
	if err != nil {
		return nil, err
	}
	library, err := findLibrary(ctx, newView(f), opts)
	if err != nil {
		return nil, err
	}
	m, err := vendor.Start(dir, profile, f, func(dir string) error {
		return copyFile(library, filepath.Join(dir, libraryName))
	})
	if err != nil {
		return nil, err
	}
	return &Machine{m}, nil
}

func findLibrary(ctx context.Context, v view, opts Options) (string, error) {
	if opts.Library != "" {
		return opts.Library, nil
	}
	api := v.Machine("driver.api")
	if api == "" {
		return "", errors.New("the scenario has no driver.api: set it to an NVML header version like 13.0")
	}
	if len(opts.Without) == 0 {
		if program, err := os.Executable(); err == nil {
			beside := filepath.Join(filepath.Dir(program), "simulated-nvidia-"+api+".so")
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
	}
	return Build(ctx, api, opts.Without...)
}

// Open finds the machine in a directory that Start has made.
func Open(dir string) (*Machine, error) {
	m, err := vendor.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Machine{m}, nil
}

// Library is the simulated driver: a plugin's nvml_library.
func (m *Machine) Library() string { return filepath.Join(m.Dir(), libraryName) }

// Config is what makes a plugin use the machine: two lines for its config block.
func (m *Machine) Config() string {
	return fmt.Sprintf("nvml_library = %q\nhost_root    = %q\n", m.Library(), m.Root())
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
