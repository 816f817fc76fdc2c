package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func newSimulate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate hardware for a device plugin",
		Long: `Simulate hardware for a device plugin.

A simulated machine is a directory: a driver library, the scenario that says
what it answers, and the /sys, /proc and /dev around it. It has no process; it
is there until it is stopped, and can be changed while a plugin runs on it.`,
		Example: `  devctl simulate start 8xh100 --dir demo
  devctl simulate break demo 3 xid79
  devctl simulate repair demo 3
  devctl simulate stop demo`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		simulateList(), simulateStart(), simulateStop(),
		simulateSet(), simulateUnset(), simulateGet(),
		simulateBreak(), simulateRepair(), simulateEvent(), simulateMIG(), simulateDriver(),
		simulateCalls(),
	)
	return cmd
}

func simulateList() *cobra.Command {
	var withFaults bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the machines that can be started, and the faults their GPUs can have",
		Example: "  devctl simulate list\n  devctl simulate list --faults",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			if withFaults {
				for _, f := range nvidia.Faults() {
					fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Summary)
				}
				return w.Flush()
			}
			for _, p := range nvidia.Profiles() {
				fmt.Fprintf(w, "%s\t%s\n", p.Name, p.Summary)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&withFaults, "faults", false, "list the faults instead")
	return cmd
}

func simulateStart() *cobra.Command {
	var (
		dir  string
		set  []string
		opts nvidia.Options
	)
	cmd := &cobra.Command{
		Use:   "start PROFILE",
		Short: "Make a simulated machine and print what makes a plugin use it",
		Long: `Make a simulated machine and print what makes a plugin use it.

The driver is compiled for the profile's driver version when that was not done
before: this needs a C compiler, and Go or the nvml.h named by NVML_INCLUDE.
"list" shows the profiles.`,
		Example: `  devctl simulate start 2xt4
  devctl simulate start 8xh100 --dir demo --set driver.api=12.4`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			values, err := assignments(set)
			if err != nil {
				return err
			}
			opts.Set = values
			made := ""
			if dir == "" {
				if dir, err = os.MkdirTemp("", "simulated-"+args[0]+"-"); err != nil {
					return err
				}
				made = dir
			}
			m, err := nvidia.Start(cmd.Context(), dir, args[0], opts)
			if err != nil {
				if made != "" {
					// Start removes what it made; this only when it made nothing.
					_ = os.Remove(made)
				}
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# %s is in %s; in the plugin's config block:\n%s", args[0], m.Dir(), m.Config())
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "where the machine is made: a directory that is empty or does not exist (default: a new one for temporary files)")
	cmd.Flags().StringArrayVar(&set, "set", nil, "KEY=VALUE of the scenario that differs from the profile; may be repeated")
	cmd.Flags().StringVar(&opts.Library, "library", "", "use this compiled simulator and compile nothing")
	cmd.Flags().StringSliceVar(&opts.Without, "without", nil, "functions that the driver shall not have, by their C names")
	return cmd
}

func simulateStop() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:     "stop DIR",
		Short:   "Remove a simulated machine",
		Long:    "Remove a simulated machine. A directory that \"start\" did not make is not touched.",
		Example: "  devctl simulate stop demo",
		Args:    usage(cobra.ExactArgs(1)),
	}, func(_ io.Writer, m *nvidia.Machine, _ []string) error { return m.Stop() })
}

// onMachine gives a command whose first argument is the directory of a machine
// its work: run gets the machine and the arguments after the directory.
func onMachine(cmd *cobra.Command, run func(w io.Writer, m *nvidia.Machine, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := nvidia.Open(args[0])
		if err != nil {
			return err
		}
		return run(cmd.OutOrStdout(), m, args[1:])
	}
	return cmd
}

// assignments reads KEY=VALUE arguments.
func assignments(args []string) (map[string]string, error) {
	values := make(map[string]string, len(args))
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q: want KEY=VALUE, like gpu.0.temperature=90", cmp.Or(arg, " "))
		}
		values[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return values, nil
}
