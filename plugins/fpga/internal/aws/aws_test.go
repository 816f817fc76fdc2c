package aws

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

const slotsF2 = "testdata/f2.tsv"

func TestSlots(t *testing.T) {
	t.Parallel()
	for golden, tt := range map[string]struct {
		tree string
		c    Config
	}{
		"f2.txt":      {slotsF2, Config{}},
		"f2-bars.txt": {slotsF2, Config{BARMounts: true}},
		"f1.txt":      {"testdata/f1.tsv", Config{}},
	} {
		got := familytest.Scan(t, sysfs.New(sysfstest.Unpack(t, tt.tree)), family.NewMemory(), New(tt.c)).String()
		golden = filepath.Join("testdata", "golden", golden)
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
			t.Errorf("%s: -want +got\n%s", golden, diff)
		}
	}
}

// Whatever becomes of one file costs that fact, at most that slot.
func TestTorture(t *testing.T) {
	familytest.Torture{
		Tree:     familytest.Excerpt(t, slotsF2, "0000:9f:00", "0000:a1:00", "0000:b4:00", "0000:00:05", "/dev/"),
		Families: func() []family.Family { return []family.Family{New(Config{BARMounts: true})} },
		Allowed:  map[string][]core.Value{"slot": {core.Count(0), core.Count(1)}}, // where the one before is missing
		Shared:   []string{"slot"},
	}.Run(t)
}

// Nothing that reaches into a slot is read or opened, nor any of the windows.
func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	reads := map[string]int{}
	host := sysfs.New(sysfstest.Unpack(t, slotsF2), sysfs.WithHook(func(op, path string) error {
		base := filepath.Base(path)
		if strings.HasPrefix(base, "resource") || base == "config" || base == "remove" {
			t.Errorf("%s %s", op, path)
		}
		if op == "read" {
			reads[path]++
		}
		return nil
	}))
	look := familytest.Scan(t, host, family.NewMemory(), New(Config{BARMounts: true}))
	for path, n := range reads {
		if n > 1 {
			t.Errorf("%s is read %d times in a scan", path, n)
		}
	}
	if len(reads) == 0 {
		t.Error("this test sees no reads")
	}
	for _, d := range look.Devices {
		_ = familytest.Text(d) // which measures and grants it
	}
}

// A task never gets the management function: not its windows, and not its IOMMU
// group.
func TestGrantsPassTheCheck(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.Unpack(t, slotsF2))
	look := familytest.Scan(t, host, family.NewMemory(), New(Config{BARMounts: true}))
	for id, right := range map[string]bool{"aws:0000:9f:00.1": true, "aws:0000:a1:00.1": true, "aws:0000:b8:00.1": false} {
		grant, err := familytest.Grant(t, look.Device(t, id))
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if err := family.Check(host, grant); (err == nil) != right {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A slot of XRT's stays XRT's while its function is gone, and comes here when
// another image is in it.
func TestTakenByXRT(t *testing.T) {
	t.Parallel()
	root := sysfstest.Unpack(t, slotsF2)
	host, memory := sysfs.New(root), family.NewMemory()
	const id = "aws:0000:b6:00.1"
	listed := func() bool {
		return slices.Contains(familytest.Scan(t, host, memory, New(Config{})).IDs(), id)
	}
	link := filepath.Join(root, "sys/bus/pci/devices/0000:b6:00.0")
	target, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if listed() {
		t.Error("a slot of XRT's is listed")
	}
	do(os.Remove(link))
	if listed() {
		t.Error("a slot of XRT's is listed while its function is gone")
	}
	do(os.Symlink(target, link))
	do(os.Remove(filepath.Join(link, "user_pf")))
	if !listed() {
		t.Error("a slot with another image is not listed")
	}
	do(os.Remove(link))
	if !listed() {
		t.Error("a slot with another image is not listed while its function is gone")
	}
}

// What an earlier family has claimed is not offered, by either of its functions.
func TestClaimed(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, familytest.Excerpt(t, slotsF2, "0000:9f:00", "0000:a1:00")))
	look := familytest.Scan(t, host, family.NewMemory(), familytest.Claimer{"0000:9f:00.1", "0000:a1:00.0"}, New(Config{}))
	if len(look.Devices) != 0 {
		t.Errorf("devices %v", look.IDs())
	}
}

func TestApplication(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mgmt core.PCIAddress
		kind string
		want core.PCIAddress
		ok   bool
	}{
		{"0000:00:10.0", f1, "0000:00:0f.0", true},
		{"0000:00:1e.3", f1, "0000:00:1d.3", true},
		{"0000:00:00.0", f1, "", false},
		{"0000:9f:00.1", f2, "0000:9f:00.0", true},
		{"10000:9f:1f.7", f2, "10000:9f:1f.0", true},
		{"0000:9f:00.0", f2, "", false},
		{"nonsense", f2, "", false},
	} {
		if got, ok := application(tt.mgmt, tt.kind); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s %s: %s, %v, want %s, %v", tt.kind, tt.mgmt, got, ok, tt.want, tt.ok)
		}
	}
}

func FuzzApplication(f *testing.F) {
	f.Add("0000:00:10.0", f1)
	f.Add("0000:9f:00.1", f2)
	f.Fuzz(func(t *testing.T, mgmt, kind string) {
		if app, ok := application(core.PCIAddress(mgmt), kind); ok && (app == "" || string(app) == mgmt) {
			t.Errorf("%s %s: %s", kind, mgmt, app)
		}
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := config.Check(Config{}); err != nil {
		t.Error(err)
	}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	host := familytest.Tree(t, "aws-synth/f2-three-slots")
	type values = map[string]core.Value
	node := func(n string) values { return values{"numa_node": core.String("node" + n), "model": core.String("f2")} }
	look := familytest.Scan(t, host, family.NewMemory(), New(Config{}))
	look.Compare(t, map[string]familytest.Want{
		"aws:0000:9f:00.1": {
			Group: "aws/fpga/f2", Attributes: node("0"),
			Readings: values{"app_id": core.String("1d0f:9048"), "app_subsystem": core.String("1d0f:1d51"), "slot": core.Count(0)},
		},
		"aws:0000:a1:00.1": {
			Group: "aws/fpga/f2", Attributes: node("0"),
			Readings: values{"app_id": core.String("6789:1d50"), "slot": core.Count(1)},
		},
		"aws:0000:b4:00.1": {
			Group: "aws/fpga/f2", Attributes: node("1"), Unhealthy: []string{"no-application-function"},
			Readings: values{"app_id": {}, "slot": core.Count(2)},
		},
	})
	for id, pci := range map[string]core.PCIAddress{"aws:0000:9f:00.1": "0000:9f:00.0", "aws:0000:a1:00.1": "0000:a1:00.0", "aws:0000:b4:00.1": "0000:b4:00.0"} {
		if d := look.Device(t, id); d.PCI != pci {
			t.Errorf("%s: near %s, want %s", id, d.PCI, pci)
		}
	}
}
