package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// The groups of FPGAs of the simulated machine.
const (
	n6001     = "n6001-4c71d90e-91c3a7e0"
	d5005NLB0 = "d5005-bfac4d85-d8424dc4"
	d5005NLB3 = "d5005-bfac4d85-f7df405c"
	u250      = "xilinx_u250_gen3x16_xdma_shell_4_1-6e0a4d17"
	v70       = "xilinx_v70_gen5x8_qdma_base_2-b27f3c90"
)

// The cards of the simulated machine by their numbers.
const (
	n6001Card = 0
	d5005Card = 1
	u250Card  = 2
)

// testFPGAs runs tasks with FPGAs of two driver families, each alone and both in
// one: they see the nodes of their own devices, and none that manages a card.
func (m mixed) testFPGAs(t *testing.T, driver string) {
	t.Helper()
	port := agent.Request{Device: "fpga", Constraints: []agent.Constraint{{Attribute: "afu_uuid", Value: "f7df405c-bd7a-cf72-22f1-44b0b93acd18"}}}
	alveo := agent.Request{Device: "amd/fpga", Constraints: []agent.Constraint{{Attribute: "board", Value: "u250"}}}
	for _, test := range []struct {
		name     string
		requests []agent.Request
		devices  []string
		env      map[string]string
	}{
		{
			"port",
			[]agent.Request{port},
			[]string{"dfl:0000:36:00.0/port1"},
			map[string]string{"FPGA_DFL_0000_36_00_0_PORT1": "/dev/dfl-port.2"},
		},
		{
			"alveo",
			[]agent.Request{alveo},
			[]string{"xrt:0000:b1:00.1"},
			map[string]string{"FPGA_XRT_0000_B1_00_1": "/dev/dri/renderD170"},
		},
		{
			"both",
			[]agent.Request{{Device: "intel/fpga/" + n6001}, {Device: "amd/fpga/" + v70}},
			[]string{"dfl:0000:31:00.0/port0", "xrt:0000:b6:00.1"},
			map[string]string{"FPGA_DFL_0000_31_00_0_PORT0": "/dev/dfl-port.0", "FPGA_XRT_0000_B6_00_1": "/dev/dri/renderD171"},
		},
	} {
		g := m.run(t, m.task("fpga-"+test.name+"-"+driver, driver, false, test.requests...))
		if diff := cmp.Diff(test.devices, g.devices); diff != "" {
			t.Errorf("%s: given (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.env, g.Env); diff != "" {
			t.Errorf("%s: variables (-want +got):\n%s", test.name, diff)
		}
		m.checkNodes(t, g)
	}
}

// testBreakFPGA lets a card with two ports get too hot, and another be reset. A job
// that needs one of the ports waits until the card is well.
func (m mixed) testBreakFPGA(t *testing.T) {
	hot, reset, whole := cardOf(t, m.fpga, d5005Card).Devices, cardOf(t, m.fpga, u250Card).Devices[0], cardOf(t, m.fpga, n6001Card).Devices[0]
	do(t, m.fpga.Break(d5005Card, "thermal-trip"))
	do(t, m.fpga.Break(u250Card, "offline"))
	for _, id := range hot {
		if reason := m.health(t, id, false).HealthDescription; !strings.Contains(reason, "too hot") || !strings.Contains(reason, "check the cooling") {
			t.Errorf("the reason of %s is %q", id, reason)
		}
	}
	if reason := m.health(t, reset, false).HealthDescription; !strings.Contains(reason, "being reset") {
		t.Errorf("the reason of %s is %q", reset, reason)
	}
	m.healthy(t, m.all-3)
	if g := m.run(t, m.task("beside-fpga", "exec", false, agent.Request{Device: "intel/fpga"})); !slices.Equal(g.devices, []string{whole}) {
		t.Errorf("given %v, and only %s is whole", g.devices, whole)
	}
	waiting := m.submit(t, m.task("nlb0", "exec", false, agent.Request{Device: "intel/fpga/" + d5005NLB0}))
	blocked(t, waiting)
	do(t, m.fpga.Repair(d5005Card))
	do(t, m.fpga.Repair(u250Card))
	if given := agent.Given(wait(t, waiting, api.AllocClientStatusComplete)); !slices.Equal(given, hot[:1]) {
		t.Errorf("the waiting job was given %v, want %v", given, hot[:1])
	}
	m.healthy(t, m.all)
}
