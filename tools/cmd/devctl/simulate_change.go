package main

import (
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/spf13/cobra"
)

func simulateSet() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "set DIR KEY=VALUE...",
		Short:             "Change values of the scenario, all in one step",
		Example:           "  devctl simulate set demo gpu.0.temperature=91 'gpu.1.call.nvmlDeviceGetPowerUsage.return=999 x3'",
		Args:              usage(cobra.MinimumNArgs(2)),
		ValidArgsFunction: repeated(completeMachines, completeKeys("=")),
	}, func(_ io.Writer, m simulated, args []string) error {
		values, err := assignments(args)
		if err != nil {
			return err
		}
		return m.SetAll(values)
	})
}

func simulateUnset() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "unset DIR KEY...",
		Short:             "Remove values from the scenario: what reads them is not supported any more",
		Example:           "  devctl simulate unset demo gpu.0.call.*.hang",
		Args:              usage(cobra.MinimumNArgs(2)),
		ValidArgsFunction: repeated(completeMachines, completeKeys("")),
	}, func(_ io.Writer, m simulated, args []string) error { return m.Unset(args...) })
}

func simulateGet() *cobra.Command {
	var asJSON bool
	cmd := onMachine(&cobra.Command{
		Use:               "get DIR [KEY]",
		Short:             "Print the scenario, or one value of it",
		Example:           "  devctl simulate get demo gpu.0.uuid\n  devctl simulate get demo --json | jq -r '.[\"gpu.0.uuid\"]'",
		Args:              usage(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: inTurn(completeMachines, completeKeys("")),
	}, func(w io.Writer, m simulated, args []string) error {
		if len(args) == 0 {
			f, err := m.Scenario()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(w, maps.Collect(f.All()))
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
		if asJSON {
			return printJSON(w, value)
		}
		_, err = fmt.Fprintln(w, value)
		return err
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object of keys and values, or the value as a JSON string")
	return cmd
}

func simulateBreak() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:   "break DIR CARD FAULT",
		Short: "Give a card a fault",
		Long: `Give a card, such as a GPU, a fault; "repair" takes it away, "list --faults" shows
what there is.

CARD is a number, a PCI address, or the ID of a device that is on the card.`,
		Example:           "  devctl simulate break demo 3 xid79\n  devctl simulate break demo 0000:1b:00.0 hang",
		Args:              usage(cobra.ExactArgs(3)),
		ValidArgsFunction: inTurn(completeMachines, completeCards, completeFaults),
	}, func(_ io.Writer, m simulated, args []string) error {
		card, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return m.Break(card, args[1])
	})
}

func simulateRepair() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "repair DIR CARD",
		Short:             "Take all faults from a card",
		Example:           "  devctl simulate repair demo 3",
		Args:              usage(cobra.ExactArgs(2)),
		ValidArgsFunction: inTurn(completeMachines, completeCards),
	}, func(_ io.Writer, m simulated, args []string) error {
		card, err := m.Find(args[0])
		if err != nil {
			return err
		}
		return m.Repair(card)
	})
}

func simulateDriver() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "driver DIR unload|load|upgrade [VERSION]",
		Short:             "Unload, load or upgrade the driver",
		Long:              "Unload, load or upgrade the driver. After an upgrade of NVIDIA's a program with the old library gets errors from every call until it starts anew.",
		Example:           "  devctl simulate driver demo unload\n  devctl simulate driver demo upgrade 590.10.01",
		Args:              usage(cobra.RangeArgs(2, 3)),
		ValidArgsFunction: inTurn(completeMachines, fixed("unload", "load", "upgrade")),
	}, func(_ io.Writer, m simulated, args []string) error {
		switch what := strings.Join(args[:1], ""); {
		case what == "unload" && len(args) == 1:
			return m.Unload()
		case what == "load" && len(args) == 1:
			return m.Load()
		case what == "upgrade" && len(args) == 2:
			driver, err := able[interface{ Upgrade(version string) error }](m, "driver that can be upgraded")
			if err != nil {
				return err
			}
			return driver.Upgrade(args[1])
		default:
			return usageError{fmt.Errorf("%q: want unload, load, or upgrade VERSION", strings.Join(args, " "))}
		}
	})
}
