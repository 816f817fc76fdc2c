package nvidia

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// newMachine starts a machine whose library is not one: what is tested here
// never loads it, and needs no compiler.
func newMachine(t *testing.T, profile string) *Machine {
	t.Helper()
	library := filepath.Join(t.TempDir(), "library")
	check(t, os.WriteFile(library, []byte("not a library"), 0o644))
	m, err := Start(t.Context(), filepath.Join(t.TempDir(), "machine"), profile, Options{Library: library})
	check(t, err)
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exists(t *testing.T, m *Machine, name string) bool {
	t.Helper()
	_, err := os.Lstat(filepath.Join(m.Root(), name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func value(t *testing.T, m *Machine, key string) string {
	t.Helper()
	text, _, err := m.Get(key)
	check(t, err)
	return text
}

func TestProfilesAreWhole(t *testing.T) {
	t.Parallel()
	gpus := map[string]int{"8xh100": 8, "4xa100-mig": 4, "2xt4": 2, "gb10": 1, "driver450": 1}
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			if p.Summary == "" {
				t.Error("the profile does not say what it is in its first line")
			}
			f, err := scenario.Parse(p.Text)
			check(t, err)
			v := newView(f)
			if _, err := apiVersion(v.Machine("driver.api")); err != nil {
				t.Error(err)
			}
			if got := len(v.Present()); got != gpus[p.Name] {
				t.Errorf("%d GPUs, want %d", got, gpus[p.Name])
			}
			seen := make(map[string]bool)
			for key := range f.All() {
				if seen[key] {
					t.Errorf("%s stands twice", key)
				}
				seen[key] = true
			}
		})
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "2xt4")
	want := "nvml_library = \"" + m.Dir() + "/libnvidia-ml.so.1\"\nhost_root    = \"" + m.Dir() + "/root\"\n"
	if got := m.Config(); got != want {
		t.Errorf("Config() = %q, want %q", got, want)
	}
	// The library and the counters are the machine's, too.
	check(t, os.WriteFile(filepath.Join(m.Dir(), callsName), nil, 0o644))
	check(t, m.Stop())
	if _, err := os.Stat(m.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after Stop: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	library := filepath.Join(t.TempDir(), "library")
	check(t, os.WriteFile(library, nil, 0o644))
	tests := map[string]struct {
		profile string
		opts    Options
		want    string
	}{
		"no such profile": {"9xh100", Options{Library: library}, "8xh100"},
		"a bad key":       {"2xt4", Options{Library: library, Set: map[string]string{"a b": "1"}}, "without spaces"},
		"a bad version":   {"2xt4", Options{Set: map[string]string{"driver.api": "thirteen"}}, "driver.api"},
		"a bad function":  {"2xt4", Options{Without: []string{"nvmlNonsense"}}, "nvmlNonsense"},
		"no such library": {"2xt4", Options{Library: library + "x"}, "library"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "m")
			_, err := Start(t.Context(), dir, tt.profile, tt.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a failed Start leaves the directory: %v", err)
			}
		})
	}
}

func TestRemovedGPUIsGoneEverywhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "8xh100")
	paths := []string{
		"/sys/bus/pci/devices/0000:52:00.0/vendor", "/proc/driver/nvidia/gpus/0000:52:00.0/information",
		"/dev/nvidia2", "/dev/dri/renderD130",
	}
	check(t, m.Remove(2))
	for _, p := range paths {
		if exists(t, m, p) {
			t.Errorf("%s is still there", p)
		}
	}
	if !exists(t, m, "/dev/nvidia3") || !exists(t, m, "/dev/dri/renderD131") {
		t.Error("another GPU's nodes have changed")
	}
	check(t, m.Add(2))
	for _, p := range paths {
		if !exists(t, m, p) {
			t.Errorf("%s has not come back", p)
		}
	}
	check(t, m.Lose(2))
	if !exists(t, m, "/dev/nvidia2") {
		t.Error("the kernel does not show a lost GPU any more")
	}
}

func TestDriverInTheTree(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "2xt4")
	version := func() string {
		text, err := os.ReadFile(filepath.Join(m.Root(), "sys/module/nvidia/version"))
		check(t, err)
		return strings.TrimSpace(string(text))
	}
	if got := version(); got != "535.183.06" {
		t.Errorf("module version %q, want 535.183.06", got)
	}
	check(t, m.Upgrade("550.54.15"))
	if got := version(); got != "550.54.15" {
		t.Errorf("module version after the upgrade %q, want 550.54.15", got)
	}
	if got := value(t, m, "gpu.*.gsp.version"); got != "550.54.15" {
		t.Errorf("firmware after the upgrade %q, want 550.54.15", got)
	}
	check(t, m.Unload())
	for _, p := range []string{"/proc/driver/nvidia", "/sys/module/nvidia", "/dev/nvidiactl", "/dev/nvidia0"} {
		if exists(t, m, p) {
			t.Errorf("%s is there without a driver", p)
		}
	}
	if !exists(t, m, "/sys/bus/pci/devices/0000:3b:00.0/vendor") {
		t.Error("the card is gone with the driver")
	}
	check(t, m.Load())
	if !exists(t, m, "/dev/nvidiactl") {
		t.Error("the driver's nodes have not come back")
	}
}

func TestEventsAreNumberedAndFew(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "2xt4")
	for range keptEvents + 5 {
		check(t, m.XID(1, 31))
	}
	f, err := m.Scenario()
	check(t, err)
	events := 0
	for key := range f.All() {
		if strings.HasPrefix(key, "event.") {
			events++
		}
	}
	if events != keptEvents {
		t.Errorf("%d events are kept, want %d", events, keptEvents)
	}
	if got := value(t, m, "event.69"); got != "gpu.1 xid 31" {
		t.Errorf("event.69 = %q, want %q", got, "gpu.1 xid 31")
	}
	if err := m.XID(7, 31); err == nil {
		t.Error("an XID of a GPU that does not exist is accepted")
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "2xt4")
	check(t, m.Hang(1, EveryFunction))
	check(t, m.Latency(5*time.Millisecond))
	check(t, m.Fail(AllGPUs, "nvmlSystemGetDriverVersion", 999))
	check(t, m.FailTimes(0, "nvmlDeviceGetName", 4, 3))
	got := map[string]string{}
	f, err := m.Scenario()
	check(t, err)
	for key, value := range f.All() {
		if strings.Contains(key, "call.") {
			got[key] = value
		}
	}
	want := map[string]string{
		"gpu.1.call.*.hang":                      "true",
		"call.*.latency_us":                      "5000",
		"call.nvmlSystemGetDriverVersion.return": "999",
		"gpu.0.call.nvmlDeviceGetName.return":    "4 x3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	check(t, m.Release(1, EveryFunction))
	if _, ok, err := m.Get("gpu.1.call.*.hang"); ok || err != nil {
		t.Errorf("the hang after Release: %t, %v", ok, err)
	}
	if err := m.Hang(1, "nvmlDeviceGetTemprature"); err == nil {
		t.Error("a function that does not exist is accepted")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "4xa100-mig")
	gpus, err := m.GPUs()
	check(t, err)
	for _, name := range []string{"1", gpus[1].UUID, gpus[1].BusID, gpus[1].MIG[3].UUID} {
		if n, err := m.Find(name); n != 1 || err != nil {
			t.Errorf("Find(%q) = %d, %v, want 1", name, n, err)
		}
	}
	if _, err := m.Find("4"); err == nil {
		t.Error("a GPU that does not exist is found")
	}
}
