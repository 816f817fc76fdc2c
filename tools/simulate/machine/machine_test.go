package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

const twoCards = `# two cards

driver.loaded = true
card.*.name = Abacus
card.*.pci.address = unsupported
card.*.errors = 0
card.0.serial = A0
card.0.pci.address = 0000:01:00.0
card.1.serial = A1
card.1.parts = 2
card.7.serial = A7
card.7.errors = unsupported
`

// abacus is a vendor whose cards show their serial number and their errors.
func abacus() *Vendor {
	return &Vendor{
		Name: "abacus", Title: "Abacus", Noun: "card", Prefix: "card", Identity: "serial",
		Scenarios: fstest.MapFS{"profiles/two.scenario": {Data: []byte(twoCards)}},
		Files:     []string{"more"},
		Rules:     "rule.",
		Faults: []Fault{
			{Name: "bent", Summary: "a bead does not move", Needs: "errors", Set: []string{"bent=true", "beads=+3", "label=$serial"}, Change: []string{"errors=+1", "colour=red"}},
			{Name: "gone", Summary: "it is not there", Set: []string{"present=false"}},
		},
		Tree: func(v View) (*tree.Tree, error) {
			t := &tree.Tree{}
			if generation := v.Machine("generation"); generation != "" {
				t.File("/sys/generation", generation)
			}
			for _, n := range v.Present() {
				if v.Card(n, "errors") == "many" {
					return nil, errors.New("errors = many: want a number")
				}
				t.File("/sys/"+v.Card(n, "serial"), v.Card(n, "errors"))
			}
			return t, nil
		},
		Describe: func(v View, n int, card *Card) {
			card.Name, card.Address = v.Card(n, "name"), v.Card(n, "pci.address")
			for part := range v.Number(n, "parts", 1) {
				card.Devices = append(card.Devices, fmt.Sprintf("%s/%d", v.Card(n, "serial"), part))
			}
			card.Aliases = []string{v.Card(n, "serial")}
		},
	}
}

func start(t *testing.T, vendor *Vendor) *Machine {
	t.Helper()
	f, err := vendor.Scenario("two", nil)
	check(t, err)
	m, err := vendor.Start(filepath.Join(t.TempDir(), "machine"), "two", f, nil)
	check(t, err)
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files gives the names and contents below /sys of the machine.
func files(t *testing.T, m *Machine) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(filepath.Join(m.Root(), "sys"))
	check(t, err)
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(m.Root(), "sys", e.Name()))
		check(t, err)
		all[e.Name()] = strings.TrimSpace(string(text))
	}
	return all
}

func TestLifeOfAMachine(t *testing.T) {
	t.Parallel()
	vendor := abacus()
	want := []Profile{{Name: "two", Summary: "two cards", Text: []byte(twoCards)}}
	if diff := cmp.Diff(want, vendor.Profiles()); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	m := start(t, vendor)
	if diff := cmp.Diff(map[string]string{"A0": "0", "A1": "0", "A7": ""}, files(t, m)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	check(t, m.SetAll(map[string]string{"card.0.errors": "3", "card.1.present": "false"}))
	check(t, m.Unset("card.7.errors", "nothing"))
	m, err := vendor.Open(m.Dir())
	check(t, err)
	if diff := cmp.Diff(map[string]string{"A0": "3", "A7": "0"}, files(t, m)); diff != "" {
		t.Errorf("tree after the changes (-want +got):\n%s", diff)
	}
	check(t, os.WriteFile(filepath.Join(m.Dir(), "more"), nil, 0o644))
	check(t, m.Stop())
	if _, err := os.Stat(m.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after Stop: %v", err)
	}
}

func TestCards(t *testing.T) {
	t.Parallel()
	m := start(t, abacus())
	check(t, m.Remove(1))
	got, err := m.Cards()
	check(t, err)
	want := []Card{
		{Number: 0, Present: true, Name: "Abacus", Address: "0000:01:00.0", Devices: []string{"A0/0"}, Aliases: []string{"A0"}},
		{Number: 1, Present: false, Name: "Abacus", Devices: []string{"A1/0", "A1/1"}, Aliases: []string{"A1"}},
		{Number: 7, Present: true, Name: "Abacus", Devices: []string{"A7/0"}, Aliases: []string{"A7"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cards (-want +got):\n%s", diff)
	}
	for name, want := range map[string]int{"0": 0, "0000:01:00.0": 0, "A1/1": 1, "A1": 1, "7": 7} {
		if n, err := m.Find(name); n != want || err != nil {
			t.Errorf("Find(%q) = %d, %v, want %d", name, n, err, want)
		}
	}
	for _, name := range []string{"", "2", "A1/2"} {
		if n, err := m.Find(name); err == nil || !strings.Contains(err.Error(), "no card") {
			t.Errorf("Find(%q) = %d, %v, want an error", name, n, err)
		}
	}
	check(t, m.Add(1))
	if got := files(t, m); got["A1"] != "0" {
		t.Errorf("the card that was put back: %v", got)
	}
	if err := m.SetCard(2, "errors", "1"); err == nil || !strings.Contains(err.Error(), "no card 2") {
		t.Errorf("a change of a card that is not there: %v", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	m := start(t, abacus())
	check(t, m.Set("card.0.errors", "4"))
	check(t, m.Break(0, "bent"))
	check(t, m.Set("card.0.rule.any", "1"))
	check(t, m.Set("card.1.rule.any", "1"))
	f, err := m.Scenario()
	check(t, err)
	v := m.Vendor().View(f)
	got := map[string]string{}
	for _, key := range []string{"bent", "beads", "label", "errors", "colour"} {
		got[key] = v.Card(0, key)
	}
	want := map[string]string{"bent": "true", "beads": "3", "label": "A0", "errors": "5", "colour": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the broken card (-want +got):\n%s", diff)
	}
	check(t, m.Repair(0))
	f, err = m.Scenario()
	check(t, err)
	clear(got)
	for key, value := range f.All() {
		if !strings.Contains(twoCards, key) {
			got[key] = value
		}
	}
	// Repair goes back to the profile, not to what was set by hand, and leaves
	// other cards alone.
	if diff := cmp.Diff(map[string]string{"card.1.rule.any": "1"}, got); diff != "" {
		t.Errorf("keys left after the repair (-want +got):\n%s", diff)
	}
	for _, refused := range []struct {
		card        int
		fault, want string
	}{{7, "bent", "cannot have"}, {0, "bend", "bent, gone"}, {5, "gone", "no card 5"}} {
		if err := m.Break(refused.card, refused.fault); err == nil || !strings.Contains(err.Error(), refused.want) {
			t.Errorf("Break(%d, %s): %v, want an error with %q", refused.card, refused.fault, err, refused.want)
		}
	}
}

// TestVendorHasASay lets a vendor count generations and tell of faults.
func TestVendorHasASay(t *testing.T) {
	t.Parallel()
	vendor := abacus()
	var told []string
	vendor.Settle = func(f *scenario.File, before View) error {
		if len(before.Present()) == len(before.Of(f).Present()) {
			return nil
		}
		return f.Set("generation", before.Machine("generation")+"I")
	}
	vendor.Broken = func(_ *scenario.File, _ View, card int, fault string) error {
		told = append(told, fmt.Sprint(card, " ", fault))
		return nil
	}
	m := start(t, vendor)
	check(t, m.Break(1, "gone"))
	check(t, m.Repair(1))
	check(t, m.Set("card.0.errors", "1"))
	if got := files(t, m)["generation"]; got != "III" {
		t.Errorf("generation %q, want III: the start, a card gone, the card back", got)
	}
	if diff := cmp.Diff([]string{"1 gone", "1 "}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestWhatGivesNoTreeChangesNothing(t *testing.T) {
	t.Parallel()
	vendor := abacus()
	m := start(t, vendor)
	if err := m.Set("card.0.errors", "many"); err == nil {
		t.Fatal("a scenario without a tree was accepted")
	}
	if value, ok, err := m.Get("card.0.errors"); ok || err != nil {
		t.Errorf("card.0.errors = %q, %t, %v after it was refused", value, ok, err)
	}
	if got := files(t, m)["A0"]; got != "0" {
		t.Errorf("the tree has %q", got)
	}
	f, err := vendor.Scenario("two", map[string]string{"card.0.errors": "many"})
	check(t, err)
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := vendor.Start(dir, "two", f, nil); err == nil {
		t.Error("a machine without a tree was started")
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the failed start leaves the directory: %v", err)
	}
}

func TestDirectoriesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	vendor := abacus()
	m := start(t, vendor)
	f, err := vendor.Scenario("two", nil)
	check(t, err)
	if _, err := vendor.Start(m.Dir(), "two", f, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a machine over another: %v", err)
	}
	foreign := t.TempDir()
	check(t, os.WriteFile(filepath.Join(foreign, scenarioName), nil, 0o644))
	other := abacus()
	other.Name = "slide-rule"
	for name, err := range map[string]error{
		"Open of a foreign directory":   second(vendor.Open(foreign)),
		"Open of another's machine":     second(other.Open(m.Dir())),
		"Stop of a foreign directory":   vendor.in(foreign).Stop(),
		"Stop of another's machine":     other.in(m.Dir()).Stop(),
		"Open of a missing directory":   second(vendor.Open(filepath.Join(foreign, "missing"))),
		"Stop of a missing directory":   vendor.in(filepath.Join(foreign, "missing")).Stop(),
		"Stop of a directory of a file": vendor.in(filepath.Join(foreign, scenarioName)).Stop(),
	} {
		if !errors.Is(err, ErrNotAMachine) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(foreign, scenarioName)); err != nil {
		t.Errorf("a foreign file: %v", err)
	}
	mine := filepath.Join(m.Dir(), "notes")
	check(t, os.WriteFile(mine, []byte("x"), 0o644))
	if err := m.Stop(); err == nil {
		t.Error("Stop does not say that the directory stays")
	}
	if _, err := os.Stat(mine); err != nil {
		t.Errorf("Stop has removed another's file: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFailedFillLeavesNothing(t *testing.T) {
	t.Parallel()
	vendor := abacus()
	f, err := vendor.Scenario("two", nil)
	check(t, err)
	dir := filepath.Join(t.TempDir(), "m")
	broken := errors.New("broken")
	if _, err := vendor.Start(dir, "two", f, func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("Start: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
	if _, err := vendor.Scenario("three", nil); err == nil || !strings.Contains(err.Error(), "one of two") {
		t.Errorf("an unknown profile: %v", err)
	}
}

// TestManyEditors has the tree follow the last edit, whoever makes it.
func TestManyEditors(t *testing.T) {
	t.Parallel()
	m := start(t, abacus())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			mine, err := m.Vendor().Open(m.Dir())
			if err != nil {
				t.Error(err)
				return
			}
			for range 10 {
				if err := mine.Break(0, "bent"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := files(t, m)["A0"]; got != "80" {
		t.Errorf("%s errors after 80 faults", got)
	}
}
