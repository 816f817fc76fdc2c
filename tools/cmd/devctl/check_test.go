package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

// check runs "devctl check ARGS".
func check(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"check"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

func TestCheckProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"no binary":     {want: []string{"accepts 1 arg", "devctl check --help"}},
		"bad pattern":   {args: []string{"BINARY", "--run", "("}, want: []string{"--run"}},
		"bad set":       {args: []string{"BINARY", "--set", "count"}, want: []string{"want key=value"}},
		"missing":       {args: []string{"no-such-plugin"}, want: []string{"no-such-plugin", "no such file"}},
		"schema":        {args: []string{"BINARY", "--set", "colour=red"}, want: []string{`"colour"`, "known keys: behaviour, count"}},
		"no machine":    {args: []string{"BINARY", "--simulator", "nowhere"}, want: []string{"nowhere", "devctl simulate start"}},
		"missing file":  {args: []string{"BINARY", "--config", "none.hcl"}, want: []string{"none.hcl"}},
		"junit nowhere": {args: []string{"BINARY", "--run", "C2/", "--junit", "no/such/place.xml"}, want: []string{"place.xml"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, arg := range test.args {
				if arg == "BINARY" {
					test.args[i] = plugintest.Binary(t)
				}
			}
			_, stderr, code := check(t, test.args...)
			if code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr does not say %q:\n%s", want, stderr)
				}
			}
		})
	}
}

// TestCheckReports checks a plugin that has faults: its summary for people, and
// the reports for programs.
func TestCheckReports(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "check.xml")
	binary := plugintest.Binary(t)
	stdout, stderr, code := check(t, binary, "--run", "C2/|C33/|C6[34]/", "--junit", file)
	if code != 1 || !strings.Contains(stderr, "1 case failed") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	for _, want := range []string{
		"stub-device 1.2.3 breaks the contract: 1 failed, 2 passed, 2 skipped",
		"FAILED C33/types", `the attribute firmware is the text "2.10"`, "mend:", "hardware that can be broken",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report does not say %q:\n%s", want, stdout)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Name    string `xml:"name,attr"`
			Failure *struct {
				Text string `xml:",chardata"`
			} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(text, &junit); err != nil || junit.Tests != 5 || junit.Failures != 1 || len(junit.Cases) != 5 {
		t.Errorf("JUnit: %v\n%s", err, text)
	}

	stdout, _, code = check(t, binary, "--run", "C2/|C33/", "--json", "--skip", "types")
	var report conformance.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if code != 0 || len(report.Results) != 1 || report.Results[0].String() != "C2/plugin-info" || report.Results[0].Status != conformance.Passed {
		t.Errorf("exit %d, %+v", code, report)
	}
}

func TestCheckList(t *testing.T) {
	t.Parallel()
	stdout, _, code := check(t, "--list")
	if code != 0 || strings.Count(stdout, "\n") != len(conformance.Cases()) || !strings.Contains(stdout, "C12/first-message ") {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
	if _, _, code := check(t, "--list", "plugin"); code != 2 {
		t.Errorf("--list with a plugin: exit %d", code)
	}
}

// TestCheckNVIDIA holds the built NVIDIA plugin to the contract on machines
// whose GPUs fail, hang, go and come: whole GPUs, and GPUs cut into instances.
func TestCheckNVIDIA(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the plugin and takes two minutes")
	}
	binary, err := rig.BuildPlugin(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for profile, sets := range map[string][]string{
		"8xh100":     nil,
		"4xa100-mig": {"--set", "access=devices"},
	} {
		checkOn(t, binary, profile, "minutes", sets...)
	}
}

// TestCheckAMD does the same with the cases for hardware that breaks, on
// a machine with whole and with divided GPUs. What the plugin says otherwise is
// its own module's concern.
func TestCheckAMD(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the plugin and takes a minute")
	}
	binary, err := rig.BuildStatic(t.Context(), t.TempDir(), "amd")
	if err != nil {
		t.Fatal(err)
	}
	checkOn(t, binary, "mixed-instinct", "do not hang",
		"--run", "C12/|C13/|C17/readings|C22/|C23/|C24/|C31/|C40/|C44/|C59/|C71/", "--skip", "stays-long|flapping|every-fault")
}

// TestCheckFPGA does the same on a machine with cards of two driver families.
func TestCheckFPGA(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it builds the plugin and takes a minute")
	}
	binary, err := rig.BuildStatic(t.Context(), t.TempDir(), "fpga")
	if err != nil {
		t.Fatal(err)
	}
	checkOn(t, binary, "mixed-fpga", "do not hang",
		"--run", "C12/|C13/|C17/readings|C22/|C23/|C24/|C31/|C40/|C44/|C59/|C71/", "--skip", "stays-long|flapping|every-fault")
}

// checkOn checks a plugin on a machine of its own. Cases may be skipped for the
// reason given alone.
func checkOn(t *testing.T, binary, profile, reason string, args ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "machine")
	mustSimulate(t, "start", profile, "--dir", dir)
	stdout, stderr, code := check(t, append([]string{binary, "--simulator", dir}, args...)...)
	if code != 0 {
		t.Errorf("%s: exit %d\n%s%s", profile, code, stderr, stdout)
	}
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, "skipped") && !strings.Contains(line, reason) {
			t.Errorf("%s: %s", profile, line)
		}
	}
}
