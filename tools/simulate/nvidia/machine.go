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
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// The files of a machine's directory.
const (
	scenarioName = "scenario"
	originName   = "profile" // the scenario as it was at the start
	callsName    = "calls"
	rootName     = "root"
	markerName   = ".nomad-devices-simulated-nvidia"
)

// ErrNotAMachine is returned for a directory that Start did not make.
var ErrNotAMachine = errors.New("not a simulated NVIDIA machine")

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
	dir   string
	store *scenario.Store
}

// Start makes a machine of a profile in dir, which must not exist or be empty.
// The machine has no process: it is there until Stop.
func Start(ctx context.Context, dir, profile string, opts Options) (*Machine, error) {
	p, err := profileByName(profile)
	if err != nil {
		return nil, err
	}
	f, err := scenario.Parse(p.Text)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", profile, err)
	}
	for _, key := range slices.Sorted(maps.Keys(opts.Set)) {
		if err := f.Set(key, opts.Set[key]); err != nil {
			return nil, err
		}
	}
	library, err := findLibrary(ctx, newView(f), opts)
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: stop the machine in it, or name another directory", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the machine's directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, markerName), []byte(profile+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("cannot make the machine: %w", err)
	}
	m := &Machine{dir: dir, store: scenario.Open(filepath.Join(dir, scenarioName))}
	if err := m.fill(f, library); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the machine: %w", err), m.Stop())
	}
	return m, nil
}

func (m *Machine) fill(f *scenario.File, library string) error {
	if err := copyFile(library, m.Library()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(m.dir, originName), f.Bytes(), 0o644); err != nil {
		return err
	}
	return m.Edit(func(now *scenario.File) error {
		*now = *f
		return nil
	})
}

func findLibrary(ctx context.Context, v view, opts Options) (string, error) {
	if opts.Library != "" {
		return opts.Library, nil
	}
	api := v.machine("driver.api")
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
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, markerName)); err != nil {
		return nil, fmt.Errorf("%s: %w: make one with devctl simulate start", dir, ErrNotAMachine)
	}
	return &Machine{dir: dir, store: scenario.Open(filepath.Join(dir, scenarioName))}, nil
}

// Dir is the machine's directory.
func (m *Machine) Dir() string { return m.dir }

// Library is the simulated driver: a plugin's nvml_library.
func (m *Machine) Library() string { return filepath.Join(m.dir, libraryName) }

// Root holds the machine's /sys, /proc and /dev: a plugin's host_root.
func (m *Machine) Root() string { return filepath.Join(m.dir, rootName) }

// Config is what makes a plugin use the machine: two lines for its config block.
func (m *Machine) Config() string {
	return fmt.Sprintf("nvml_library = %q\nhost_root    = %q\n", m.Library(), m.Root())
}

// Edit changes the scenario in one step, and the tree after it. When change
// returns an error nothing has changed.
func (m *Machine) Edit(change func(*scenario.File) error) error {
	return m.store.Edit(change, func(f *scenario.File) error {
		return hostTree(newView(f)).Sync(m.Root())
	})
}

// Get gives the value of a key, and whether the scenario has it.
func (m *Machine) Get(key string) (string, bool, error) {
	f, err := m.store.Read()
	if err != nil {
		return "", false, err
	}
	value, ok := f.Get(key)
	return value, ok, nil
}

// Scenario gives the scenario as it is now.
func (m *Machine) Scenario() (*scenario.File, error) { return m.store.Read() }

// origin gives the scenario as it was at the start.
func (m *Machine) origin() (*scenario.File, error) {
	return scenario.Open(filepath.Join(m.dir, originName)).Read()
}

// Set changes a key.
func (m *Machine) Set(key, value string) error {
	return m.SetAll(map[string]string{key: value})
}

// SetAll changes several keys in one step.
func (m *Machine) SetAll(values map[string]string) error {
	return m.Edit(func(f *scenario.File) error { return setAll(f, values) })
}

func setAll(f *scenario.File, values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := f.Set(key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

// Unset removes keys; a key that is not there is no error.
func (m *Machine) Unset(keys ...string) error {
	return m.Edit(func(f *scenario.File) error {
		for _, key := range keys {
			f.Unset(key)
		}
		return nil
	})
}

// Stop removes the machine, and its directory when nothing else is in it.
func (m *Machine) Stop() error {
	if _, err := Open(m.dir); err != nil {
		return err
	}
	// The marker goes last: a machine half removed can be removed again.
	for _, name := range []string{libraryName, rootName, callsName, originName, scenarioName, "." + scenarioName + ".lock", markerName} {
		if err := os.RemoveAll(filepath.Join(m.dir, name)); err != nil {
			return fmt.Errorf("cannot remove the machine: %w", err)
		}
	}
	if err := os.Remove(m.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the machine is gone, its directory stays, since other files are in it: %w", err)
	}
	return nil
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
