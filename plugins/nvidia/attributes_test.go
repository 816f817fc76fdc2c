package nvidia

import (
	"slices"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// TestAttributeTable holds the table against what gives the attributes.
func TestAttributeTable(t *testing.T) {
	t.Parallel()
	given := map[*attribute]int{}
	for _, a := range scanned {
		given[a]++
	}
	for _, f := range facts {
		for _, a := range f.gives {
			given[a]++
			if a.on != f.on() {
				t.Errorf("%s: one call gives it and %s, and they are on different devices", a.name, f.gives[0].name)
			}
		}
	}
	names := map[string]bool{}
	for _, a := range attributeDocs {
		if given[a] != 1 {
			t.Errorf("%s is given %d times", a.name, given[a])
		}
		delete(given, a)
		if names[a.name] {
			t.Errorf("%s is in the table twice", a.name)
		}
		names[a.name] = true
		if a.description == "" || a.on == 0 || !slices.Contains([]string{"int", "string", "version"}, a.kind) {
			t.Errorf("%s: incomplete", a.name)
		}
	}
	for a := range given {
		t.Errorf("%s is not in the table", a.name)
	}
}

// TestAttributesAreAsDocumented looks at each attribute of each machine.
func TestAttributesAreAsDocumented(t *testing.T) {
	t.Parallel()
	table, seen := map[string]*attribute{}, map[string]bool{}
	for _, a := range attributeDocs {
		table[a.name] = a
	}
	for name, gpus := range machines {
		for id, d := range newBench(t, nvmltest.New(gpus()...)).good().devices {
			on := onGPU
			if d.Group.Type == typeMIG {
				on = onMIG
			}
			for key, v := range d.Attributes {
				a := table[key]
				if a == nil {
					t.Errorf("%s %s: %s is not in the table", name, id, key)
					continue
				}
				seen[key] = true
				kinds := map[core.Kind]string{core.KindInt: "int", core.KindString: "string", core.KindVersion: "version"}
				if kinds[v.Kind()] != a.kind || v.Unit() != a.unit || a.on&on == 0 {
					t.Errorf("%s %s: %s = %v does not fit its line in the table", name, id, key, v)
				}
			}
		}
	}
	for _, a := range attributeDocs {
		if !seen[a.name] {
			t.Errorf("no machine has %s", a.name)
		}
	}
}

// TestHashiCorpAttributes keeps the names and kinds that jobs ask for.
func TestHashiCorpAttributes(t *testing.T) {
	t.Parallel()
	got := newBench(t, nvmltest.New(nvmltest.H100(0))).good().only(t).Attributes
	for name, want := range map[string]core.Value{
		"memory":           core.Int(81559, core.MiB),
		"power":            core.Int(700, core.Watt),
		"bar1":             core.Int(131072, core.MiB),
		"driver_version":   core.Version("580.82.07"),
		"cores_clock":      core.Int(1980, core.MHz),
		"memory_clock":     core.Int(2619, core.MHz),
		"pci_bandwidth":    core.Int(63015, core.MBPerS),
		"display_state":    core.String("Disabled"),
		"persistence_mode": core.String("Enabled"),
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}
