package fpga

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

// Machines of every family: each card is offered by one family, in one group.
func TestTrees(t *testing.T) {
	t.Parallel()
	for tree, want := range map[string]map[string]string{
		"opae-sdk/dfl_n6000_sku1_nlb0":     {"dfl:0000:b1:00.0/port0": "intel/fpga/n6001-ce3139c9-none"},
		"opae-sdk/dfl_n3000_nlb0":          {"dfl:0000:05:00.0/port0": "intel/fpga/n3000-a5d72a3c-9aeffe5f"},
		"opae-sdk/tmp-dfl0_patchset2-nlb0": {"dfl:0000:5e:00.0/port0": "intel/fpga/xeon-fpga-1a422218-d8424dc4"},
		"opae-sdk/tmp-1socket-nlb0":        {"opae:0000:5e:00.0/port0": "intel/fpga/xeon-fpga-1a422218-d8424dc4"},
		"dfl-synth/two-port-one-fme": {
			"dfl:0000:86:00.0/port0": "intel/fpga/xeon-fpga-69528db6-d8424dc4",
			"dfl:0000:86:00.0/port1": "intel/fpga/xeon-fpga-69528db6-f7df405c unhealthy",
		},
		"dfl-synth/sriov-vf-port": {"dfl:0000:86:00.1/port0": "intel/fpga/xeon-fpga-69528db6-d8424dc4"},
		"dfl-synth/degraded": {
			"dfl:0000:3b:00.0/port0": "intel/fpga/a10-pac-none-d8424dc4",
			"dfl:0000:3c:00.0/port1": "intel/fpga/a10-pac-69528db6-unknown unhealthy",
			"dfl:0000:3e:00.0/port3": "intel/fpga/a10-pac-69528db6-d8424dc4 unhealthy",
		},
		"xrt-synth/u200-and-golden-u250": {
			"xrt:0000:65:00.1": "amd/fpga/xilinx_u200_xdma_201830_2-5d1211e8",
			"xrt:0000:17:00.0": "amd/fpga/xilinx_u250_golden_5-none unhealthy",
		},
		"xrt-synth/u30-card-and-v70": {
			"xrt:0000:21:00.1": "amd/fpga/xilinx_u30_gen3x4_base_2-01234567",
			"xrt:0000:22:00.1": "amd/fpga/xilinx_u30_gen3x4_base_2-01234567",
			"xrt:0000:31:00.1": "amd/fpga/xilinx_v70_gen5x8_qdma_base_2-fedcba98",
		},
		"xrt-synth/vm-user-pf-only": {
			"xrt:0000:04:00.1": "amd/fpga/xilinx_u250_xdma_201830_2-5d1211e8 unhealthy",
			"xrt:0000:07:00.1": "amd/fpga/xilinx_u250_xdma_201830_2-5d1211e8",
		},
		"xrt-synth/zocl-zynqmp": {"zocl:axi:zyxclmm_drm": "amd/fpga/zynqmp-zcu104-revc"},
		"ami-synth/v80-two-cards": {
			"ami:0000:c1:00.0": "amd/fpga/v80-2d7a6ad9",
			"ami:0000:c2:00.0": "amd/fpga/v80-2d7a6ad9 unhealthy",
		},
		"aws-synth/f2-three-slots": {
			"aws:0000:9f:00.1": "aws/fpga/f2", "aws:0000:a1:00.1": "aws/fpga/f2", "aws:0000:b4:00.1": "aws/fpga/f2 unhealthy",
		},
		"fpga-manager-synth/de10-nano-socfpga": {"mgr:platform/soc/ff706000.fpgamgr": "generic/fpga/altera-socfpga-fpga-manager"},
		"intel-k8s/dfl-scan":                   {},
		"intel-k8s/opae-scan-sriov":            {},
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			devices, _ := look(t, newVendor(configured(), hclog.NewNullLogger(), familytest.Tree(t, tree)))
			got := map[string]string{}
			for _, d := range devices {
				got[d.ID] = d.Group.String()
				if slices.ContainsFunc(d.Faults, func(f core.Fault) bool { return f.Severity > core.Notice }) {
					got[d.ID] += " unhealthy"
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
