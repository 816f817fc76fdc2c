package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
)

// The device groups of the machine with FPGAs.
const (
	n6001     = "n6001-4c71d90e-91c3a7e0"
	d5005NLB0 = "d5005-bfac4d85-d8424dc4"
	d5005NLB3 = "d5005-bfac4d85-f7df405c"
	u250      = "xilinx_u250_gen3x16_xdma_shell_4_1-6e0a4d17"
	v70       = "xilinx_v70_gen5x8_qdma_base_2-b27f3c90"
)

// nlb3 is the accelerator function that the second port of the D5005 holds.
const nlb3 = "f7df405c-bd7a-cf72-22f1-44b0b93acd18"

// The numbers of the Intel cards.
const (
	n6001Card = 0
	d5005Card = 1
)

// checkFPGAs compares the variables that name FPGAs with what the plugin promises:
// each holds the device nodes of one device.
func (s *stage) checkFPGAs(given []string, r report.Report) error {
	for _, id := range given {
		want, err := s.nodesOf([]string{id})
		if err != nil {
			return err
		}
		name := "FPGA_" + strings.ToUpper(strings.NewReplacer(":", "_", ".", "_", "/", "_").Replace(id))
		if got := r.Env[name]; got != strings.Join(want, ",") {
			return fmt.Errorf("%s is %q, and the nodes of %s are %s", name, got, id, strings.Join(want, ","))
		}
	}
	return nil
}

// overheatFPGA lets the card with two ports get too hot, runs a job beside it, and
// resets it.
func (s *stage) overheatFPGA(ctx context.Context) error {
	cards, err := s.fpga.Cards()
	if err != nil {
		return err
	}
	s.say.act("An FPGA card gets too hot and stops both of its ports")
	begun := time.Now()
	if err := s.fpga.Break(d5005Card, "thermal-trip"); err != nil {
		return err
	}
	var groups []*api.NodeDeviceResource
	for _, id := range cards[d5005Card].Devices {
		if groups, err = s.waitHealth(ctx, id, false); err != nil {
			return err
		}
	}
	s.say.line("After %s the scheduler sees:", waited(begun))
	s.showDevices(slices.DeleteFunc(groups, func(g *api.NodeDeviceResource) bool { return g.Vendor != "intel" }), "afu_uuid")
	spec := s.binaries.Task("beside-fpga", "exec", false, agent.Request{Device: "intel/fpga"})
	given, _, err := s.runJob(ctx, spec)
	if err != nil {
		return err
	}
	s.say.line("%s was given %s", spec.Name, shortList(given))
	if whole := cards[n6001Card].Devices; !slices.Equal(given, whole) {
		return fmt.Errorf("job %s got %s, and only %s is well", spec.Name, strings.Join(given, ","), strings.Join(whole, ","))
	}
	begun = time.Now()
	if err := s.fpga.Repair(d5005Card); err != nil {
		return err
	}
	for _, id := range cards[d5005Card].Devices {
		if _, err := s.waitHealth(ctx, id, true); err != nil {
			return err
		}
	}
	s.say.line("It was cooled and reset, and %s later it is used again.", waited(begun))
	return nil
}
