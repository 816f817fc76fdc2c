package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/scaffold"
)

// newPlugin runs "devctl new ARGS".
func newPlugin(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"new"}, args...), &out, &errs)
	return out.String(), errs.String(), code
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "acme")
	stdout, stderr, code := newPlugin(t, "acme", "fpga", "--dir", dir, "--core", "v0.1.0", "-json")
	var written scaffold.Written
	if err := json.Unmarshal([]byte(stdout), &written); err != nil || code != 0 {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if written.Dir != dir || written.Binary != "nomad-device-acme" || !slices.Contains(written.Files, "cmd/nomad-device-acme/main.go") {
		t.Errorf("%+v", written)
	}
	for _, name := range written.Files {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}

	stdout, stderr, code = newPlugin(t, "acme", "fpga", "--dir", filepath.Join(t.TempDir(), "second"), "--core", "../../..", "--module", "example.org/acme")
	for _, want := range []string{"second/vendor.go\n", "The plugin nomad-device-acme is written", "go mod tidy", "FILL IN"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, without %q:\n%s%s", code, want, stdout, stderr)
		}
	}
}

func TestNewProblems(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"no type":    {[]string{"acme"}, 2, []string{"accepts 2 arg", "devctl new --help"}},
		"vendor":     {[]string{"Acme", "fpga", "--core", "v0.1.0"}, 2, []string{`the vendor "Acme"`, `such as "acme"`}},
		"both":       {[]string{"a_b", "F", "--core", "v0.1.0"}, 2, []string{`the vendor "a_b"`, `the type "F"`}},
		"module":     {[]string{"acme", "fpga", "--core", "v0.1.0", "--module", "no path"}, 2, []string{`"no path"`}},
		"core":       {[]string{"acme", "fpga", "--core", "nowhere"}, 2, []string{"--core", `"nowhere"`, "v0.1.0"}},
		"no release": {[]string{"acme", "fpga", "--dir", filepath.Join(t.TempDir(), "x")}, 2, []string{"--core", "no release"}},
		"full":       {[]string{"acme", "fpga", "--core", "v0.1.0", "--dir", full}, 1, []string{"notes.txt", "--dir"}},
	} {
		stdout, stderr, code := newPlugin(t, test.args...)
		if code != test.code || stdout != "" {
			t.Errorf("%s: exit %d, want %d\n%s", name, code, test.code, stdout)
		}
		for _, want := range test.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: stderr does not say %q:\n%s", name, want, stderr)
			}
		}
	}
}
