package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The commands for what only some vendors' machines have.

func simulateEvent() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "event DIR GPU EVENT...",
		Short:             "Report an event of an NVIDIA GPU, without any other fault",
		Example:           "  devctl simulate event demo 0 xid 31\n  devctl simulate event demo 1 xid 43 gi=2 ci=0\n  devctl simulate event demo 0 recovery-action",
		Args:              usage(cobra.MinimumNArgs(3)),
		ValidArgsFunction: inTurn(completeMachines, completeCards, fixed("xid", "recovery-action")),
	}, func(_ io.Writer, m simulated, args []string) error {
		teller, err := able[interface {
			Event(gpu int, event string) error
		}](m, "events to report")
		if err != nil {
			return err
		}
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return teller.Event(gpu, strings.Join(args[1:], " "))
	})
}

func simulateMIG() *cobra.Command {
	var off bool
	cmd := onMachine(&cobra.Command{
		Use:               "mig DIR GPU [PROFILE...]",
		Short:             "Cut an NVIDIA GPU into MIG devices, or make it whole",
		Long:              "Cut an NVIDIA GPU into MIG devices of these profiles (none: MIG is on, and no device made), or make it whole with --off.",
		Example:           "  devctl simulate mig demo 0 3g.40gb 2g.20gb 1g.10gb 1g.10gb\n  devctl simulate mig demo 0 --off",
		Args:              usage(cobra.MinimumNArgs(2)),
		ValidArgsFunction: inTurn(completeMachines, completeCards),
	}, func(_ io.Writer, m simulated, args []string) error {
		cutter, err := able[interface {
			MIG(gpu int, profiles ...string) error
			MIGOff(gpu int) error
		}](m, "MIG")
		if err != nil {
			return err
		}
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		if !off {
			return cutter.MIG(gpu, args[1:]...)
		}
		if len(args) > 1 {
			return usageError{errors.New("--off makes the GPU whole: it takes no profiles")}
		}
		return cutter.MIGOff(gpu)
	})
	cmd.Flags().BoolVar(&off, "off", false, "end MIG on the GPU")
	return cmd
}

func simulatePartition() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:   "partition DIR GPU MODE [NPS]",
		Short: "Divide an AMD GPU into partitions, or make it whole",
		Long: `Divide an AMD GPU into partitions, or make it whole: MODE is SPX (whole), DPX, TPX,
QPX or CPX, NPS how its memory is divided: NPS1, NPS2, NPS4 or NPS8, as it is if
left out.`,
		Example:           "  devctl simulate partition demo 0 CPX NPS4\n  devctl simulate partition demo 0 SPX NPS1",
		Args:              usage(cobra.RangeArgs(3, 4)),
		ValidArgsFunction: inTurn(completeMachines, completeCards, fixed("SPX", "DPX", "TPX", "QPX", "CPX"), fixed("NPS1", "NPS2", "NPS4", "NPS8")),
	}, func(_ io.Writer, m simulated, args []string) error {
		divider, err := able[interface {
			Partition(gpu int, compute, memory string) error
		}](m, "compute partitions")
		if err != nil {
			return err
		}
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		memory := ""
		if len(args) > 2 {
			memory = args[2]
		}
		return divider.Partition(gpu, args[1], memory)
	})
}
