package soak

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// TestSoak is "make soak" for 20 seconds.
func TestSoak(t *testing.T) {
	t.Parallel()
	if err := rig.BuildRequirements(); err != nil {
		t.Skipf("the plugin and the simulated driver cannot be built here, it needs %v", err)
	}
	plugin, err := rig.BuildPlugin(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), Options{
		Plugin: plugin, Dir: filepath.Join(t.TempDir(), "machine"), Duration: 20 * time.Second, Seed: 1, Progress: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(t.Output()); err != nil {
		t.Error(err)
	}
	if err := report.Grown(); err != nil {
		t.Error(err)
	}
}
