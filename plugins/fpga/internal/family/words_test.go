package family_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Three results, never two.
func TestFacts(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := sysfs.New(sysfstest.UnpackText(t, strings.Join([]string{
		`/text	  U250 \x00\n`, `/empty	\n`, `/number	0x10\n`, `/garbage	zzz\xff\n`, `/busy	1\n`, `/long	` + strings.Repeat("x", 1025),
		`/uuid	0C1D2E3F4A5B6C7D8E9FA0B1C2D3E4F5`, `/ones	ffffffffffffffffffffffffffffffff\n`,
	}, "\n")), faults.Option())
	faults.Set("/busy", syscall.EBUSY)
	for path, want := range map[string]family.Fact[string]{
		"/text": family.Is("U250"), "/none": {State: family.None}, "/empty": {}, "/garbage": {}, "/busy": {}, "/long": {},
	} {
		got := family.ReadText(host, path)
		if (got.Err == nil) != got.Known() {
			t.Errorf("%s: error %v", path, got.Err)
		}
		if got.Err = nil; got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if n := family.ReadUint(host, "/number"); n.Value != 16 || !n.Known() {
		t.Errorf("number %+v", n)
	}
	if n := family.ReadInt(host, "/garbage"); n.State != family.Unknown {
		t.Errorf("garbage %+v", n)
	}
	u := family.ReadUUID(host, "/uuid")
	if got := family.UUIDAttribute(u); got != core.String("0c1d2e3f-4a5b-6c7d-8e9f-a0b1c2d3e4f5") {
		t.Errorf("UUID %v", got)
	}
	if ones := family.ReadUUID(host, "/ones"); !errors.Is(ones.Err, family.ErrAllOnes) || ones.State != family.Unknown {
		t.Errorf("all ones: %+v", ones)
	}
	for _, test := range []struct {
		fact family.Fact[uint64]
		want core.Value
	}{
		{family.Is[uint64](0x8000000000000000), core.String("0x8000000000000000")},
		{family.Failed[uint64](syscall.ENOENT), core.Value{}},
		{family.Failed[uint64](syscall.EIO), core.Unknown()},
	} {
		if got := family.Attribute(test.fact, family.Hex); got != test.want {
			t.Errorf("%+v: %v, want %v", test.fact, got, test.want)
		}
	}
	if family.Version("4.2") != core.Version("4.2") || family.Version("4.2 beta") != core.String("4.2 beta") {
		t.Error("versions")
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Xilinx_U250 GOLDEN 5": "xilinx_u250-golden-5", "  ZynqMP ZCU104 RevC\x00": "zynqmp-zcu104-revc", "ä/b//c": "b-c", "": "", "---": "", "v1.2": "v1.2",
	} {
		if got := family.Slug(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Two keys that would have one name are told apart, and stay so.
func TestGroups(t *testing.T) {
	t.Parallel()
	id := func(text string) family.ID {
		u, err := family.ParseUUID(text)
		if err != nil {
			t.Fatal(err)
		}
		return family.IDOf(family.Is(u))
	}
	one := family.GroupKey{Vendor: "intel", Model: "A 10", IDs: []family.ID{id("0c1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5"), "none"}}
	two := family.GroupKey{Vendor: "intel", Model: "a-10", IDs: []family.ID{id("0c1d2e3fffffffffffffffffffffffff"), "none"}}
	m := family.NewMemory()
	if got := m.Group(one); got != (core.Group{Vendor: "intel", Type: "fpga", Name: "a-10-0c1d2e3f-none"}) {
		t.Errorf("group %v", got)
	}
	for range 2 {
		if got := m.Group(two).Name; got != "a-10-0c1d2e3fffffffffffffffffffffffff-none" {
			t.Errorf("the other key: %s", got)
		}
		if got := m.Group(one).Name; got != "a-10-0c1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5-none" {
			t.Errorf("the first key then: %s", got)
		}
	}
	if got := family.IDOf(family.Failed[family.UUID](syscall.EBUSY)); got != "unknown" {
		t.Errorf("an ID that cannot be read: %s", got)
	}
	if got := family.IDOf(family.Failed[family.UUID](syscall.ENOENT)); got != "none" {
		t.Errorf("an ID that does not exist: %s", got)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	m := family.NewMemory()
	steps := []struct{ now, want family.Fact[string] }{
		{family.Fact[string]{}, family.Fact[string]{}},
		{family.Fact[string]{State: family.None}, family.Fact[string]{State: family.None}},
		{family.Is("a"), family.Is("a")},
		{family.Fact[string]{}, family.Is("a")},
		{family.Fact[string]{State: family.None}, family.Is("a")},
		{family.Is("b"), family.Is("b")},
		{family.Fact[string]{}, family.Is("b")},
	}
	for n, step := range steps {
		if got := family.Keep(m, "x name", step.now); got != step.want {
			t.Errorf("step %d: %+v, want %+v", n, got, step.want)
		}
		if got := family.Keep(m, "y name", family.Fact[string]{}); got.Known() {
			t.Errorf("step %d: another device knows %q", n, got.Value)
		}
	}
}

func TestNumbered(t *testing.T) {
	t.Parallel()
	names := []string{"temp10_input", "temp1_input", "temp2_input", "temp01_input", "temp_input", "temp-1_input", "temp1_label", "xtemp1_input", "temp99999999999999999999_input"}
	if diff := cmp.Diff([]int{1, 2, 10}, family.Numbered(names, "temp", "_input")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

const links = `
/sys/class/hwmon/hwmon0	-> ../../devices/pci0000:00/0000:01:00.0/hwmon/hwmon0
/sys/class/hwmon/hwmon1	-> ../../devices/pci0000:00/0000:01:00.01/hwmon/hwmon1
/sys/class/hwmon/hwmon2	-> ../../devices/nowhere
/sys/class/hwmon/hwmon3	-> /dev/null
/sys/class/hwmon/hwmon4/name	a plain directory\n
/sys/class/hwmon/hwmon5	-> ../../devices/pci0000:00/0000:01:00.0/dfl/x/hwmon/hwmon5
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/name	card\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/temp1_input	48000\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/temp1_label	FPGA Temp\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/temp2_input	4294966336\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/in0_input	12058\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/curr1_input	1445\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/fan1_input	1086\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/power1_input	17423200\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/power1_average	1\n
/sys/devices/pci0000:00/0000:01:00.0/hwmon/hwmon0/device	-> ../../../0000:01:00.0
/sys/devices/pci0000:00/0000:01:00.0/dfl/x/hwmon/hwmon5/temp1_input	!unreadable
/sys/devices/pci0000:00/0000:01:00.0/self	-> .
/sys/devices/pci0000:00/0000:01:00.01/hwmon/hwmon1/name	another card\n
/sys/bus/pci/drivers/ami/0000:01:00.0	-> ../../../../devices/pci0000:00/0000:01:00.0
/sys/bus/pci/drivers/ami/module	-> ../../../../module/ami
/sys/bus/pci/drivers/ami/devices	1\n
`

// Chips are those below the device, found by the class, or without it by looking
// through the device's directories.
func TestHwmons(t *testing.T) {
	t.Parallel()
	const device = "/sys/devices/pci0000:00/0000:01:00.0"
	want := []family.Hwmon{{Dir: device + "/dfl/x/hwmon/hwmon5"}, {Dir: device + "/hwmon/hwmon0", Name: "card"}}
	for name, tree := range map[string]string{"by the class": links, "without it": strings.ReplaceAll(links, "/sys/class/hwmon", "/sys/class/other")} {
		host := sysfs.New(sysfstest.UnpackText(t, tree))
		scan := family.NewScan(host, family.NewMemory())
		got := scan.Hwmons(device)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: -want +got\n%s", name, diff)
		}
		var values []string
		for _, c := range family.Channels(host, got[1]) {
			label := c.Label
			if label == "" {
				label = c.Kind
			}
			if r := c.Reading(host, label); r.Value.Known() {
				values = append(values, r.Name+"="+r.Value.String()+r.Unit)
			}
		}
		if diff := cmp.Diff([]string{"sensor_curr=1.445A", "sensor_fan=1086rpm", "sensor_in=12.058V", "sensor_power=17.4232W", "sensor_fpga_temp=48C"}, values); diff != "" {
			t.Errorf("%s: sensors, -want +got\n%s", name, diff)
		}
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	scan := family.NewScan(sysfs.New(sysfstest.UnpackText(t, links)), family.NewMemory())
	names := func(entries []family.Entry, err error) string {
		if err != nil {
			t.Error(err)
		}
		var all []string
		for _, e := range entries {
			all = append(all, e.Name)
		}
		return strings.Join(all, " ")
	}
	if got := names(scan.Entries("/sys/class/hwmon")); got != "hwmon0 hwmon1 hwmon5" {
		t.Errorf("entries %q", got)
	}
	if got := names(scan.PCIEntries("/sys/bus/pci/drivers/ami")); got != "0000:01:00.0" {
		t.Errorf("functions %q", got)
	}
	if got := names(scan.Entries("/sys/class/none")); got != "" {
		t.Errorf("a class that is not there: %q", got)
	}
	for path, want := range map[string]core.PCIAddress{
		"/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/dfl/x": "0000:01:00.0", "/sys/devices/pci0000:00/10000:01:00.0": "10000:01:00.0",
		"/sys/devices/platform/soc": "", "/": "", "": "",
	} {
		if got, _, ok := family.Function(path); got != want || ok != (want != "") {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	scan := family.NewScan(sysfs.New(t.TempDir()), family.NewMemory())
	scan.Claim("dfl", "0000:01:00.0", "/sys/devices/x")
	for claim, want := range map[string]bool{"0000:01:00.0": true, "/sys/devices/x": true, "0000:01:00.1": false, "": false} {
		if got := scan.Claimed(claim); got != want {
			t.Errorf("%q: %v", claim, got)
		}
	}
}

func TestVFIONodes(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.UnpackText(t, "/a/iommu_group\t-> ../kernel/iommu_groups/42\n/b/vendor\t0x1\n"))
	nodes, err := family.VFIONodes(host, "/a")
	want := []core.Node{{Path: "/dev/vfio/vfio", Permissions: "rw"}, {Path: "/dev/vfio/42", Permissions: "rw"}}
	if diff := cmp.Diff(want, nodes); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	if _, err := family.VFIONodes(host, "/b"); err == nil || !strings.Contains(err.Error(), "turn on the IOMMU") {
		t.Errorf("without a group: %v", err)
	}
}

func FuzzParseUUID(f *testing.F) {
	f.Add("69528db6-eb31-577a-8c36-68f9faa081f6")
	f.Add("69528DB6EB31577A8C3668F9FAA081F6")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := family.ParseUUID(text)
		if err != nil {
			return
		}
		if again, err := family.ParseUUID(u.String()); err != nil || again != u {
			t.Errorf("%q: %v, and %v again (%v)", text, u, again, err)
		}
		if slug := family.Slug(text); slug != strings.ToLower(text) {
			t.Errorf("%q: slug %q", text, slug)
		}
	})
}
