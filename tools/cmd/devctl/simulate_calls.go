package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func simulateCalls() *cobra.Command {
	var reset, asJSON bool
	cmd := onMachine(&cobra.Command{
		Use:               "calls DIR",
		Short:             "Print how often each function of NVIDIA's driver was called",
		Long:              "Print how often each function of NVIDIA's driver was called since the start or the last --reset, most often first.",
		Example:           "  devctl simulate calls demo\n  devctl simulate calls demo --reset",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: inTurn(completeMachines),
	}, func(w io.Writer, m simulated, _ []string) error {
		counter, err := able[interface {
			Calls() (map[string]uint64, error)
			ResetCalls() error
		}](m, "driver library that counts its calls")
		if err != nil {
			return err
		}
		calls, err := counter.Calls()
		if err != nil {
			return err
		}
		if reset {
			if err := counter.ResetCalls(); err != nil {
				return err
			}
		}
		return printCalls(w, calls, asJSON)
	})
	cmd.Flags().BoolVar(&reset, "reset", false, "set the counts to 0 after they were read")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object of names and counts")
	return cmd
}

func printCalls(w io.Writer, calls map[string]uint64, asJSON bool) error {
	if asJSON {
		return printJSON(w, calls)
	}
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		return cmp.Or(cmp.Compare(calls[b], calls[a]), cmp.Compare(a, b))
	})
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, name := range names {
		fmt.Fprintf(t, "%d\t%s\n", calls[name], name)
	}
	return t.Flush()
}
