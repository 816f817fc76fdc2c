package ami_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/ami"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

const (
	cards = "testdata/cards.tsv"
	v80   = "/sys/devices/pci0000:c0/0000:c0:01.1/0000:c1:00.0"
)

func exposed() *ami.Family { return ami.New(ami.Config{ExposeMgmtNode: true}) }

func TestCards(t *testing.T) {
	t.Parallel()
	for file, f := range map[string]*ami.Family{"cards.txt": ami.New(ami.Config{}), "exposed.txt": exposed()} {
		got := familytest.Scan(t, sysfs.New(sysfstest.Unpack(t, cards)), family.NewMemory(), f).String()
		file = filepath.Join("testdata", "golden", file)
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
			t.Errorf("%s: -want +got\n%s", file, diff)
		}
	}
}

// Whatever becomes of one file costs that fact, at most that card.
func TestTorture(t *testing.T) {
	familytest.Torture{
		Tree:     familytest.Excerpt(t, cards, "0000:c1:00", "0000:c3:00", "/sys/bus/pci/drivers/ami/devices", "/dev/"),
		Families: func() []family.Family { return []family.Family{exposed()} },
		Allowed:  map[string][]core.Value{"product_name": {core.String("V80")}},
	}.Run(t)
}

// Each file is read once in a scan, and none that reaches into the card or whose
// content is known to be wrong; and no sensor of a controller that does not answer.
func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	reads := map[string]int{}
	host := sysfs.New(sysfstest.Unpack(t, cards), sysfs.WithHook(func(op, path string) error {
		if op == "read" {
			reads[path]++
		}
		return nil
	}))
	look := familytest.Scan(t, host, family.NewMemory(), exposed())
	for path, n := range reads {
		if n > 1 {
			t.Errorf("%s is read %d times in a scan", path, n)
		}
	}
	for _, d := range look.Devices {
		_ = familytest.Text(d) // which measures and grants it
	}
	for path := range reads {
		if slices.Contains([]string{"config", "resource0", "remove", "power_mode"}, filepath.Base(path)) {
			t.Errorf("%s is read", path)
		}
		if strings.Contains(path, "0000:c3:00.0/hwmon/") || strings.Contains(path, "0000:c4:00.0/hwmon/") {
			t.Errorf("%s is read though the controller does not answer", path)
		}
	}
	if reads[v80+"/hwmon/hwmon8/temp1_input"] == 0 {
		t.Error("this test sees no reads")
	}
}

// What an earlier family has claimed is not offered, whichever function of the card
// that was.
func TestClaimed(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, familytest.Excerpt(t, cards, "0000:c1:00")))
	for _, claimed := range []string{"0000:c1:00.0", "0000:c1:00.1"} {
		look := familytest.Scan(t, host, family.NewMemory(), familytest.Claimer{claimed}, exposed())
		if len(look.Devices)+len(look.Notes) != 0 {
			t.Errorf("%s is claimed: devices %v, notes %v", claimed, look.IDs(), look.Notes)
		}
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	root := sysfstest.UnpackText(t, familytest.Excerpt(t, cards, "0000:c1:00.0"))
	for state, want := range map[string]core.Severity{
		"READY\n": -1, "READY": -1, "COMPAT\n": core.Notice, "MISSING_INFO\n": core.Notice,
		"INIT\n": core.Soft, "": core.Soft, "\n": core.Soft, "REPROGRAMMING\n": core.Soft, "\xff\xfe": core.Soft,
		"NO_AMC\n": core.Hard, "INIT_ERROR\n": core.Hard, "SHUTDOWN\n": core.Hard,
	} {
		if err := os.WriteFile(filepath.Join(root, v80, "dev_state"), []byte(state), 0o644); err != nil {
			t.Fatal(err)
		}
		d := familytest.Scan(t, sysfs.New(root), family.NewMemory(), ami.New(ami.Config{})).Device(t, "ami:0000:c1:00.0")
		got := core.Severity(-1)
		for _, f := range d.Faults {
			got = f.Severity
			if f.Code == "" || f.Reason == "" || f.Remedy == "" {
				t.Errorf("%q: %+v", state, f)
			}
		}
		if got != want || len(d.Faults) > 1 {
			t.Errorf("%q: faults %v, want one of severity %v", state, d.Faults, want)
		}
		if _, measured := familytest.Readings(t, d)["temperature"]; measured != (want < core.Soft) {
			t.Errorf("%q: its temperature is measured: %v", state, measured)
		}
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	root := sysfstest.UnpackText(t, familytest.Excerpt(t, cards, "0000:c1:00.0"))
	memory := family.NewMemory()
	before := familytest.Scan(t, sysfs.New(root), memory, ami.New(ami.Config{})).Device(t, "ami:0000:c1:00.0")
	if err := os.WriteFile(filepath.Join(root, v80, "logic_uuid"), []byte(strings.Repeat("f", 32)), 0o644); err != nil {
		t.Fatal(err)
	}
	after := familytest.Scan(t, sysfs.New(root), memory, ami.New(ami.Config{})).Device(t, before.ID)
	if diff := cmp.Diff([]string{"off-the-bus"}, familytest.Codes(after)); diff != "" || after.Group != before.Group {
		t.Errorf("group %v, -want +got\n%s", after.Group, diff)
	}
}

// A management node is handed over by name alone, and never the driver's own.
func TestMgmtNodes(t *testing.T) {
	t.Parallel()
	root := sysfstest.Unpack(t, cards)
	host := sysfs.New(root)
	for id, want := range map[string]string{"ami:0000:c1:00.0": "/dev/ami1", "ami:0001:c1:00.0": "/dev/ami2", "ami:0000:c3:00.0": "/dev/ami3"} {
		grant, err := familytest.Grant(t, familytest.Scan(t, host, family.NewMemory(), exposed()).Device(t, id))
		if len(grant.Nodes) != 1 || grant.Nodes[0].Path != want || err != nil {
			t.Errorf("%s: %v, %v, want %s", id, grant.Nodes, err, want)
		}
		if err := family.Check(host, grant); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		grant, err = familytest.Grant(t, familytest.Scan(t, host, family.NewMemory(), ami.New(ami.Config{})).Device(t, id))
		if len(grant.Nodes) != 0 || err != nil {
			t.Errorf("%s: %v, %v, want no node", id, grant.Nodes, err)
		}
	}
	table := filepath.Join(root, "sys/bus/pci/drivers/ami/devices")
	for content, says := range map[string]string{
		"1\nc1:00.0 0 8\n": "never handed", "0\n": "does not list it", "": "does not list it", "garbage": "",
		"1\nc1:00.0 1 77\n": "does not list it", // the chip of no card
	} {
		if err := os.WriteFile(table, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		grant, err := familytest.Grant(t, familytest.Scan(t, host, family.NewMemory(), exposed()).Device(t, "ami:0000:c1:00.0"))
		if err == nil {
			err = family.Check(host, grant)
		}
		if content != "garbage" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("table %q: %v, %v, want an error that says %q", content, grant.Nodes, err, says)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	scan := family.NewScan(sysfs.New(sysfstest.UnpackText(t, familytest.Excerpt(t, cards, "0000:c1:00"))), family.NewMemory())
	notes := func(f *ami.Family) string {
		found, err := f.Discover(t.Context(), scan)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, n := range found.Notes {
			texts = append(texts, n.Text)
		}
		return strings.Join(texts, "\n")
	}
	if got := notes(ami.New(ami.Config{})); !strings.Contains(got, "no device node") {
		t.Errorf("a token says %q", got)
	}
	if got := notes(exposed()); !strings.Contains(got, "write its flash") {
		t.Errorf("a management node says %q", got)
	}
	scan.Nodes = map[string][]string{"ami:0000:c1:00.0": {"/dev/vfio/20"}}
	if got := notes(ami.New(ami.Config{})); got != "" {
		t.Errorf("a card with nodes says %q", got)
	}
}

// An operator may add the VFIO group of the function that the design makes for
// tasks, but none that holds the management function.
func TestVFIONodes(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, familytest.Excerpt(t, cards, "0000:c1:00")+`
/sys/kernel/iommu_groups/20/devices/0000:c1:00.1	-> ../../../../devices/pci0000:c0/0000:c0:01.1/0000:c1:00.1
/sys/kernel/iommu_groups/21/devices/0000:c1:00.0	-> ../../../../devices/pci0000:c0/0000:c0:01.1/0000:c1:00.0
/sys/kernel/iommu_groups/21/devices/0000:c1:00.1	-> ../../../../devices/pci0000:c0/0000:c0:01.1/0000:c1:00.1
`))
	d := familytest.Scan(t, host, family.NewMemory(), ami.New(ami.Config{})).Device(t, "ami:0000:c1:00.0")
	for node, right := range map[string]bool{"/dev/vfio/20": true, "/dev/vfio/21": false} {
		grant, err := familytest.Grant(t, d)
		if err != nil {
			t.Fatal(err)
		}
		grant.Nodes = append(grant.Nodes, core.Node{Path: node, Permissions: "rw"})
		if err := family.Check(host, grant); (err == nil) != right {
			t.Errorf("%s: %v", node, err)
		}
	}
}
