package xrt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/xrt"
)

type values = map[string]core.Value

func TestTrees(t *testing.T) {
	t.Parallel()
	float := func(v float64) core.Value { return core.Float(v, core.NoUnit) }
	for tree, want := range map[string]map[string]familytest.Want{
		"xrt-synth/u200-and-golden-u250": {
			"xrt:0000:65:00.1": {
				Group: "amd/fpga/xilinx_u200_xdma_201830_2-5d1211e8",
				Attributes: values{
					"memory": core.Int(65536, core.MiB), "fpga_part": core.String("xcu200-fsgd2104-2-e"), "board": core.String("u200"),
					"shell": core.String("xilinx_u200_xdma_201830_2"), "platform_id": core.String("0x5d1211e8"), "platform_uuid": {},
					"sc_version": core.Version("4.2.0"), "numa_node": core.String("node0"), "pci_id": core.String("10ee:5001"),
				},
				Readings: values{
					"temperature": float(37), "power": float(17.4232), "serial": core.String("21320186800Y"),
					"voltage_12v": float(12.058), "current_12v": float(1.445), "fan": core.Count(1086),
					"xclbin": core.String("54754387-411c-4c16-8265-245b0241d0a2"), "pcie_link": core.String("gen3 x16"),
				},
				Nodes: []string{"/dev/dri/renderD128"},
			},
			"xrt:0000:17:00.0": {
				Group: "amd/fpga/xilinx_u250_golden_5-none", Unhealthy: []string{"factory-image"},
				Attributes: values{"board": core.String("u250"), "shell": core.String("xilinx_u250_GOLDEN_5")},
			},
		},
		"xrt-synth/vm-user-pf-only": {
			"xrt:0000:04:00.1": {
				Group: "amd/fpga/xilinx_u250_xdma_201830_2-5d1211e8", Unhealthy: []string{"not-ready"},
				Readings: values{"temperature": {}, "power": {}, "serial": {}},
			},
			"xrt:0000:07:00.1": {
				Group:    "amd/fpga/xilinx_u250_xdma_201830_2-5d1211e8",
				Readings: values{"temperature": float(37), "xclbin": core.String("none")},
				Nodes:    []string{"/dev/dri/renderD131"},
			},
		},
		"xrt-synth/u30-card-and-v70": {
			"xrt:0000:21:00.1": {
				Group: "amd/fpga/xilinx_u30_gen3x4_base_2-01234567", Readings: values{"serial": core.String("XFL1NKCZ2O4K")},
				Attributes: values{"memory": {}, "platform_uuid": core.String("01234567-89ab-cdef-0123-456789abcdef")},
				Nodes:      []string{"/dev/dri/renderD128"},
			},
			"xrt:0000:22:00.1": {
				Group: "amd/fpga/xilinx_u30_gen3x4_base_2-01234567", Readings: values{"serial": core.String("XFL1NKCZ2O4K")},
				Nodes: []string{"/dev/dri/renderD129"},
			},
			"xrt:0000:31:00.1": {
				Group: "amd/fpga/xilinx_v70_gen5x8_qdma_base_2-fedcba98",
				Readings: values{
					"temperature": float(39), "power": float(31), "voltage_12v": float(12.091),
					"serial": core.String("XFL1V70EXMPL"), "sc_version": core.String("8.1.5"),
				},
				Nodes: []string{"/dev/dri/renderD130"},
			},
		},
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			familytest.Scan(t, familytest.Tree(t, tree), family.NewMemory(), xrt.New(xrt.Config{})).Compare(t, want)
		})
	}
}

func TestTreeOfACard(t *testing.T) {
	t.Parallel()
	look := familytest.Scan(t, familytest.Tree(t, "xrt-synth/u30-card-and-v70"), family.NewMemory(), xrt.New(xrt.Config{U30Unit: "card", QDMANodes: true}))
	if diff := cmp.Diff([]string{"xrt:0000:21:00.1", "xrt:0000:31:00.1"}, look.IDs()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for id, want := range map[string][]string{
		"xrt:0000:21:00.1": {"/dev/dri/renderD128", "/dev/dri/renderD129"},
		"xrt:0000:31:00.1": {"/dev/dri/renderD130", "/dev/xfpga/dma.qdma.u12545.0"},
	} {
		grant, err := familytest.Grant(t, look.Device(t, id))
		var got []string
		for _, n := range grant.Nodes {
			got = append(got, n.Path)
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, -want +got\n%s", id, err, diff)
		}
	}
}
