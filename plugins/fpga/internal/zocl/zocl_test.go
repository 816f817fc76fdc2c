package zocl

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
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

const (
	board   = "testdata/board.tsv"
	drm     = "/sys/devices/platform/axi/axi:zyxclmm_drm"
	manager = "/sys/devices/platform/firmware:zynqmp-firmware/firmware:zynqmp-firmware:pcap/fpga_manager/fpga0"
)

func TestBoard(t *testing.T) {
	t.Parallel()
	const file = "testdata/golden.txt"
	got := familytest.Scan(t, sysfs.New(sysfstest.Unpack(t, board)), family.NewMemory(), New()).String()
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

// Whatever becomes of one file costs that fact.
func TestTorture(t *testing.T) {
	text, err := os.ReadFile(board)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Torture{
		Tree:     string(text),
		Families: func() []family.Family { return []family.Family{New()} },
		Allowed:  map[string][]core.Value{"xclbin": {core.String("none")}}, // which is what an empty file says
	}.Run(t)
}

func TestWhatIsRead(t *testing.T) {
	t.Parallel()
	reads := map[string]int{}
	host := sysfs.New(sysfstest.Unpack(t, board), sysfs.WithHook(func(op, path string) error {
		reads[op+" "+path]++
		if slices.Contains([]string{"key", "firmware", "zocl_reset", "bind", "flags"}, filepath.Base(path)) && !strings.HasPrefix(op, "resolve") {
			t.Errorf("%s %s", op, path)
		}
		return nil
	}))
	look := familytest.Scan(t, host, family.NewMemory(), New())
	for what, n := range reads {
		// The device tree is the board's, and the manager the SoC's: they are read for
		// each of its devices.
		if n > 1 && strings.HasPrefix(what, "read ") && strings.Contains(what, "zyxclmm_drm") {
			t.Errorf("%d times: %s", n, what)
		}
	}
	if reads["read "+manager+"/state"] == 0 || len(look.Devices) != 2 {
		t.Error("this test sees no reads")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	root := sysfstest.Unpack(t, board)
	check := func(what, want string) {
		t.Helper()
		d := familytest.Scan(t, sysfs.New(root), family.NewMemory(), New()).Device(t, "zocl:axi:zyxclmm_drm")
		if got := strings.Join(familytest.Codes(d), " "); got != want {
			t.Errorf("%s: faults %q, want %q", what, got, want)
		}
	}
	state := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, manager, "state"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"operating\n": "", "unknown\n": "", "": "", "write error: 0xffffffea\n": "manager-error", "write init\n": "manager-busy", "power off\n": "manager-off",
	} {
		state(text)
		check("a manager in the state "+text, want)
	}
	state("operating")
	if err := os.RemoveAll(filepath.Join(root, drm, "drm")); err != nil {
		t.Fatal(err)
	}
	check("without a render node", "no-render-node")
}

// A host without the driver has no such devices, whatever managers it has.
func TestWithoutDriver(t *testing.T) {
	t.Parallel()
	look := familytest.Scan(t, sysfs.New(sysfstest.UnpackText(t, familytest.Excerpt(t, board, "fpga_manager"))), family.NewMemory(), New())
	if len(look.Devices)+len(look.Claims)+len(look.Errors) != 0 {
		t.Errorf("%v", look)
	}
}

// What an earlier family has claimed is not offered.
func TestClaimed(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.Unpack(t, board))
	look := familytest.Scan(t, host, family.NewMemory(), familytest.Claimer{drm, manager}, New())
	if diff := cmp.Diff([]string{"zocl:80000000.zyxclmm_drm"}, look.IDs()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestParsers(t *testing.T) {
	t.Parallel()
	const uuid = "6f7b2a3c-0d1e-4f5a-8b9c-0a1b2c3d4e5f"
	for text, want := range map[string]string{
		"": "none", "0 \n": "none", "0": "none", "0 00000000-0000-0000-0000-000000000000": "none",
		"0 " + uuid + "\n": uuid, "0 \n1 " + uuid + "\n2 " + uuid: uuid + "," + uuid,
		uuid: "", "x " + uuid: "", "0 x": "", "-1 " + uuid: "", "\xff": "",
	} {
		if got, err := parseImages([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("images %q: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"ZynqMP ZCU104 RevC\x00": "ZynqMP ZCU104 RevC", "a\x00b\x00": "a|b", "a": "a",
		"": "", "\x00": "", "a\x00\xff": "", "a\x01b": "",
	} {
		list, err := parseStrings([]byte(text))
		if got := strings.Join(list, "|"); got != want || (err == nil) != (want != "") {
			t.Errorf("strings %q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte("0 6f7b2a3c-0d1e-4f5a-8b9c-0a1b2c3d4e5f\n1 \n"))
	f.Add([]byte("xlnx,zynqmp\x00xlnx\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if text, err := parseImages(data); (err == nil) == (text == "") {
			t.Errorf("images %q, %v", text, err)
		}
		if list, err := parseStrings(data); (err == nil) == (len(list) == 0) || slices.Contains(list, "") {
			t.Errorf("strings %q, %v", list, err)
		}
	})
}

func TestTrees(t *testing.T) {
	t.Parallel()
	look := familytest.Scan(t, familytest.Tree(t, "xrt-synth/zocl-zynqmp"), family.NewMemory(), New())
	look.Compare(t, map[string]familytest.Want{
		"zocl:axi:zyxclmm_drm": {
			Group:      "amd/fpga/zynqmp-zcu104-revc",
			Attributes: map[string]core.Value{"board": core.String("ZynqMP ZCU104 RevC")},
			Readings:   map[string]core.Value{"xclbin": core.String("none")},
			Nodes:      []string{"/dev/dri/renderD128"},
		},
	})
	if !slices.ContainsFunc(look.Claims, func(c string) bool { return strings.HasSuffix(c, "pcap/fpga_manager/fpga0") }) {
		t.Errorf("the FPGA manager is not claimed: %v", look.Claims)
	}
}
