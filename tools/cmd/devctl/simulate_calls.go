package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func simulateCalls() *cobra.Command {
	var reset, asJSON bool
	cmd := onMachine(&cobra.Command{
		Use:     "calls DIR",
		Short:   "Print how often each driver function was called",
		Long:    "Print how often each driver function was called since the start or the last --reset, most often first.",
		Example: "  devctl simulate calls demo\n  devctl simulate calls demo --reset",
		Args:    usage(cobra.ExactArgs(1)),
	}, func(w io.Writer, m *nvidia.Machine, _ []string) error {
		calls, err := m.Calls()
		if err != nil {
			return err
		}
		if reset {
			if err := m.ResetCalls(); err != nil {
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
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(calls)
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
