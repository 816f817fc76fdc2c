// Package machine is what all simulated machines are, whatever their vendor: a
// directory with a scenario, which is a text that says what the hardware does,
// and below root the /sys, /proc and /dev that follow from it.
//
// Whoever edits the scenario changes the machine while programs run on it. The
// machine has no process: it is there from Start until Stop.
//
// A vendor's simulator is a [Vendor] and what is special about its machines:
// profiles, a function from scenario to tree, a table of faults.
package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// The files of every machine's directory.
const (
	scenarioName = "scenario"
	originName   = "profile" // the scenario as it was at the start
	rootName     = "root"
	markerName   = ".nomad-devices-simulated-" // and the vendor's name
)

// Keys that the scenarios of all vendors have.
const (
	presentKey = "present"       // of a card
	loadedKey  = "driver.loaded" // of the machine
)

// ErrNotAMachine is returned for a directory that Start did not make.
var ErrNotAMachine = errors.New("not a simulated machine")

// Machine is a simulated machine. It is safe for concurrent use, also by
// several processes on the same directory.
type Machine struct {
	vendor *Vendor
	dir    string
	store  *scenario.Store
}

// Start makes a machine of a vendor's scenario in dir, which must not exist or be
// empty. The profile's name is for people who look into the directory. fill, if
// not nil, puts further files there before the tree is made.
func (vendor *Vendor) Start(dir, profile string, f *scenario.File, fill func(dir string) error) (*Machine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: stop the machine in it, or name another directory", dir)
	}
	// A scenario that gives no tree leaves no directory.
	if _, err := vendor.Tree(vendor.View(f)); err != nil {
		return nil, fmt.Errorf("cannot make the machine: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the machine's directory: %w", err)
	}
	if err := os.WriteFile(vendor.marker(dir), []byte(profile+"\n"), 0o644); err != nil {
		return nil, fmt.Errorf("cannot make the machine: %w", err)
	}
	m := vendor.in(dir)
	if err := m.fill(f, fill); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the machine: %w", err), m.Stop())
	}
	return m, nil
}

func (m *Machine) fill(f *scenario.File, more func(dir string) error) error {
	if more != nil {
		if err := more(m.dir); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(m.dir, originName), f.Bytes(), 0o644); err != nil {
		return err
	}
	return m.Edit(func(now *scenario.File) error {
		*now = *f
		return nil
	})
}

// Open finds the vendor's machine in a directory that Start has made.
func (vendor *Vendor) Open(dir string) (*Machine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if !vendor.Owns(dir) {
		return nil, fmt.Errorf("%s: %w with %s hardware: make one with devctl simulate start", dir, ErrNotAMachine, vendor.Title)
	}
	return vendor.in(dir), nil
}

// Owns reports whether a machine of this vendor is in the directory.
func (vendor *Vendor) Owns(dir string) bool {
	_, err := os.Stat(vendor.marker(dir))
	return err == nil
}

func (vendor *Vendor) marker(dir string) string { return filepath.Join(dir, markerName+vendor.Name) }

func (vendor *Vendor) in(dir string) *Machine {
	return &Machine{vendor: vendor, dir: dir, store: scenario.Open(filepath.Join(dir, scenarioName))}
}

// Vendor says whose machine it is.
func (m *Machine) Vendor() *Vendor { return m.vendor }

// Dir is the machine's directory.
func (m *Machine) Dir() string { return m.dir }

// Root holds the machine's /sys, /proc and /dev: a plugin's host_root.
func (m *Machine) Root() string { return filepath.Join(m.dir, rootName) }

// Config is what makes a plugin use the machine: lines for its config block.
func (m *Machine) Config() string { return fmt.Sprintf("host_root = %q\n", m.Root()) }

// Edit changes the scenario in one step, and the tree after it. When change
// returns an error, or the tree cannot be made of what it did, nothing has
// changed.
func (m *Machine) Edit(change func(*scenario.File) error) error {
	var next *tree.Tree
	return m.store.Edit(func(f *scenario.File) error {
		before := m.vendor.View(f)
		if err := change(f); err != nil {
			return err
		}
		if m.vendor.Settle != nil {
			if err := m.vendor.Settle(f, before); err != nil {
				return err
			}
		}
		var err error
		next, err = m.vendor.Tree(m.vendor.View(f))
		return err
	}, func(*scenario.File) error { return next.Sync(m.Root()) })
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
	return m.Edit(func(f *scenario.File) error { return f.SetAll(values) })
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

// Unload takes the driver away: what it shows in /proc, /sys and /dev is gone.
func (m *Machine) Unload() error { return m.Set(loadedKey, "false") }

// Load brings the driver back.
func (m *Machine) Load() error { return m.Set(loadedKey, "true") }

// Stop removes the machine, and its directory when nothing else is in it.
func (m *Machine) Stop() error {
	if _, err := m.vendor.Open(m.dir); err != nil {
		return err
	}
	names := append([]string{rootName, originName, scenarioName, "." + scenarioName + ".lock"}, m.vendor.Files...)
	// The marker goes last: a machine half removed can be removed again.
	names = append(names, filepath.Base(m.vendor.marker(m.dir)))
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(m.dir, name)); err != nil {
			return fmt.Errorf("cannot remove the machine: %w", err)
		}
	}
	if err := os.Remove(m.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the machine is gone, its directory stays, since other files are in it: %w", err)
	}
	return nil
}
