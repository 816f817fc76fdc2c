package xrt_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/xrt"
)

const rack = "testdata/rack.tsv"

// golden compares a text with a golden file, or writes that anew with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if pagetest.Update() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRack(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.Unpack(t, rack))
	golden(t, "testdata/golden/rack.txt", familytest.Scan(t, host, family.NewMemory(), xrt.New(xrt.Config{})).String())
}
