package machine

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// Vendor is what tells the machines of one vendor from those of others. It is
// made once and not changed after that.
type Vendor struct {
	// Name is the vendor as in a device group: "amd". It is part of what marks
	// a machine's directory.
	Name string
	// Title is the vendor as people write it: "AMD".
	Title string
	// Noun is what one of the machine's cards is called in messages: "GPU".
	Noun string
	// Prefix is the first word of the keys of a card: "gpu" of
	// "gpu.0.temperature".
	Prefix string
	// Identity is the key that makes a card: there is a card N when the scenario
	// has it for N itself, like "gpu.3.uuid".
	Identity string
	// Scenarios has the machines that can be started, as
	// profiles/NAME.scenario. The first line of each is a comment that says
	// what it is.
	Scenarios fs.FS
	// Faults are what Break knows, by name.
	Faults []Fault
	// Rules is how keys of a card begin that are faults in themselves, whatever
	// set them: Repair takes them away. Empty: there are none.
	Rules string
	// Files are the names of further files in a machine's directory, for Stop to
	// remove.
	Files []string

	// Tree gives the machine's /sys, /proc and /dev. An error refuses the
	// scenario: what was to be changed stays as it is.
	Tree func(View) (*tree.Tree, error)
	// Describe says what card n is. Number and Present are filled in already.
	Describe func(v View, n int, card *Card)
	// Settle, if not nil, is called after each change of a scenario and before
	// the tree is made: it sets what a driver changes of its own accord, such
	// as a generation count. before is the view of the scenario as it was.
	Settle func(f *scenario.File, before View) error
	// Broken, if not nil, is called after a card got a fault or, with the empty
	// name, was repaired: for what the driver tells its listeners.
	Broken func(f *scenario.File, before View, card int, fault string) error
}

// View reads a scenario of the vendor.
func (vendor *Vendor) View(f *scenario.File) View {
	return View{vendor: vendor, values: maps.Collect(f.All())}
}

// Profile is a machine that can be started by name.
type Profile struct {
	Name    string
	Summary string // one line
	Text    []byte // its scenario
}

// Profiles gives all profiles of the vendor, by name.
func (vendor *Vendor) Profiles() []Profile {
	names, err := fs.Glob(vendor.Scenarios, "profiles/*.scenario")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	slices.Sort(names)
	all := make([]Profile, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(vendor.Scenarios, name)
		if err != nil {
			panic(err) // the file system is in the program
		}
		p := Profile{Name: strings.TrimSuffix(path.Base(name), ".scenario"), Text: text}
		if f, err := scenario.Parse(text); err == nil {
			p.Summary = f.Comment()
		}
		all = append(all, p)
	}
	return all
}

// Scenario gives the scenario of a profile with some keys changed. It may be
// read, to prepare the machine, and is then for Start.
func (vendor *Vendor) Scenario(profile string, set map[string]string) (*scenario.File, error) {
	all := vendor.Profiles()
	names := make([]string, 0, len(all))
	for _, p := range all {
		names = append(names, p.Name)
		if p.Name != profile {
			continue
		}
		f, err := scenario.Parse(p.Text)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", profile, err)
		}
		return f, f.SetAll(set)
	}
	return nil, fmt.Errorf("there is no profile %q: use one of %s", profile, strings.Join(names, ", "))
}
