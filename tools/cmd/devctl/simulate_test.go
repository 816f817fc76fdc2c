package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// simulate runs "devctl simulate ARGS".
func simulate(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"simulate"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

// mustSimulate runs a command that has to work and gives what it prints.
func mustSimulate(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := simulate(t, args...)
	if code != 0 {
		t.Fatalf("devctl simulate %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return out
}

// simulatedMachine starts a machine whose library is never loaded, so that no
// compiler is needed.
func simulatedMachine(t *testing.T, profile string) string {
	t.Helper()
	library := filepath.Join(t.TempDir(), "library")
	if err := os.WriteFile(library, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "machine")
	out := mustSimulate(t, "start", profile, "--dir", dir, "--library", library, "--set", "gpu.0.temperature=55")
	want := "nvml_library = \"" + dir + "/libnvidia-ml.so.1\"\nhost_root    = \"" + dir + "/root\"\n"
	if !strings.HasSuffix(out, want) {
		t.Errorf("start printed\n%s\nwant at its end\n%s", out, want)
	}
	return dir
}

func TestSimulateList(t *testing.T) {
	t.Parallel()
	out := mustSimulate(t, "list")
	for _, name := range []string{"8xh100", "4xa100-mig", "2xt4", "gb10", "driver450", "8xmi300x", "apu-dgpu", "mixed-fpga", "zynqmp"} {
		if !strings.Contains(out, name+" ") {
			t.Errorf("list does not have %s:\n%s", name, out)
		}
	}
	if out := mustSimulate(t, "list", "--faults"); !strings.Contains(out, "xid79 ") || !strings.Contains(out, "ecc-ue ") {
		t.Errorf("list --faults does not have xid79 and ecc-ue:\n%s", out)
	}
	if out := mustSimulate(t, "list", "amd"); !strings.Contains(out, "4xmi210 ") || strings.Contains(out, "nvidia") {
		t.Errorf("list amd:\n%s", out)
	}
	if out := mustSimulate(t, "list", "--faults", "nvidia"); !strings.Contains(out, "xid79 ") || strings.Contains(out, "amd") {
		t.Errorf("list --faults nvidia:\n%s", out)
	}
}

func TestSimulateLifeOfAMachine(t *testing.T) {
	t.Parallel()
	dir := simulatedMachine(t, "8xh100")
	get := func(key string) string {
		t.Helper()
		return strings.TrimSpace(mustSimulate(t, "get", dir, key))
	}
	if got := get("gpu.0.temperature"); got != "55" {
		t.Errorf("temperature as started = %q, want 55", got)
	}
	mustSimulate(t, "set", dir, "gpu.0.temperature=91", "gpu.1.lost = true")
	if got := get("gpu.0.temperature") + get("gpu.1.lost"); got != "91true" {
		t.Errorf("after set: %q", got)
	}
	mustSimulate(t, "unset", dir, "gpu.1.lost")
	if _, errs, code := simulate(t, "get", dir, "gpu.1.lost"); code != 1 || !strings.Contains(errs, "gpu.1.lost") {
		t.Errorf("get after unset: exit code %d, %s", code, errs)
	}
	mustSimulate(t, "break", dir, get("gpu.3.uuid"), "xid79")
	if got := get("gpu.3.lost") + " " + get("event.1"); got != "true gpu.3 xid 79" {
		t.Errorf("after break: %q", got)
	}
	mustSimulate(t, "repair", dir, "3")
	mustSimulate(t, "event", dir, "0000:1b:00.0", "xid", "43", "gi=2")
	if got := get("event.2"); got != "gpu.0 xid 43 gi=2" {
		t.Errorf("event.2 = %q", got)
	}
	mustSimulate(t, "mig", dir, "0", "3g.40gb", "1g.10gb")
	if got := get("gpu.0.mig.1.profile"); got != "1g.10gb" {
		t.Errorf("profile of the second MIG device = %q", got)
	}
	mustSimulate(t, "mig", dir, "0", "--off")
	if got := get("gpu.0.mig.mode"); got != "0" {
		t.Errorf("MIG mode = %q, want 0", got)
	}
	mustSimulate(t, "driver", dir, "unload")
	if _, err := os.Stat(filepath.Join(dir, "root/dev/nvidiactl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nvidiactl without a driver: %v", err)
	}
	mustSimulate(t, "driver", dir, "load")
	mustSimulate(t, "driver", dir, "upgrade", "590.10.01")
	if out := mustSimulate(t, "get", dir); !strings.Contains(out, "driver.version = 590.10.01\n") {
		t.Errorf("the scenario after the upgrade:\n%s", out)
	}
	mustSimulate(t, "stop", dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after stop: %v", err)
	}
}

// TestProfilesHaveOneVendor holds the names of profiles apart, since they say
// whose machine is started.
func TestProfilesHaveOneVendor(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range simulators {
		for _, p := range s.Profiles() {
			if other := seen[p.Name]; other != "" {
				t.Errorf("%s and %s both have a profile %s", other, s.Name, p.Name)
			}
			seen[p.Name] = s.Name
		}
	}
}

func TestSimulateAMD(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "machine")
	out := mustSimulate(t, "start", "mi300x-cpx", "--dir", dir, "--set", "gpu.0.temperature=55")
	if want := "host_root = \"" + dir + "/root\"\n"; !strings.HasSuffix(out, want) {
		t.Errorf("start printed\n%s\nwant at its end\n%s", out, want)
	}
	device := filepath.Join(dir, "root/sys/bus/pci/devices/0000:0a:00.0")
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(device, name))
		if err != nil {
			return "cannot be read"
		}
		return strings.TrimSpace(string(text))
	}
	if got := read("hwmon/hwmon0/temp2_input"); got != "55000" {
		t.Errorf("temperature as started = %q, want 55000", got)
	}
	mustSimulate(t, "set", dir, "gpu.0.temperature=91")
	if got := read("hwmon/hwmon0/temp2_input"); got != "91000" {
		t.Errorf("temperature after set = %q, want 91000", got)
	}
	mustSimulate(t, "break", dir, "GPU-71d4e80b2fa6593c/cpx3", "ecc-ue")
	if got := read("ras/umc_err_count"); !strings.HasPrefix(got, "ue: 1") {
		t.Errorf("errors after break: %q", got)
	}
	mustSimulate(t, "repair", dir, "0000:0a:00.0")
	if got := read("ras/umc_err_count"); !strings.HasPrefix(got, "ue: 0") {
		t.Errorf("errors after repair: %q", got)
	}
	mustSimulate(t, "partition", dir, "0", "SPX", "NPS1")
	if got := read("current_compute_partition") + read("current_memory_partition"); got != "SPXNPS1" {
		t.Errorf("modes after partition: %q", got)
	}
	mustSimulate(t, "partition", dir, "GPU-71d4e80b2fa6593c", "dpx")
	if got := read("current_compute_partition") + read("current_memory_partition"); got != "DPXNPS1" {
		t.Errorf("modes after partition without a memory mode: %q", got)
	}
	mustSimulate(t, "driver", dir, "unload")
	if got := read("unique_id"); got != "cannot be read" {
		t.Errorf("unique id without a driver: %q", got)
	}
	mustSimulate(t, "driver", dir, "load")
	mustSimulate(t, "driver", dir, "upgrade", "6.14.14")
	if text, err := os.ReadFile(filepath.Join(dir, "root/sys/module/amdgpu/version")); err != nil || string(text) != "6.14.14\n" {
		t.Errorf("the driver after the upgrade: %q, %v", text, err)
	}
	mustSimulate(t, "stop", dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after stop: %v", err)
	}
}

func TestSimulateFPGA(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "machine")
	out := mustSimulate(t, "start", "mixed-fpga", "--dir", dir, "--set", "card.0.sensor.temp2=55")
	if want := "host_root = \"" + dir + "/root\"\n"; !strings.HasSuffix(out, want) {
		t.Errorf("start printed\n%s\nwant at its end\n%s", out, want)
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "root/sys", name))
		if err != nil {
			return "cannot be read"
		}
		return strings.TrimSpace(string(text))
	}
	const sensor = "class/hwmon/hwmon42/temp2_input"
	if got := read(sensor); got != "55000" {
		t.Errorf("temperature as started = %q, want 55000", got)
	}
	mustSimulate(t, "set", dir, "card.0.sensor.temp2=91")
	if got := read(sensor); got != "91000" {
		t.Errorf("temperature after set = %q, want 91000", got)
	}
	if got := strings.TrimSpace(mustSimulate(t, "get", dir, "card.0.sensor.temp2")); got != "91" {
		t.Errorf("get after set = %q, want 91", got)
	}
	const power = "class/fpga_region/region2/dfl-port.2/power_state"
	mustSimulate(t, "break", dir, "dfl:0000:36:00.0/port1", "thermal-trip")
	if got := read(power); got != "0x6" {
		t.Errorf("power state after break: %q", got)
	}
	mustSimulate(t, "repair", dir, "0000:36:00.0")
	if got := read(power); got != "0x0" {
		t.Errorf("power state after repair: %q", got)
	}
	mustSimulate(t, "break", dir, "0000:b1:00.0", "firewall") // named by its management function
	if got := read("bus/pci/devices/0000:b1:00.0/firewall.m.40/detected_level"); got != "1" {
		t.Errorf("firewall after break: %q", got)
	}
	mustSimulate(t, "driver", dir, "unload")
	if got := read(power); got != "cannot be read" {
		t.Errorf("power state without drivers: %q", got)
	}
	mustSimulate(t, "driver", dir, "load")
	mustSimulate(t, "stop", dir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after stop: %v", err)
	}
}

// TestSimulateOtherVendors asks machines for what only those of another vendor
// have.
func TestSimulateOtherVendors(t *testing.T) {
	t.Parallel()
	amd := filepath.Join(t.TempDir(), "machine")
	mustSimulate(t, "start", "1xrx7900xtx", "--dir", amd)
	nvidia := simulatedMachine(t, "2xt4")
	fpga := filepath.Join(t.TempDir(), "machine")
	mustSimulate(t, "start", "v80", "--dir", fpga)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"mig":        {[]string{"mig", amd, "0", "1g.10gb"}, "has AMD hardware, which has no MIG"},
		"event":      {[]string{"event", amd, "0", "xid", "31"}, "has AMD hardware, which has no events"},
		"calls":      {[]string{"calls", amd}, "has AMD hardware, which has no driver library"},
		"library":    {[]string{"start", "4xmi210", "--dir", amd + "2", "--library", "x"}, "leave out --library"},
		"fault":      {[]string{"break", amd, "0", "xid79"}, "use one of aer-fatal"},
		"no RAS":     {[]string{"break", amd, "0", "ecc-ue"}, "cannot have the fault ecc-ue"},
		"whole":      {[]string{"partition", amd, "0", "CPX"}, "cannot be divided"},
		"FPGA parts": {[]string{"partition", fpga, "0", "CPX"}, "has FPGA hardware, which has no compute partitions"},
		"upgrade":    {[]string{"driver", fpga, "upgrade", "2"}, "has FPGA hardware, which has no driver that can be upgraded"},
		"FPGA fault": {[]string{"break", fpga, "0", "firewall"}, "card 0 (AMD Alveo V80) cannot have the fault firewall: it has no firewall.level"},
		"no library": {[]string{"start", "zynqmp", "--dir", fpga + "2", "--without", "x"}, "a machine with FPGA hardware, which has no driver library"},
		"partition":  {[]string{"partition", nvidia, "0", "CPX"}, "has NVIDIA hardware, which has no compute partitions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, errs, code := simulate(t, tt.args...); code != 1 || !strings.Contains(errs, tt.want) {
				t.Errorf("exit code %d, %q; want 1 and %q", code, errs, tt.want)
			}
		})
	}
}

func TestSimulateCalls(t *testing.T) {
	t.Parallel()
	dir := simulatedMachine(t, "gb10")
	record := make([]byte, 64)
	copy(record, "nvmlDeviceGetName")
	record[56] = 7 // the lowest byte of the count
	if err := os.WriteFile(filepath.Join(dir, "calls"), record, 0o644); err != nil {
		t.Fatal(err)
	}
	if out := mustSimulate(t, "calls", dir); out != "7  nvmlDeviceGetName\n" {
		t.Errorf("calls printed %q", out)
	}
	var calls map[string]uint64
	if err := json.Unmarshal([]byte(mustSimulate(t, "calls", dir, "--json", "--reset")), &calls); err != nil || calls["nvmlDeviceGetName"] != 7 {
		t.Errorf("calls --json: %v, %v", calls, err)
	}
	if out := mustSimulate(t, "calls", dir); out != "" {
		t.Errorf("calls after --reset printed %q", out)
	}
}

func TestSimulateRefuses(t *testing.T) {
	t.Parallel()
	dir := simulatedMachine(t, "2xt4")
	foreign := t.TempDir()
	tests := map[string]struct {
		args []string
		code int
		want string
	}{
		"no such command":    {[]string{"explode"}, 2, "explode"},
		"no profile":         {[]string{"start"}, 2, "accepts 1 arg"},
		"unknown profile":    {[]string{"start", "9xh100", "--dir", filepath.Join(foreign, "m")}, 2, "8xh100"},
		"not an assignment":  {[]string{"set", dir, "gpu.0.temperature"}, 2, "KEY=VALUE"},
		"unknown GPU":        {[]string{"break", dir, "2", "xid79"}, 1, "no GPU"},
		"unknown fault":      {[]string{"break", dir, "0", "xid0"}, 1, "xid79"},
		"impossible fault":   {[]string{"break", dir, "0", "nvlink"}, 1, "cannot have"},
		"no MIG":             {[]string{"mig", dir, "0", "1g.10gb"}, 1, "no MIG"},
		"off with profiles":  {[]string{"mig", dir, "0", "--off", "1g.10gb"}, 2, "--off"},
		"driver does what":   {[]string{"driver", dir, "reload"}, 2, "upgrade VERSION"},
		"upgrade to what":    {[]string{"driver", dir, "upgrade"}, 2, "upgrade VERSION"},
		"someone's files":    {[]string{"stop", foreign}, 1, "not a simulated"},
		"directory in use":   {[]string{"start", "2xt4", "--dir", dir, "--library", filepath.Join(dir, "scenario")}, 1, "not empty"},
		"missing library":    {[]string{"start", "2xt4", "--dir", filepath.Join(foreign, "m"), "--library", "missing"}, 1, "missing"},
		"unknown --without":  {[]string{"start", "2xt4", "--dir", filepath.Join(foreign, "m"), "--without", "nvmlX"}, 1, "nvmlX"},
		"an unknown version": {[]string{"start", "2xt4", "--dir", filepath.Join(foreign, "m"), "--set", "driver.api=9"}, 1, "driver.api"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, errs, code := simulate(t, tt.args...)
			if code != tt.code || !strings.Contains(errs, tt.want) {
				t.Errorf("exit code %d, %q; want %d and %q", code, errs, tt.code, tt.want)
			}
		})
	}
}
