package dfl_test

import (
	"os"
	"path/filepath"
	"slices"
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

func unpacked(t *testing.T, machine string) (host *sysfs.FS, root string) {
	t.Helper()
	root = sysfstest.Unpack(t, filepath.Join("testdata", machine+".tsv"))
	return sysfs.New(root), root
}

// A card that shows itself to both drivers' programs is the kernel's.
func TestOneFamilyForACard(t *testing.T) {
	t.Parallel()
	host, root := unpacked(t, "cards")
	const pci = "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0"
	for _, dir := range []string{"sys/class/fpga", pci + "/fpga/intel-fpga-dev.0/intel-fpga-port.0"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../"+strings.TrimPrefix(pci, "sys/")+"/fpga/intel-fpga-dev.0", filepath.Join(root, "sys/class/fpga/intel-fpga-dev.0")); err != nil {
		t.Fatal(err)
	}
	both := familytest.Scan(t, host, family.NewMemory(), families(dfl.Config{})...)
	alone := familytest.Scan(t, host, family.NewMemory(), dfl.NewOPAE(dfl.Config{}))
	for _, id := range both.IDs() {
		if strings.HasPrefix(id, "opae:") {
			t.Errorf("it is offered again as %s", id)
		}
	}
	if len(alone.Errors)+len(alone.Devices) == 0 {
		t.Error("the older driver's family does not see it at all: this test shows nothing")
	}
}

// The kernel numbers a port anew when the driver is loaded again; the node that is
// handed over is the port's of now.
func TestGrantFollowsTheNumber(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{"port": "/dev/dfl-port.9", "region": "/dev/dfl-fme.9 /dev/dfl-port.9 /dev/dfl-port.1"} {
		host, root := unpacked(t, "cards")
		look := familytest.Scan(t, host, family.NewMemory(), dfl.New(dfl.Config{Mode: mode}))
		id := map[string]string{"port": "dfl:0000:3b:00.0/port0", "region": "dfl:0000:3b:00.0/fme"}[mode]
		region := filepath.Join(root, "sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/fpga_region")
		for from, to := range map[string]string{"region0/dfl-port.0": "region0/dfl-port.9", "region0/dfl-fme.0": "region0/dfl-fme.9"} {
			if err := os.Rename(filepath.Join(region, from), filepath.Join(region, to)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(filepath.Join(region, "region0"), filepath.Join(region, "region12")); err != nil {
			t.Fatal(err)
		}
		grant, err := familytest.Grant(t, look.Device(t, id))
		if err != nil {
			t.Fatal(err)
		}
		var nodes []string
		for _, n := range grant.Nodes {
			nodes = append(nodes, n.Path)
		}
		if got := strings.Join(nodes, " "); got != want {
			t.Errorf("%s: nodes %q, want %q", mode, got, want)
		}
		if err := family.Check(host, grant); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if err := os.RemoveAll(region); err != nil {
			t.Fatal(err)
		}
		if _, err := familytest.Grant(t, look.Device(t, id)); err == nil {
			t.Errorf("%s: a port that is gone is handed over", mode)
		}
	}
}

// A function whose IOMMU group holds others is never handed over.
func TestVFIOGroup(t *testing.T) {
	t.Parallel()
	const id, group = "vfio:0000:5e:00.1", "sys/kernel/iommu_groups/42/devices"
	host, root := unpacked(t, "cards")
	scan := func() []string {
		return familytest.Codes(familytest.Scan(t, host, family.NewMemory(), dfl.NewVFIO()).Device(t, id))
	}
	if codes := scan(); codes != nil {
		t.Errorf("faults %q", codes)
	}
	other := filepath.Join(root, group, "0000:5e:00.2")
	if err := os.Symlink("../../../../devices/pci0000:5d/0000:5d:02.0/0000:5e:00.2", other); err != nil {
		t.Fatal(err)
	}
	if codes := scan(); !slices.Equal(codes, []string{"iommu-group"}) {
		t.Errorf("faults %q with a stranger in the group", codes)
	}
	if err := os.Remove(filepath.Join(root, "sys/devices/pci0000:5d/0000:5d:02.0/0000:5e:00.1/iommu_group")); err != nil {
		t.Fatal(err)
	}
	if codes := scan(); !slices.Equal(codes, []string{"iommu-group"}) {
		t.Errorf("faults %q without a group", codes)
	}
}
