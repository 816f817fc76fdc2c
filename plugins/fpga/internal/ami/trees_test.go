package ami_test

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

func TestTrees(t *testing.T) {
	t.Parallel()
	type values = map[string]core.Value
	float := func(v float64) core.Value { return core.Float(v, core.NoUnit) }
	host := familytest.Tree(t, "ami-synth/v80-two-cards")
	familytest.Scan(t, host, family.NewMemory(), exposed()).Compare(t, map[string]familytest.Want{
		"ami:0000:c1:00.0": {
			Group: "amd/fpga/v80-2d7a6ad9",
			Attributes: values{
				"model": core.String("v80"), "product_name": core.String("ALVEO V80 PQ"), "amc_version": core.Version("3.0.0"),
				"memory": core.Int(32768, core.MiB), "numa_node": core.String("node1"), "logic_uuid": core.String("2d7a6ad9-fcd6-a9bf-6d1d-9e2e7f8d1c55"),
			},
			Readings: values{
				"temperature": float(38), "power": float(61.25), "serial": core.String("XFL1V80EXMPL"), "pcie_link": core.String("gen5 x8"),
				"sensor_in0": float(12.033), "sensor_curr1": float(2.48), "sensor_temp2": float(45),
			},
			Nodes: []string{"/dev/ami1"},
		},
		"ami:0000:c2:00.0": {
			Group: "amd/fpga/v80-2d7a6ad9", Unhealthy: []string{"no-controller-firmware"},
			Attributes: values{"product_name": core.String("V80"), "memory": core.Unknown()},
			Readings:   values{"temperature": {}, "serial": {}},
		},
	})
}
