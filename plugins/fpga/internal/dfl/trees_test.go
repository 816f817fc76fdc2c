package dfl_test

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/dfl"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

// TestTrees holds the families against trees of other machines, where such are at
// hand, and what is known of the machines.
func TestTrees(t *testing.T) {
	t.Parallel()
	s, f := core.String, func(v float64) core.Value { return core.Float(v, core.NoUnit) }
	type values = map[string]core.Value
	for tree, want := range map[string]map[string]familytest.Want{
		"opae-sdk/dfl_n6000_sku1_nlb0": {"dfl:0000:b1:00.0/port0": {
			Group: "intel/fpga/n6001-ce3139c9-none",
			Attributes: values{
				"family": s("dfl"), "model": s("n6001"), "mode": s("port"), "numa_node": s("node1"),
				"interface_uuid": s("ce3139c9-59cf-528c-a277-51c50829797a"), "afu_uuid": {}, "bitstream_id": s("0x5010202aecbd6e5"),
				"bbs_version": core.Version("5.0.1"), "bitstream_date": s("2022-05-04"),
				"pci_id": s("8086:bcce"), "pci_subsystem": s("8086:1771"), "pci_vendor": s("0x8086"), "pci_device": s("0xbcce"),
			},
			Readings: values{
				"temperature": f(55.5), "power": f(44.522), "pcie_link": s("gen4 x16"), "power_state": s("normal"), "catfatal_errors": s("0x0"),
				"bmc_version": s("3.2.0"), "aer_fatal": core.Count(0), "sensor_fpga_core_voltage_rail_voltage": f(0.803),
				"sensor_columbiaville_die_temperature": {}, "sensor_cvl_core_voltage_vr_temperature": {}, "afu_uuid": {},
			},
			Nodes: []string{"/dev/dfl-port.0"},
		}},
		"opae-sdk/dfl_n3000_nlb0": {"dfl:0000:05:00.0/port0": {
			Group:      "intel/fpga/n3000-a5d72a3c-9aeffe5f",
			Attributes: values{"afu_uuid": s("9aeffe5f-8457-0612-c000-c9660d824272"), "bbs_version": core.Version("2.0.2"), "numa_node": {}},
			Readings: values{
				"temperature": f(50), "power": f(64.709), "bmc_version": s("D.2.0.6"), "bmcfw_version": s("D.2.0.20"),
				"sensor_12v_backplane_voltage": f(12.164), "sensor_qsfp0_supply_voltage": {},
			},
			Nodes: []string{"/dev/dfl-port.0"},
		}},
		"opae-sdk/tmp-dfl0_patchset2-nlb0": {"dfl:0000:5e:00.0/port0": {
			Group:      "intel/fpga/xeon-fpga-1a422218-d8424dc4",
			Attributes: values{"bbs_version": core.Version("6.4.0"), "bitstream_date": s("2016-12-15")},
			Readings:   values{"temperature": f(37), "power": f(27)},
			Nodes:      []string{"/dev/dfl-port.0"},
		}},
		"opae-sdk/tmp-dcp-rc-dfl0_patchset2-nlb0": {"dfl:0000:05:00.0/port0": {
			Group: "intel/fpga/a10-pac-f64e598b-d8424dc4",
			Nodes: []string{"/dev/dfl-port.0"},
		}},
		"opae-sdk/tmp-1socket-nlb0": {"opae:0000:5e:00.0/port0": {
			Group:    "intel/fpga/xeon-fpga-1a422218-d8424dc4",
			Readings: values{"temperature": f(37), "power": f(23), "fme_errors": s("0x0")},
			Nodes:    []string{"/dev/intel-fpga-port.0"},
		}},
		"opae-sdk/tmp-dcp-rc-nlb3": {"opae:0000:05:00.0/port0": {
			Group:      "intel/fpga/a10-pac-f64e598b-d8424dc4",
			Attributes: values{"bbs_version": core.Version("1.1.3"), "bitstream_id": s("0x113000200000177")},
			Readings:   values{"temperature": f(38), "power": {}},
			Nodes:      []string{"/dev/intel-fpga-port.0"},
		}},
		"dfl-synth/two-port-one-fme": {
			"dfl:0000:86:00.0/port0": {Group: "intel/fpga/xeon-fpga-69528db6-d8424dc4", Nodes: []string{"/dev/dfl-port.0"}},
			"dfl:0000:86:00.0/port1": {
				Group: "intel/fpga/xeon-fpga-69528db6-f7df405c", Unhealthy: []string{"thermal-trip"},
				Readings: values{"power_state": s("AP6")},
			},
		},
		"dfl-synth/sriov-vf-port": {"dfl:0000:86:00.1/port0": {
			Group:      "intel/fpga/xeon-fpga-69528db6-d8424dc4",
			Attributes: values{"pci_device": s("0xbcc1"), "bitstream_id": s("0x501020222df1b7a")},
			Nodes:      []string{"/dev/dfl-port.0"},
		}},
		"dfl-synth/degraded": {
			"dfl:0000:3b:00.0/port0": {Group: "intel/fpga/a10-pac-none-d8424dc4", Nodes: []string{"/dev/dfl-port.0"}},
			"dfl:0000:3c:00.0/port1": {Group: "intel/fpga/a10-pac-69528db6-unknown", Unhealthy: []string{"port-unreadable"}},
			"dfl:0000:3e:00.0/port3": {
				Group: "intel/fpga/a10-pac-69528db6-d8424dc4", Unhealthy: []string{"fatal-error"},
				Readings: values{"catfatal_errors": s("0x10 (DramFatalErr)")},
			},
		},
		"intel-k8s/dfl-scan":        {}, // nothing ties a port to a PCI function
		"intel-k8s/opae-scan-sriov": {},
	} {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			host := familytest.Tree(t, tree)
			var cfg dfl.Config
			familytest.Scan(t, host, family.NewMemory(), dfl.New(cfg), dfl.NewOPAE(cfg), dfl.NewVFIO()).Compare(t, want)
		})
	}
}
