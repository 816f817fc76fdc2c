package main

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
)

func TestLook(t *testing.T) {
	t.Parallel()
	got, ok, err := look("/dev/null")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	want := report.Node{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, Mode: got.Mode, Allowed: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok, err := look(t.TempDir()); ok || err != nil {
		t.Errorf("a directory is a node: %v, %v", ok, err)
	}
	if _, _, err := look("/dev/no-such-node"); !os.IsNotExist(err) {
		t.Errorf("error: %v", err)
	}
}
