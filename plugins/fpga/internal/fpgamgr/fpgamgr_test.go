package fpgamgr_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/fpgamgr"
)

const machine = "testdata/soc.tsv"

func TestGolden(t *testing.T) {
	t.Parallel()
	const golden = "testdata/golden/soc.txt"
	got := familytest.Scan(t, sysfs.New(sysfstest.Unpack(t, machine)), family.NewMemory(), fpgamgr.New()).String()
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
}

// The key of a vendor's kernel is a secret.
func TestKeyIsNeverRead(t *testing.T) {
	t.Parallel()
	host := sysfs.New(sysfstest.Unpack(t, machine), sysfs.WithHook(func(op, path string) error {
		if strings.HasSuffix(path, "/key") || strings.HasSuffix(path, "/firmware") {
			t.Errorf("%s %s", op, path)
		}
		return nil
	}))
	_ = familytest.Scan(t, host, family.NewMemory(), fpgamgr.New()).String()
}

// A manager that another family claims is not offered again, and a device that
// the operator has given nodes is no token.
func TestClaimsAndNodes(t *testing.T) {
	t.Parallel()
	scan := family.NewScan(sysfs.New(sysfstest.Unpack(t, machine)), family.NewMemory())
	scan.Nodes = map[string][]string{"mgr:0000:01:00.0": {"/dev/uio0"}}
	scan.Claim("zocl", "/sys/devices/platform/soc/ff800000.fpga-mgr/fpga_manager/fpga0", "0000:02:00.0")
	found, err := fpgamgr.New().Discover(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	var keys, notes []string
	for _, c := range found.Cards {
		keys = append(keys, c.Key)
	}
	for _, n := range found.Notes {
		notes = append(notes, n.Subject)
	}
	if diff := cmp.Diff([]string{"platform/bus/spi0_1", "0000:01:00.0"}, keys); diff != "" {
		t.Errorf("cards, -want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"mgr:platform/bus/spi0_1"}, notes); diff != "" {
		t.Errorf("notes, -want +got\n%s", diff)
	}
}

func TestTrees(t *testing.T) {
	t.Parallel()
	s := core.String
	for tree, want := range map[string]map[string]familytest.Want{
		"fpga-manager-synth/de10-nano-socfpga": {"mgr:platform/soc/ff706000.fpgamgr": {
			Group:      "generic/fpga/altera-socfpga-fpga-manager",
			Attributes: map[string]core.Value{"board": s("Terasic DE10-Nano"), "compatible": s("terasic,de10-nano altr,socfpga-cyclone5 altr,socfpga"), "manager": s("Altera SOCFPGA FPGA Manager")},
			Readings:   map[string]core.Value{"state": s("operating"), "status": {}, "bridge_lwhps2fpga": s("enabled"), "bridge_fpga2hps": s("enabled")},
		}},
		"fpga-manager-synth/zynqmp-linux-xlnx": {"mgr:platform/firmware:zynqmp-firmware/firmware:zynqmp-firmware:pcap": {
			Group: "generic/fpga/xilinx-zynqmp-fpga-manager", Attributes: map[string]core.Value{"board": {}},
		}},
		"xrt-synth/u200-and-golden-u250": {},
		"opae-sdk/dfl_n6000_sku1_nlb0":   {},
		"opae-sdk/tmp-dcp-rc-nlb3":       {},
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			familytest.Scan(t, familytest.Tree(t, tree), family.NewMemory(), fpgamgr.New()).Compare(t, want)
		})
	}
}

// TestTorture breaks each file of the machine.
func TestTorture(t *testing.T) {
	familytest.Torture{
		Tree:     familytest.Excerpt(t, machine, ""),
		Families: func() []family.Family { return []family.Family{fpgamgr.New()} },
	}.Run(t)
}
