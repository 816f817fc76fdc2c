package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asDevctl is the variable that makes the test binary devctl itself, for tests that
// need it in a process of its own.
const asDevctl = "TEST_AS_DEVCTL"

func TestMain(m *testing.M) {
	plugintest.Main()
	if os.Getenv(asDevctl) != "" {
		main()
	}
	flag.Parse()
	os.Exit(m.Run())
}

// volatile is what differs from run to run.
var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`after [\d.]+m?s`), "after TIME"},
	{regexp.MustCompile(`(_ms": )[\d.]+`), "${1}0"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`[^\s"]*/` + plugintest.Name), "DIR/" + plugintest.Name},
}

func steady(output string) string {
	for _, v := range volatile {
		output = v.pattern.ReplaceAllString(output, v.with)
	}
	return output
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; write it anew with -update):\n%s", file, diff)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	agentFile := filepath.Join(dir, "agent.hcl")
	if err := os.WriteFile(agentFile, []byte(`client { enabled = true }
plugin "stub-device" {
  config { count = 1 }
}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"plain":   {"--set", "count=3"},
		"config":  {"--config", agentFile},
		"all":     {"--set", "count=2", "--stats", "--reserve-all"},
		"json":    {"--set", "count=2", "--stats", "--reserve", "PR-0,SN-0", "--json"},
		"empty":   {"--set", "behaviour=empty", "--timeout", "2s"},
		"nothing": {"--set", "behaviour=empty", "--timeout", "2s", "--json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"inspect", plugintest.Binary(t)}, args...), &stdout, &stderr)
			if code != 0 || stderr.Len() > 0 {
				t.Fatalf("exit %d, stderr %q", code, stderr.String())
			}
			golden(t, name, steady(stdout.String()))
		})
	}
}

func TestInspectProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		env  string
		code int
		want []string
	}{
		"no binary":     {args: []string{"inspect"}, code: 2, want: []string{"accepts 1 arg", "devctl inspect --help"}},
		"unknown flag":  {args: []string{"inspect", "BINARY", "--colour"}, code: 2, want: []string{"--colour"}},
		"unknown verb":  {args: []string{"inspekt"}, code: 2, want: []string{"inspekt"}},
		"bad level":     {args: []string{"inspect", "BINARY", "--log-level", "loud"}, code: 2, want: []string{"loud"}},
		"bad set":       {args: []string{"inspect", "BINARY", "--set", "count"}, code: 2, want: []string{"want key=value"}},
		"two reserves":  {args: []string{"inspect", "BINARY", "--reserve-all", "--reserve", "a"}, code: 2, want: []string{"exclude"}},
		"missing file":  {args: []string{"inspect", "BINARY", "--config", "none.hcl"}, code: 1, want: []string{"none.hcl"}},
		"missing":       {args: []string{"inspect", "no-such-plugin"}, code: 1, want: []string{"no-such-plugin", "no such file"}},
		"schema":        {args: []string{"inspect", "BINARY", "--set", "colour=red"}, code: 1, want: []string{`"colour"`, "known keys: behaviour, count"}},
		"refused":       {args: []string{"inspect", "BINARY", "--set", "behaviour=refuse"}, code: 1, want: []string{"SetConfig: behaviour: this plugin refuses"}},
		"no answer":     {args: []string{"inspect", "BINARY", "--set", "behaviour=silent", "--timeout", "500ms"}, code: 1, want: []string{"no fingerprint within 500ms"}},
		"ends":          {args: []string{"inspect", "BINARY", "--set", "behaviour=end", "--watch"}, code: 1, want: []string{"the plugin ended the stream"}},
		"dies":          {args: []string{"inspect", "BINARY", "--set", "behaviour=exit", "--watch"}, code: 1, want: []string{"died (exit status 4)", "plugin: [ERROR] giving up"}},
		"no stats":      {args: []string{"inspect", "BINARY", "--set", "behaviour=stats-error", "--stats"}, code: 1, want: []string{"nothing to count with"}},
		"sick device":   {args: []string{"inspect", "BINARY", "--reserve", "SN-1"}, code: 1, want: []string{"SN-1 is not healthy"}},
		"none healthy":  {args: []string{"inspect", "BINARY", "--set", "behaviour=empty", "--reserve-all", "--timeout", "2s"}, code: 1, want: []string{"no healthy device"}},
		"invalid group": {args: []string{"inspect", "BINARY", "--set", "behaviour=invalid"}, code: 1, want: []string{"would make Nomad drop the plugin"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, arg := range test.args {
				if arg == "BINARY" {
					test.args[i] = plugintest.Binary(t)
				}
			}
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), test.args, &stdout, &stderr); code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr.String(), want) {
					t.Errorf("stderr does not say %q:\n%s", want, stderr.String())
				}
			}
		})
	}
}

// watcher is the stdout of a command that goes on until it has written enough.
type watcher struct {
	bytes.Buffer
	enough func(output string) bool
	stop   context.CancelFunc
}

func (w *watcher) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if w.enough(w.String()) {
		w.stop()
	}
	return n, err
}

// watch runs devctl until it has written enough, and returns its output.
func watch(t *testing.T, enough func(output string) bool, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stdout, stderr := &watcher{enough: enough, stop: cancel}, &bytes.Buffer{}
	if code := run(ctx, args, stdout, stderr); code != 0 {
		t.Fatalf("exit %d, stderr %q", code, stderr.String())
	}
	return stdout.String()
}

func TestInspectWatch(t *testing.T) {
	t.Parallel()
	enough := func(output string) bool { return strings.Contains(output, "healthy_count is 0") }
	golden(t, "watch", steady(watch(t, enough, "inspect", plugintest.Binary(t), "--set", "behaviour=flap", "--watch")))
}

// TestInspectWatchJSON reads the stream as a program would.
func TestInspectWatchJSON(t *testing.T) {
	t.Parallel()
	enough := func(output string) bool {
		return strings.Count(output, "\n{\"stats\":") >= 3 && strings.Contains(output, "\n{\"groups\":")
	}
	output := watch(t, enough, "inspect", plugintest.Binary(t), "--set", "behaviour=flap", "--watch",
		"--stats", "--interval", "100ms", "--json")
	decoder := json.NewDecoder(strings.NewReader(output))
	var reports, fingerprints, stats int
	for decoder.More() {
		var document map[string]json.RawMessage
		if err := decoder.Decode(&document); err != nil {
			t.Fatal(err)
		}
		switch {
		case document["plugin"] != nil:
			reports++
		case document["groups"] != nil:
			fingerprints++
		case document["stats"] != nil:
			stats++
		}
	}
	if reports != 1 || fingerprints != 1 || stats < 3 {
		t.Errorf("%d reports, %d fingerprints, %d statistics", reports, fingerprints, stats)
	}
}
