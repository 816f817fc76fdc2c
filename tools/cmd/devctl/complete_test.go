package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// complete asks for completions as a shell does, and returns them without what
// they mean.
func complete(t *testing.T, words ...string) (offered []string, directive string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"__complete"}, words...), &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d, stderr %q", code, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		word, _, _ := strings.Cut(line, "\t")
		offered = append(offered, word)
	}
	return offered, lines[len(lines)-1]
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	machine := filepath.Join(dir, "machine")
	mustSimulate(t, "start", "4xmi210", "--dir", machine)
	for name, mode := range map[string]os.FileMode{"nomad-device-x": 0o755, "notes.txt": 0o644, ".hidden": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "more"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, dir+"/"+name)
		}
		return paths
	}
	for _, test := range []struct {
		words     []string
		want      []string
		directive string
	}{
		{[]string{"ins"}, []string{"inspect"}, ":4"},
		{[]string{"simulate", "start", "8x"}, []string{"8xmi300x", "8xh100"}, ":4"},
		{[]string{"simulate", "list", ""}, []string{"amd", "fpga", "nvidia"}, ":4"},
		{[]string{"simulate", "stop", dir + "/m"}, at("machine", "more/"), ":6"},
		{[]string{"simulate", "break", machine, "3"}, []string{"3"}, ":4"},
		{[]string{"simulate", "break", machine, "3", "ecc-u"}, []string{"ecc-ue"}, ":4"},
		{[]string{"simulate", "break", machine, "3", "ecc-ue", ""}, nil, ":4"},
		{[]string{"simulate", "break", dir + "/more", ""}, nil, ":4"},
		{[]string{"simulate", "set", machine, "a=b", "gpu.0.uniq"}, []string{"gpu.0.unique_id="}, ":6"},
		{[]string{"simulate", "get", machine, "gpu.0.uniq"}, []string{"gpu.0.unique_id"}, ":4"},
		{[]string{"simulate", "driver", machine, "u"}, []string{"unload", "upgrade"}, ":4"},
		{[]string{"simulate", "partition", machine, "0", "C"}, []string{"CPX"}, ":4"},
		{[]string{"inspect", dir + "/n"}, at("nomad-device-x"), ":4"},
		{[]string{"inspect", dir + "/nomad-device-x", ""}, nil, ":4"},
		{[]string{"check", dir + "/"}, at("machine/", "more/", "nomad-device-x"), ":6"},
		{[]string{"check", dir + "/nomad-device-x", "--simulator", dir + "/ma"}, at("machine"), ":4"},
		{[]string{"check", dir + "/none/x"}, nil, ":4"},
		{[]string{"top", dir + "/nomad-device-x", dir + "/no"}, at("nomad-device-x"), ":4"},
		{[]string{"top", "-so"}, []string{"--sort"}, ":4"},
		{[]string{"top", "--sort", "h"}, []string{"health", "heat", "holder"}, ":4"},
		{[]string{"inspect", "--log-level", "w"}, []string{"warn"}, ":4"},
	} {
		t.Run(strings.ReplaceAll(strings.Join(test.words, " "), dir, "DIR"), func(t *testing.T) {
			t.Parallel()
			got, directive := complete(t, test.words...)
			if diff := cmp.Diff(test.want, got); diff != "" || directive != test.directive {
				t.Errorf("directive %s, want %s; offered (-want +got):\n%s", directive, test.directive, diff)
			}
		})
	}
}

// TestCompletionScripts makes the scripts of the shells.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"completion", shell}, &stdout, &stderr); code != 0 {
			t.Fatalf("%s: exit %d, stderr %q", shell, code, stderr.String())
		}
		if !strings.Contains(stdout.String(), "__complete") || !slices.Contains(strings.Fields(stdout.String()), "devctl") {
			t.Errorf("the script for %s does not ask devctl", shell)
		}
	}
}
