package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

// topDocument is what top prints for programs, as far as tests look at it.
type topDocument struct {
	Sources []struct{ Name, Title, Trouble string }
	Devices []topDevice
}

type topDevice struct {
	Source, Vendor, Type, Name, ID string
	Healthy                        bool
	HealthDescription              string `json:"health_description"`
	Load, Memory, Heat, Power      *topGauge
	Holders                        []struct {
		Device, Namespace, Job, Group, Task string
		AllocID                             string `json:"alloc_id"`
	}
}

type topGauge struct {
	Statistic, Unit string
	Value, Limit    float64
}

// topOnce runs top with --once --json and reads what it prints.
func topOnce(t *testing.T, wantCode int, args ...string) topDocument {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"top", "-once", "-json"}, args...), &stdout, &stderr); code != wantCode {
		t.Fatalf("exit %d, want %d, stderr %q", code, wantCode, stderr.String())
	}
	var d topDocument
	if err := json.Unmarshal(stdout.Bytes(), &d); err != nil {
		t.Fatalf("%v in\n%s", err, stdout.String())
	}
	return d
}

func TestTopOnce(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"top":      {"--set", "count=3"},
		"top-json": {"--set", "count=2", "--json"},
		"top-sort": {"--set", "count=3", "--sort", "health", "--filter", "thermo sn"},
		"top-none": {"--set", "behaviour=empty", "--timeout", "1s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"top", plugintest.Binary(t), "--once"}, args...), &stdout, &stderr)
			if code != 0 || stderr.Len() > 0 {
				t.Fatalf("exit %d, stderr %q", code, stderr.String())
			}
			golden(t, name, steady(stdout.String()))
		})
	}
}

// TestTopTrouble has plugins that fail beside one that does not.
func TestTopTrouble(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"missing":     "no such file",
		"refuse":      "this plugin refuses",
		"silent":      "it has not told everything within 5s",
		"error":       "the bus is on fire",
		"invalid":     "would make Nomad drop the plugin",
		"stats-error": "no statistics: Stats: nothing to count with",
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			well, bad := plugintest.Binary(t), plugintest.Binary(t)
			config := func(text string) string {
				path := filepath.Join(t.TempDir(), "config.hcl")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			if behaviour == "missing" {
				bad = filepath.Join(t.TempDir(), plugintest.Name)
			}
			timeout := "1m"
			if behaviour == "silent" {
				timeout = "5s"
			}
			args := []string{
				"top", "--once", "--timeout", timeout, well, bad,
				"--config", config(""), "--config", config(`behaviour = "` + behaviour + `"`),
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), args, &stdout, &stderr); code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
			if !strings.Contains(stderr.String(), bad+": ") || !strings.Contains(stderr.String(), want) || strings.Contains(stderr.String(), well) {
				t.Errorf("stderr does not say %q of %s:\n%s", want, bad, stderr.String())
			}
			if !strings.Contains(stdout.String(), "SN-0") {
				t.Errorf("the devices of the other plugin are not there:\n%s", stdout.String())
			}
		})
	}
}

func TestTopCalledWrongly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"nothing":        {want: "name plugin binaries"},
		"no terminal":    {args: []string{"BINARY"}, want: "needs a terminal"},
		"both":           {args: []string{"BINARY", "--nomad"}, want: "either plugin binaries or --nomad"},
		"agent's flag":   {args: []string{"BINARY", "--once", "--node", "x"}, want: "--node is of use with --nomad only"},
		"plugin's flag":  {args: []string{"--nomad", "--config", "x"}, want: "the agent's own configuration"},
		"column":         {args: []string{"BINARY", "--sort", "colour"}, want: "want one of device, name, health"},
		"interval":       {args: []string{"BINARY", "--interval", "0s"}, want: "--interval must be 10ms at least"},
		"configs":        {args: []string{"BINARY", "b", "c", "--config", "x", "--config", "y"}, want: "2 times for 3 plugins"},
		"set":            {args: []string{"BINARY", "b", "--set", "a=b"}, want: "go with one plugin"},
		"the same twice": {args: []string{"BINARY", "BINARY", "--once"}, want: "named twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary := plugintest.Binary(t)
			args := []string{"top"}
			for _, arg := range test.args {
				args = append(args, strings.ReplaceAll(arg, "BINARY", binary))
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), args, &stdout, &stderr); code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("stderr does not say %q:\n%s", test.want, stderr.String())
			}
		})
	}
}

// TestTopJSONLines reads the stream as a program would.
func TestTopJSONLines(t *testing.T) {
	t.Parallel()
	enough := func(output string) bool { return strings.Count(output, "\n") >= 3 }
	output := watch(t, enough, "top", plugintest.Binary(t), "--set", "count=1", "--interval", "50ms", "--json")
	for line := range strings.Lines(output) {
		var d topDocument
		if err := json.Unmarshal([]byte(line), &d); err != nil || len(d.Devices) != 2 {
			t.Errorf("%v in %s", err, line)
		}
	}
}

// TestTopOfSimulatedMachines shows GPUs and FPGAs of two plugins, one of them sick.
// They are built, so it is not run beside the tests of check, which watch the clock.
func TestTopOfSimulatedMachines(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("the plugins have to be built: %v", err)
	}
	dir := t.TempDir()
	args := []string{"--sort", "heat"}
	for _, machine := range []struct{ vendor, profile string }{{"amd", "4xmi210"}, {"fpga", "mixed-fpga"}} {
		binary, err := rig.BuildStatic(t.Context(), dir, machine.vendor)
		if err != nil {
			t.Fatal(err)
		}
		config := filepath.Join(dir, machine.vendor+".hcl")
		text := mustSimulate(t, "start", machine.profile, "--dir", filepath.Join(dir, machine.vendor))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, binary, "--config", config)
	}
	mustSimulate(t, "set", filepath.Join(dir, "amd"), "gpu.1.temperature=91", "gpu.1.utilization.gpu=87")
	mustSimulate(t, "break", filepath.Join(dir, "amd"), "2", "lost")
	d := topOnce(t, 0, args...)
	bySource, sick := map[string]int{}, 0
	for _, one := range d.Devices {
		bySource[one.Source]++
		if !one.Healthy {
			sick++
			if !strings.Contains(one.HealthDescription, "fell off the bus") {
				t.Errorf("%s is unhealthy because of %q", one.ID, one.HealthDescription)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"nomad-device-amd": 4, "nomad-device-fpga": 5}, bySource); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if sick != 1 {
		t.Errorf("%d devices are unhealthy", sick)
	}
	hot := d.Devices[0]
	if hot.Heat == nil || hot.Heat.Value != 91 || hot.Load == nil || hot.Load.Value != 87 || hot.Memory == nil || hot.Power == nil {
		t.Errorf("the hottest device is %+v", hot)
	}
}
