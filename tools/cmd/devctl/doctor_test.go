package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/doctor"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

// examine runs "devctl doctor ARGS".
func examine(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"doctor"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

// agentFile writes an agent's configuration for the stub plugin, whose last
// sensor is always unhealthy.
func agentFile(t *testing.T, label string, sensors int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent.hcl")
	text := fmt.Sprintf("plugin_dir = %q\nclient {\n  enabled = true\n}\nplugin %q {\n  config {\n    count = %d\n  }\n}\n",
		filepath.Dir(plugintest.Binary(t)), label, sensors)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // a machine with nothing in it
	for name, test := range map[string]struct {
		args []string
		code int
		out  []string
		errs string
	}{
		"healthy":   {[]string{"--agent-config", agentFile(t, plugintest.Name, 0), "--all"}, 0, []string{"(devices-healthy)", "0 problems, "}, ""},
		"one dash":  {[]string{"-agent-config", agentFile(t, plugintest.Name, 0), "-verbose"}, 0, []string{"(devices-healthy)"}, ""},
		"unhealthy": {[]string{"--agent-config", agentFile(t, plugintest.Name, 2)}, 1, []string{"problem  SN-1  (device-unhealthy)", "# wiggle the plug"}, "1 problem found"},
		"misspelt": {
			[]string{"--agent-config", agentFile(t, "stub", 2)},
			1,
			[]string{"plugin \"stub-device\" {   # instead of plugin \"stub\"", "systemctl restart nomad"},
			"2 problems found",
		},
		"a file":          {[]string{plugintest.Binary(t)}, 1, []string{"(config-none)", "(device-unhealthy)"}, "1 problem found"},
		"negative time":   {[]string{"--timeout", "-1s"}, 2, nil, "--timeout must be more than 0"},
		"no such config":  {[]string{"--agent-config", filepath.Join(root, "none.hcl")}, 2, nil, "none.hcl"},
		"no such root":    {[]string{"--host-root", filepath.Join(root, "none")}, 2, nil, "is no directory"},
		"a node of none":  {[]string{"--node", "n1"}, 2, nil, "--node is of use with --nomad only"},
		"variables alone": {[]string{"--var", "a=b"}, 2, nil, "name it with --job"},
		"bad address":     {[]string{"--nomad", "--address", "::"}, 2, nil, "Nomad agent"},
		"unknown flag":    {[]string{"--colour"}, 2, nil, "devctl doctor --help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := test.args
			if !slices.Contains(args, "--host-root") {
				args = append([]string{"--host-root", root}, args...)
			}
			stdout, stderr, code := examine(t, args...)
			if code != test.code || !strings.Contains(stderr, test.errs) || test.code == 0 && stderr != "" {
				t.Errorf("exit %d, want %d; stderr %q, want %q\n%s", code, test.code, stderr, test.errs, stdout)
			}
			for _, want := range test.out {
				if !strings.Contains(stdout, want) {
					t.Errorf("it does not say %q:\n%s", want, stdout)
				}
			}
		})
	}
}

// TestDoctorJSON reads what is printed for programs.
func TestDoctorJSON(t *testing.T) {
	t.Parallel()
	stdout, _, code := examine(t, "--json", "--host-root", t.TempDir(), "--agent-config", agentFile(t, plugintest.Name, 1))
	var report doctor.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	i := slices.IndexFunc(report.Findings, func(f doctor.Finding) bool { return f.Code == "device-unhealthy" })
	if code != 1 || report.Count(doctor.Problem) != 1 || i < 0 || report.Findings[i].Subject != "SN-0" {
		t.Errorf("exit %d:\n%s", code, stdout)
	}
}
