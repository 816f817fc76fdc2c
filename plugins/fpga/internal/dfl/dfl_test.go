package dfl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/dfl"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

// families are all of the package, in their order.
func families(cfg dfl.Config) []family.Family {
	return []family.Family{dfl.New(cfg), dfl.NewOPAE(cfg), dfl.NewVFIO()}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		machine, name string
		cfg           dfl.Config
	}{
		{"cards", "cards", dfl.Config{}},
		{"cards", "cards-region", dfl.Config{Mode: "region"}},
		{"cards", "cards-uio", dfl.Config{UIO: true}},
		{"opae", "opae", dfl.Config{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := sysfstest.Unpack(t, filepath.Join("testdata", test.machine+".tsv"))
			got := strings.ReplaceAll(familytest.Scan(t, sysfs.New(root), family.NewMemory(), families(test.cfg)...).String(), root, "")
			golden := filepath.Join("testdata", "golden", test.name+".txt")
			if pagetest.Update() {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
