package familytest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// treesVariable names a directory with trees of other machines, by vendor and
// origin. They are not part of the project.
const treesVariable = "NOMAD_DEVICES_TREES"

// Tree unpacks a tree of another machine, where such are at hand, and else skips
// the test.
func Tree(tb testing.TB, name string, options ...sysfs.Option) *sysfs.FS {
	tb.Helper()
	dir := os.Getenv(treesVariable)
	if dir == "" {
		tb.Skipf("%s does not say where the trees of other machines are", treesVariable)
	}
	return sysfs.New(sysfstest.Unpack(tb, filepath.Join(dir, "fpga", name+".tsv")), options...)
}

// Want is what is known of a device in a tree.
type Want struct {
	// Group is "vendor/type/name".
	Group string
	// Unhealthy are the codes of its faults.
	Unhealthy []string
	// Attributes and Readings are those to check.
	Attributes, Readings map[string]core.Value
	// Nodes are all nodes that it is granted. None of an unhealthy device are
	// looked at.
	Nodes []string
}

// Compare holds the devices of a look against what is known of them, by ID. A
// device too many is as wrong as one that is missing.
func (l Look) Compare(t *testing.T, want map[string]Want) {
	t.Helper()
	got := map[string]Want{}
	for _, d := range l.Devices {
		w := want[d.ID]
		g := Want{Group: d.Group.String(), Unhealthy: Codes(d)}
		g.Attributes = pick(d.Attributes, w.Attributes)
		g.Readings = pick(Readings(t, d), w.Readings)
		if len(g.Unhealthy) == 0 {
			grant, err := Grant(t, d)
			if err != nil {
				t.Errorf("granting %s: %v", d.ID, err)
			}
			for _, n := range grant.Nodes {
				g.Nodes = append(g.Nodes, n.Path)
			}
		}
		got[d.ID] = g
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b core.Value) bool { return a == b })); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, err := range l.Errors {
		t.Errorf("error %v", err)
	}
}

// pick returns the values whose names are in like.
func pick(values, like map[string]core.Value) map[string]core.Value {
	if like == nil {
		return nil
	}
	picked := map[string]core.Value{}
	for name := range like {
		if v := values[name]; v.Kind() != core.KindNone {
			picked[name] = v
		} else {
			picked[name] = core.Value{}
		}
	}
	return picked
}
