package xrt_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
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

// machine is a tree that a test can change.
type machine struct {
	*sysfs.FS
	faults sysfstest.Faults
	t      *testing.T
}

func newMachine(t *testing.T, tsv string) *machine {
	t.Helper()
	m := &machine{t: t}
	m.FS = sysfs.New(sysfstest.UnpackText(t, tsv), m.faults.Option())
	return m
}

// write replaces the content of a file, or makes it.
func (m *machine) write(path, content string) {
	m.t.Helper()
	if err := os.MkdirAll(m.Full(filepath.Dir(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.Full(path), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) remove(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(m.Full(path)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// The functions of the U250 in the rack, and of the card that is not ready.
const (
	u250     = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.1"
	u250Mgmt = "/sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0"
	v70      = "/sys/devices/pci10000:e0/10000:e0:00.0/10000:e1:00.1"
	waiting  = "/sys/devices/pci0000:00/0000:00:18.0/0000:07:00.1"
)

func oneU250(t *testing.T) *machine {
	t.Helper()
	return newMachine(t, familytest.Excerpt(t, rack, "0000:3b:00", "/dev/dri", "/opt/", "/etc/"))
}

func TestRack(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.Unpack(t, rack))
	golden(t, "testdata/golden/rack.txt", familytest.Scan(t, host, family.NewMemory(), xrt.New(xrt.Config{})).String())
}

// Whatever becomes of one file costs that fact, at most that card.
func TestTorture(t *testing.T) {
	familytest.Torture{
		Tree:     familytest.Excerpt(t, rack, "0000:3b:00", "10000:e1:00", "0000:86:00", "0000:5e:00", "/dev/"),
		Families: func() []family.Family { return []family.Family{xrt.New(xrt.Config{})} },
		Allowed: map[string][]core.Value{
			// The satellite controller tells itself what its chip tells; of several
			// temperatures the highest counts.
			"temperature": {core.Count(45), core.Count(39)}, "power": {core.Count(28)},
			"xclbin": {core.String("none")}, // which is what an empty file says
		},
	}.Run(t)
}

// Each file is read once in a scan, and none with an effect ever, nor what the
// driver cannot answer while the card is not ready.
func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(rack)
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]int{}
	host := sysfs.New(sysfstest.UnpackText(t, string(text)), sysfs.WithHook(func(op, path string) error {
		if op == "read" {
			reads[path]++
		}
		return nil
	}))
	memory := family.NewMemory()
	look := familytest.Scan(t, host, memory, xrt.New(xrt.Config{}))
	for path, n := range reads {
		if n > 1 {
			t.Errorf("%s is read %d times in a scan", path, n)
		}
	}
	for _, d := range look.Devices {
		_ = familytest.Text(d) // which measures and grants it
	}
	forbidden := []string{
		"config", "rom", "resource0", "error", "xocl_errors", "mig_cache_update", "fdt_blob", "raw", "remove", "rescan",
		"reset", "mgmt_reset", "sbr_toggle", "clear", "shutdown",
	}
	for path := range reads {
		if slices.Contains(forbidden, filepath.Base(path)) {
			t.Errorf("%s is read", path)
		}
		if strings.HasPrefix(path, waiting+"/xmc.") || strings.HasPrefix(path, waiting+"/hwmon/") {
			t.Errorf("%s is read though the card is not ready", path)
		}
	}
	if reads[u250+"/hwmon/hwmon4/temp4_input"] == 0 || reads[u250+"/ready"] == 0 {
		t.Error("this test sees no reads")
	}
	// What controllers have told a scan does not ask again.
	clear(reads)
	familytest.Scan(t, host, memory, xrt.New(xrt.Config{}))
	for path := range reads {
		if strings.Contains(path, "/xmc.") || strings.Contains(path, "/hwmon") {
			t.Errorf("%s is read in a second scan", path)
		}
	}
}

// What an earlier family has claimed is not offered, nor looked at as a card that
// has no user function.
func TestClaimed(t *testing.T) {
	t.Parallel()
	m := oneU250(t)
	look := familytest.Scan(t, m.FS, family.NewMemory(), familytest.Claimer{"0000:3b:00.0", "0000:3b:00.1"}, xrt.New(xrt.Config{}))
	if len(look.Devices) != 0 {
		t.Errorf("devices %v", look.IDs())
	}
}

// The driver says EINVAL where a shell has no UUID; any other failure says nothing.
func TestShellWithoutUUID(t *testing.T) {
	t.Parallel()
	m := oneU250(t)
	m.remove(u250 + "/logic_uuids")
	m.write(u250+"/logic_uuids", "0123456789abcdef0123456789abcdef")
	m.write(u250+"/rom.u.1025/timestamp", "0")
	for _, tt := range []struct {
		err  error
		want string
	}{{nil, "01234567"}, {syscall.EINVAL, "none"}, {syscall.ENOENT, "none"}, {syscall.EIO, "unknown"}, {syscall.EBUSY, "unknown"}} {
		m.faults.Set(u250+"/logic_uuids", tt.err)
		d := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{})).Device(t, "xrt:0000:3b:00.1")
		if want := "xilinx_u250_xdma_201830_2-" + tt.want; d.Group.Name != want {
			t.Errorf("%v: group %s, want %s", tt.err, d.Group.Name, want)
		}
	}
}

// A card that was known stays what it is while it is reset, and is what it was
// afterwards.
func TestReset(t *testing.T) {
	t.Parallel()
	m := oneU250(t)
	memory := family.NewMemory()
	f := xrt.New(xrt.Config{})
	before := familytest.Scan(t, m.FS, memory, f).Device(t, "xrt:0000:3b:00.1")
	if codes := familytest.Codes(before); len(codes) != 0 {
		t.Fatalf("faults %v before", codes)
	}
	m.write(u250+"/dev_offline", "1\n")
	offline := familytest.Scan(t, m.FS, memory, f).Device(t, before.ID)
	if diff := cmp.Diff([]string{"offline"}, familytest.Codes(offline)); diff != "" {
		t.Errorf("offline: -want +got\n%s", diff)
	}
	if readings := familytest.Readings(t, offline); len(readings) != 0 {
		t.Errorf("offline: readings %v", readings)
	}
	m.remove(u250+"/ready", u250+"/dev_offline", u250+"/board_name", u250+"/drm", u250+"/rom.u.1025", u250+"/xmc.u.1025", u250+"/logic_uuids", u250+"/dma.xdma.u.1025")
	reset := familytest.Scan(t, m.FS, memory, f).Device(t, before.ID)
	if diff := cmp.Diff([]string{"not-ready"}, familytest.Codes(reset)); diff != "" {
		t.Errorf("reset: -want +got\n%s", diff)
	}
	if reset.Group != before.Group {
		t.Errorf("reset: group %v, want %v", reset.Group, before.Group)
	}
	for name, v := range before.Attributes {
		if now := reset.Attributes[name]; now != v {
			t.Errorf("reset: attribute %s = %v, want %v", name, now, v)
		}
	}
	if _, err := familytest.Grant(t, reset); err == nil {
		t.Error("reset: a grant without a render node")
	}
}

// A node that moved is handed over where it is.
func TestGrantLooksAfresh(t *testing.T) {
	t.Parallel()
	m := oneU250(t)
	d := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{})).Device(t, "xrt:0000:3b:00.1")
	m.remove(u250 + "/drm")
	m.write(u250+"/drm/renderD140/dev", "226:140\n")
	grant, err := familytest.Grant(t, d)
	want := []core.Node{{Path: "/dev/dri/renderD140", Permissions: "rw"}}
	if diff := cmp.Diff(want, grant.Nodes); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	m.faults.Set("/sys/bus/pci/devices/0000:3b:00.1/drm", syscall.EIO)
	if _, err := familytest.Grant(t, d); err == nil || !strings.Contains(err.Error(), "0000:3b:00.1") {
		t.Errorf("error %v, want one that names the card", err)
	}
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	m := oneU250(t)
	grant := func(dir string) (family.Grant, error) {
		look := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{Runtime: dir}))
		return familytest.Grant(t, look.Device(t, "xrt:0000:3b:00.1"))
	}
	got, err := grant("/opt/xilinx/xrt")
	want := []core.Mount{
		{HostPath: "/opt/xilinx/xrt", TaskPath: "/opt/xilinx/xrt"},
		{HostPath: "/etc/OpenCL/vendors/xilinx.icd", TaskPath: "/etc/OpenCL/vendors/xilinx.icd"},
	}
	if diff := cmp.Diff(want, got.Mounts); diff != "" || err != nil || got.Env["XILINX_XRT"] != "/opt/xilinx/xrt" {
		t.Errorf("%v, env %v, -want +got\n%s", err, got.Env, diff)
	}
	m.remove("/etc/OpenCL")
	if got, err := grant("/opt/xilinx/xrt"); len(got.Mounts) != 1 || err != nil {
		t.Errorf("without OpenCL: %v, %v", got.Mounts, err)
	}
	if _, err := grant("/opt/xrt"); err == nil || !strings.Contains(err.Error(), "/opt/xrt") {
		t.Errorf("a runtime that is not there: %v", err)
	}
	if got, err := grant(""); len(got.Mounts)+len(got.Env) != 0 || err != nil {
		t.Errorf("without a runtime: %v, %v, %v", got.Mounts, got.Env, err)
	}
}

// What each file says about the health of a card.
func TestHealth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, content, code string }{
		{u250 + "/ready", "0x0\n", "not-ready"},
		{u250 + "/ready", "garbage", "not-ready"},
		{u250 + "/ready", "", "not-ready"},
		{u250 + "/ready", "1\n", ""},
		{u250 + "/dev_offline", "1\n", "offline"},
		{u250 + "/dev_offline", "-19\n", ""}, // which is an error number
		{u250 + "/device_bad_state", "1\n", "bad-state"},
		{u250 + "/rom.u.1025/VBNV", "xilinx_u250_GOLDEN_5\n", "factory-image"},
		{u250 + "/rom.u.1025/VBNV", "xilinx_u250_recovery", "factory-image"},
		{u250 + "/rom.u.1025/VBNV", "", "no-shell"},
		{u250 + "/rom.u.1025/VBNV", "\xff", "no-shell"},
		{u250 + "/logic_uuids", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF\n", "off-the-bus"},
		{u250 + "/rom.u.1025/timestamp", "18446744073709551615", "off-the-bus"},
		{u250 + "/mig_calibration", "0x0\n", ""},
		{u250 + "/mailbox_connect_state", "0x0\n", ""},
		{u250Mgmt + "/mfg", "1\n", "factory-image"},
		{u250Mgmt + "/recovery", "1", "factory-image"},
		{u250Mgmt + "/ready", "0\n", "mgmt-not-ready"},
		{u250Mgmt + "/ready", "", ""},
		{u250Mgmt + "/firewall.m.59/detected_level", "2\n", "firewall-tripped"},
		{u250Mgmt + "/firewall.m.59/detected_level", "x", ""},
	} {
		m := oneU250(t)
		m.remove(tt.path) // where it is a directory, in place of a file that cannot be read
		m.write(tt.path, tt.content)
		d := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{})).Device(t, "xrt:0000:3b:00.1")
		if got := strings.Join(familytest.Codes(d), " "); got != tt.code {
			t.Errorf("%s = %q: faults %q, want %q", tt.path, tt.content, got, tt.code)
		}
	}
	for path, code := range map[string]string{
		u250 + "/rom.u.1025":         "no-shell",
		u250 + "/drm":                "no-render-node",
		u250 + "/drm/renderD128":     "no-render-node",
		u250 + "/ready":              "not-ready",
		u250Mgmt + "/firewall.m.59":  "",
		u250 + "/device_bad_state":   "",
		u250 + "/hwmon":              "",
		u250Mgmt:                     "",
		"/sys/bus/pci/drivers/xocl":  "",
		u250 + "/user_pf":            "",
		u250Mgmt + "/mgmt_pf":        "",
		"/sys/class/hwmon":           "",
		"/sys/bus/pci/drivers/ghost": "",
	} {
		m := oneU250(t)
		m.remove(path)
		d := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{})).Device(t, "xrt:0000:3b:00.1")
		if got := strings.Join(familytest.Codes(d), " "); got != code {
			t.Errorf("without %s: faults %q, want %q", path, got, code)
		}
	}
}

// A U30 has two FPGAs, which share a serial number and nothing else.
func TestU30(t *testing.T) {
	t.Parallel()
	const text = `
/sys/bus/pci/devices/0000:21:00.1	-> ../../../devices/pci0000:20/0000:21:00.1
/sys/bus/pci/devices/0000:22:00.1	-> ../../../devices/pci0000:20/0000:22:00.1
/sys/bus/pci/devices/0000:23:00.1	-> ../../../devices/pci0000:20/0000:23:00.1
/sys/bus/pci/devices/0000:24:00.1	-> ../../../devices/pci0000:20/0000:24:00.1
`
	var b strings.Builder
	b.WriteString(text)
	for i, serial := range []string{"XFL1A", "XFL1B", "XFL1A", "XFL1B"} {
		dir := "/sys/devices/pci0000:20/0000:2" + string(rune('1'+i)) + ":00.1"
		for name, content := range map[string]string{
			"vendor": "0x10ee", "device": "0x513d", "user_pf": "", "ready": "0x1", "dev_offline": "0", "board_name": "u30",
			"rom.u.0/VBNV": "xilinx_u30_gen3x4_base_2", "logic_uuids": "0123456789abcdef0123456789abcdef",
			"xmc.u.0/serial_num": serial, "xmc.u.0/xmc_fpga_temp": "4" + string(rune('0'+i)), "drm/renderD13" + string(rune('0'+i)) + "/dev": "226:1",
		} {
			b.WriteString(dir + "/" + name + "\t" + content + "\n")
		}
		b.WriteString("/dev/dri/renderD13" + string(rune('0'+i)) + "\t!chardev\n")
	}
	m := newMachine(t, b.String())
	f := xrt.New(xrt.Config{U30Unit: "card"})
	memory := family.NewMemory()
	look := familytest.Scan(t, m.FS, memory, f)
	if diff := cmp.Diff([]string{"xrt:0000:21:00.1", "xrt:0000:22:00.1"}, look.IDs()); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	card := look.Device(t, "xrt:0000:22:00.1")
	grant, err := familytest.Grant(t, card)
	want := []core.Node{{Path: "/dev/dri/renderD131", Permissions: "rw"}, {Path: "/dev/dri/renderD133", Permissions: "rw"}}
	if diff := cmp.Diff(want, grant.Nodes); diff != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	readings := familytest.Readings(t, card)
	if readings["temperature"].AsFloat() != 41 || readings["temperature (FPGA 2)"].AsFloat() != 43 {
		t.Errorf("readings %v", readings)
	}
	// One FPGA that is bad is a bad card, and no other card.
	m.write("/sys/devices/pci0000:20/0000:24:00.1/ready", "0x0\n")
	look = familytest.Scan(t, m.FS, memory, f)
	card = look.Device(t, "xrt:0000:22:00.1")
	if len(card.Faults) != 1 || card.Faults[0].Code != "not-ready" || !strings.Contains(card.Faults[0].Reason, "0000:24:00.1") {
		t.Errorf("faults %v", card.Faults)
	}
	if other := look.Device(t, "xrt:0000:21:00.1"); len(other.Faults) != 0 || len(look.Devices) != 2 {
		t.Errorf("%d devices, faults of the other card %v", len(look.Devices), other.Faults)
	}
	// What has never told its serial number belongs to no card that is known, and
	// half a card is none.
	look = familytest.Scan(t, m.FS, family.NewMemory(), f)
	lost := look.Device(t, "xrt:0000:24:00.1")
	if diff := cmp.Diff([]string{"not-ready", "card-incomplete"}, familytest.Codes(lost)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"card-incomplete"}, familytest.Codes(look.Device(t, "xrt:0000:22:00.1"))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if look := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{})); len(look.Devices) != 4 {
		t.Errorf("%d devices by FPGA", len(look.Devices))
	}
}

// Only what is there is handed over.
func TestQDMANodes(t *testing.T) {
	t.Parallel()
	m := newMachine(t, familytest.Excerpt(t, rack, "10000:e1:00", "0000:3b:00", "/dev/"))
	look := familytest.Scan(t, m.FS, family.NewMemory(), xrt.New(xrt.Config{QDMANodes: true}))
	for id, want := range map[string][]core.Node{
		"xrt:10000:e1:00.1": {{Path: "/dev/dri/renderD130", Permissions: "rw"}, {Path: "/dev/xfpga/dma.qdma.u57601.0", Permissions: "rw"}},
		"xrt:0000:3b:00.1":  {{Path: "/dev/dri/renderD128", Permissions: "rw"}},
	} {
		grant, err := familytest.Grant(t, look.Device(t, id))
		if diff := cmp.Diff(want, grant.Nodes); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got\n%s", id, err, diff)
		}
		if err := family.Check(m.FS, grant); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkScan looks at a host with eight cards, as a node does once a minute.
func BenchmarkScan(b *testing.B) {
	one := familytest.Excerpt(b, rack, "0000:3b:00")
	var tree strings.Builder
	for i := range 8 {
		n := strconv.Itoa(i)
		tree.WriteString(strings.NewReplacer("0000:3b", "0000:4"+n, "0000:3a", "0000:1"+n, "hwmon4", "hwmon4"+n, "xclmgmt15104", "xclmgmt"+n).Replace(one))
	}
	host := sysfs.New(sysfstest.UnpackText(b, tree.String()))
	memory := family.NewMemory()
	for b.Loop() {
		if look := familytest.Scan(b, host, memory, xrt.New(xrt.Config{})); len(look.Devices) != 8 {
			b.Fatalf("devices %v", look.IDs())
		}
	}
}
