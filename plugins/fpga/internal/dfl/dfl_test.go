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

// A port whose number is nonsense is none that was not there before.
func TestPortNumber(t *testing.T) {
	t.Parallel()
	root := sysfstest.Unpack(t, filepath.Join("testdata", "cards.tsv"))
	ids, err := filepath.Glob(filepath.Join(root, "sys/devices/*/*/*/fpga_region/region*/dfl-port.*/id"))
	if err != nil || len(ids) == 0 {
		t.Fatalf("%v, %v", ids, err)
	}
	host, memory := sysfs.New(root), family.NewMemory()
	before := familytest.Scan(t, host, memory, families(dfl.Config{})...).IDs()
	for _, text := range []string{"4294967295\n", "64\n", "-1\n", "port\n", ""} {
		for _, id := range ids {
			if err := os.WriteFile(id, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(before, familytest.Scan(t, host, memory, families(dfl.Config{})...).IDs()); diff != "" {
			t.Errorf("with the number %q (-before +after):\n%s", text, diff)
		}
		for _, found := range familytest.Scan(t, host, family.NewMemory(), families(dfl.Config{})...).IDs() {
			if strings.Contains(found, "/port") {
				t.Errorf("with the number %q there is %s", text, found)
			}
		}
	}
}
