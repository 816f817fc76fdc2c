package faults

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

var update = flag.Bool("update", false, "rewrite docs/reliability.md")

// tests are the tests of the rows, by their names.
var tests = map[string]func(*trial){
	"one device lost":                             deviceLost,
	"all devices lost":                            allDevicesLost,
	"a call takes 1 s":                            slowCall,
	"a call takes 10 s":                           verySlowCall,
	"a call for one device never returns":         oneDeviceHangs,
	"the whole library hangs":                     libraryHangs,
	"every call fails with every error":           everyError,
	"garbage in every text and number":            garbage,
	"devices appear, vanish and flap":             flapping,
	"the MIG layout changes under a task":         migLayout,
	"no driver at boot":                           driverMissing,
	"the driver is upgraded":                      driverUpgraded,
	"a function is missing from the library":      missingFunctions,
	"the driver has no events":                    noEvents,
	"the plugin is killed":                        pluginKilled,
	"the plugin dies again and again":             pluginDies,
	"the plugin is stopped":                       pluginStopped,
	"the agent is killed":                         agentKilled,
	"1,000 reservations at once":                  manyReservations,
	"100 streams opened and cancelled":            manyStreams,
	"the clock jumps":                             clockJumps,
	"files of the host are unreadable or endless": badFiles,
	"no room for logs":                            noRoomForLogs,
	"the MPS daemon ends":                         mpsEnds,
	"the port of the metrics is taken":            portTaken,
}

// TestMatrix runs every row against the plugin's binary. Those that take long
// come first.
func TestMatrix(t *testing.T) {
	if err := rig.BuildRequirements(); err != nil {
		t.Skipf("the plugin and the simulated driver cannot be built here, it needs %v", err)
	}
	long := []string{"the agent is killed", "every call fails with every error", "garbage in every text and number"}
	order := slices.Clone(Matrix)
	slices.SortStableFunc(order, func(a, b Row) int {
		return cmpBool(slices.Contains(long, b.Name), slices.Contains(long, a.Name))
	})
	for _, row := range order {
		test := tests[row.Name]
		if test == nil {
			t.Errorf("the row %q has no test", row.Name)
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			r := &record{}
			t.Cleanup(func() {
				for _, words := range row.Says {
					if !t.Failed() && !r.holds(words) {
						t.Errorf("the plugin was not heard to say %q, but:\n%s", words, r)
					}
				}
			})
			test(&trial{T: t, record: r})
		})
	}
	if len(tests) != len(Matrix) {
		t.Errorf("there are %d tests of %d rows", len(tests), len(Matrix))
	}
}

// cmpBool orders false before true.
func cmpBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// TestPage holds the page to the rows. With -update it is written.
func TestPage(t *testing.T) {
	t.Parallel()
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "docs", "reliability.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := fuzzTargets(root)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Insert(string(text), "matrix", Page(Matrix))
	if err == nil {
		want, err = Insert(want, "fuzzing", fuzzTable(targets))
	}
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("docs/reliability.md is stale; run \"make generate\" (-want +got):\n%s", diff)
	}
}
