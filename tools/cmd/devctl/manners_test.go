package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/spf13/cobra"
)

// commands are all commands of devctl itself, root first.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

// TestHelp keeps the help of all commands, each of which has an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newRoot()
	addCompletion(root)
	for _, cmd := range commands(root) {
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if cmd.Short == "" || cmd.Example == "" {
				t.Errorf("%q has no short text or no example", cmd.CommandPath())
			}
			for line := range strings.Lines(cmd.Example) {
				if !strings.HasPrefix(line, "  devctl ") {
					t.Errorf("the example %q is not indented or no call of devctl", line)
				}
			}
			var stdout, stderr bytes.Buffer
			words := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			if code := run(t.Context(), words, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
				t.Fatalf("exit %d, stderr %q", code, stderr.String())
			}
			golden(t, filepath.Join("help", name), stdout.String())
		})
	}
}

// TestJSON has the commands that print something print it for programs.
func TestJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var started struct{ Profile, Vendor, Dir, Root, Config string }
	decode := func(into any, args ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("%s: exit %d, stderr %q", strings.Join(args, " "), code, stderr.String())
		}
		if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
			t.Fatalf("%s: %v in\n%s", strings.Join(args, " "), err, stdout.String())
		}
	}
	decode(&started, "simulate", "start", "4xmi210", "--dir", filepath.Join(dir, "machine"), "-json")
	if started.Profile != "4xmi210" || started.Vendor != "amd" || !strings.Contains(started.Config, started.Root) ||
		started.Dir != filepath.Join(dir, "machine") {
		t.Errorf("started: %+v", started)
	}
	var listed []listing
	decode(&listed, "simulate", "list", "amd", "--json")
	if len(listed) == 0 || listed[0].Name == "" || listed[0].Vendor != "amd" || listed[0].Summary == "" {
		t.Errorf("listed: %v", listed)
	}
	var scenario map[string]string
	decode(&scenario, "simulate", "get", started.Dir, "--json")
	var id string
	decode(&id, "simulate", "get", started.Dir, "gpu.0.unique_id", "--json")
	if id == "" || scenario["gpu.0.unique_id"] != id {
		t.Errorf("the ID is %q, in the scenario %q", id, scenario["gpu.0.unique_id"])
	}
	var cases []struct{ Rule, Name, Text string }
	decode(&cases, "check", "--list", "--json")
	if len(cases) == 0 || cases[0].Rule == "" || cases[0].Name == "" || cases[0].Text == "" {
		t.Errorf("cases: %v", cases)
	}
}

// TestCalledWrongly has all commands say the same way that they were.
func TestCalledWrongly(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"simulate", "start", "9xh100"},
		{"simulate", "start", "8xh100", "--set", "nothing"},
		{"simulate", "list", "acme"},
		{"simulate", "frobnicate"},
		{"simulate", "stop"},
		{"completion", "tcsh"},
		{"--colour"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), "--help'") {
			t.Errorf("%s: exit %d, stderr %q", strings.Join(args, " "), code, stderr.String())
		}
	}
}

// TestColoured has colour only where somebody sees it who wants it.
func TestColoured(t *testing.T) {
	keyboard, device, err := pty.Open()
	if err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	t.Cleanup(func() { _, _ = keyboard.Close(), device.Close() })
	for name, test := range map[string]struct {
		terminal bool
		env      map[string]string
		args     []string
		want     bool
	}{
		"terminal":      {terminal: true, want: true},
		"pipe":          {},
		"NO_COLOR":      {terminal: true, env: map[string]string{"NO_COLOR": "1"}},
		"dumb terminal": {terminal: true, env: map[string]string{"TERM": "dumb"}},
		"flag":          {terminal: true, args: []string{"-no-color"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", "")
			t.Setenv("TERM", "xterm-256color")
			for key, value := range test.env {
				t.Setenv(key, value)
			}
			root := &cobra.Command{Use: "devctl"}
			addTerminalFlags(root)
			got := false
			root.AddCommand(&cobra.Command{Use: "look", Run: func(cmd *cobra.Command, _ []string) { got = coloured(cmd) }})
			root.SetOut(new(bytes.Buffer))
			if test.terminal {
				root.SetOut(device)
			}
			root.SetArgs(likeNomad(append([]string{"look"}, test.args...)))
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("coloured: %v", got)
			}
		})
	}
	if null, err := os.Open(os.DevNull); err != nil || isTerminal(null) {
		t.Errorf("%s is a terminal (%v)", os.DevNull, err)
	}
}
