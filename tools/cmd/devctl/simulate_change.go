package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func simulateSet() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "set DIR KEY=VALUE...",
		Short:   "Change values of the scenario, all in one step",
		Example: "  devctl simulate set demo gpu.0.temperature=91 'gpu.1.call.nvmlDeviceGetPowerUsage.return=999 x3'",
		Args:    usage(cobra.MinimumNArgs(2)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		values, err := assignments(args)
		if err != nil {
			return err
		}
		return m.SetAll(values)
	})
}

func simulateUnset() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "unset DIR KEY...",
		Short:   "Remove values from the scenario: what reads them is not supported any more",
		Example: "  devctl simulate unset demo gpu.0.call.*.hang",
		Args:    usage(cobra.MinimumNArgs(2)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error { return m.Unset(args...) })
}

func simulateGet() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "get DIR [KEY]",
		Short:   "Print the scenario, or one value of it",
		Example: "  devctl simulate get demo gpu.0.uuid",
		Args:    usage(cobra.RangeArgs(1, 2)),
	}, func(w io.Writer, m *nvidia.Machine, args []string) error {
		if len(args) == 0 {
			f, err := m.Scenario()
			if err != nil {
				return err
			}
			_, err = w.Write(f.Bytes())
			return err
		}
		value, ok, err := m.Get(args[0])
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("the scenario has no %s", args[0])
		}
		_, err = fmt.Fprintln(w, value)
		return err
	})
}

func simulateBreak() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:   "break DIR GPU FAULT",
		Short: "Give a GPU a fault",
		Long: `Give a GPU a fault; "repair" takes it away, "list --faults" shows what there is.

GPU is a number, a UUID (of a MIG device: its GPU) or a PCI address.`,
		Example: "  devctl simulate break demo 3 xid79\n  devctl simulate break demo 0000:1b:00.0 hang",
		Args:    usage(cobra.ExactArgs(3)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return m.Break(gpu, args[1])
	})
}

func simulateRepair() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "repair DIR GPU",
		Short:   "Take all faults from a GPU",
		Example: "  devctl simulate repair demo 3",
		Args:    usage(cobra.ExactArgs(2)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return m.Repair(gpu)
	})
}

func simulateEvent() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "event DIR GPU EVENT...",
		Short:   "Report an event of a GPU, without any other fault",
		Example: "  devctl simulate event demo 0 xid 31\n  devctl simulate event demo 1 xid 43 gi=2 ci=0\n  devctl simulate event demo 0 recovery-action",
		Args:    usage(cobra.MinimumNArgs(3)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return m.Event(gpu, strings.Join(args[1:], " "))
	})
}

func simulateMIG() *cobra.Command {
	var off bool
	cmd := onMachine(&cobra.Command{
		Use:     "mig DIR GPU [PROFILE...]",
		Short:   "Cut a GPU into MIG devices, or make it whole",
		Long:    "Cut a GPU into MIG devices of these profiles (none: MIG is on, and no device made), or make it whole with --off.",
		Example: "  devctl simulate mig demo 0 3g.40gb 2g.20gb 1g.10gb 1g.10gb\n  devctl simulate mig demo 0 --off",
		Args:    usage(cobra.MinimumNArgs(2)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		gpu, err := m.Find(args[0])
		if err != nil {
			return err
		}
		if !off {
			return m.MIG(gpu, args[1:]...)
		}
		if len(args) > 1 {
			return fmt.Errorf("--off makes the GPU whole: it takes no profiles")
		}
		return m.MIGOff(gpu)
	})
	cmd.Flags().BoolVar(&off, "off", false, "end MIG on the GPU")
	return cmd
}

func simulateDriver() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "driver DIR unload|load|upgrade [VERSION]",
		Short:   "Unload, load or upgrade the driver",
		Long:    "Unload, load or upgrade the driver. After an upgrade a program with the old library gets errors from every call until it starts anew.",
		Example: "  devctl simulate driver demo unload\n  devctl simulate driver demo upgrade 590.10.01",
		Args:    usage(cobra.RangeArgs(2, 3)),
	}, func(_ io.Writer, m *nvidia.Machine, args []string) error {
		switch what := strings.Join(args[:1], ""); {
		case what == "unload" && len(args) == 1:
			return m.Unload()
		case what == "load" && len(args) == 1:
			return m.Load()
		case what == "upgrade" && len(args) == 2:
			return m.Upgrade(args[1])
		default:
			return fmt.Errorf("%q: want unload, load, or upgrade VERSION", strings.Join(args, " "))
		}
	})
}
