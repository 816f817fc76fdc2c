package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newSimulate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate hardware for a device plugin",
		Long: `Simulate hardware for a device plugin.

A simulated machine is a directory: the scenario that says what it is, the /sys,
/proc and /dev that follow from it, and for NVIDIA's a driver library. It has no
process; it is there until it is stopped, and can be changed while a plugin runs
on it.

Exit code: 0 if all went well, 1 if something was wrong, 2 for a wrong command
line.`,
		Example: `  devctl simulate start 8xh100 --dir demo
  devctl simulate break demo 3 xid79
  devctl simulate repair demo 3
  devctl simulate stop demo
  devctl simulate start 8xmi300x --dir demo
  devctl simulate partition demo 0 CPX NPS4`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		simulateList(), simulateStart(), simulateStop(),
		simulateSet(), simulateUnset(), simulateGet(),
		simulateBreak(), simulateRepair(), simulateDriver(),
		simulateEvent(), simulateMIG(), simulatePartition(), simulateCalls(),
	)
	return cmd
}

func simulateList() *cobra.Command {
	var withFaults, asJSON bool
	cmd := &cobra.Command{
		Use:               "list [VENDOR]",
		Short:             "List the machines that can be started, and the faults their devices can have",
		Example:           "  devctl simulate list\n  devctl simulate list amd --faults\n  devctl simulate list --json | jq -r '.[].name'",
		Args:              usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: inTurn(completeVendors),
		RunE: func(cmd *cobra.Command, args []string) error {
			vendors, err := vendorsNamed(args...)
			if err != nil {
				return err
			}
			var listed []listing
			for _, s := range vendors {
				if withFaults {
					for _, f := range s.Faults {
						listed = append(listed, listing{f.Name, s.Name, f.Summary})
					}
					continue
				}
				for _, p := range s.Profiles() {
					listed = append(listed, listing{p.Name, s.Name, p.Summary})
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), listed)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			for _, l := range listed {
				fmt.Fprintf(w, "%s\t%s\t%s\n", l.Name, l.Vendor, l.Summary)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&withFaults, "faults", false, "list the faults instead")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array of names, vendors and summaries")
	return cmd
}

// listing is a machine or a fault that there is.
type listing struct {
	Name    string `json:"name"`
	Vendor  string `json:"vendor"`
	Summary string `json:"summary"`
}

// vendorsNamed gives the vendors of these names; no name is all of them.
func vendorsNamed(names ...string) ([]simulator, error) {
	if len(names) == 0 {
		return simulators, nil
	}
	var found []simulator
	var all []string
	for _, s := range simulators {
		if slices.Contains(names, s.Name) {
			found = append(found, s)
		}
		all = append(all, s.Name)
	}
	if len(found) == 0 {
		return nil, usageError{fmt.Errorf("there is no vendor %q: use one of %s", names[0], strings.Join(all, ", "))}
	}
	return found, nil
}

func simulateStart() *cobra.Command {
	var (
		dir    string
		set    []string
		asJSON bool
		opts   startOptions
	)
	cmd := &cobra.Command{
		Use:   "start PROFILE",
		Short: "Make a simulated machine and print what makes a plugin use it",
		Long: `Make a simulated machine and print what makes a plugin use it.

"list" shows the profiles. For one of NVIDIA's the driver library is compiled when
that was not done before: this needs a C compiler, and Go or the nvml.h named by
NVML_INCLUDE.`,
		Example: `  devctl simulate start mi300x-cpx
  devctl simulate start 8xh100 --dir demo --set driver.api=12.4
  devctl simulate start 8xmi300x --dir demo > plugin.hcl && devctl inspect ./nomad-device-amd --config plugin.hcl`,
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: inTurn(completeProfiles),
		RunE: func(cmd *cobra.Command, args []string) error {
			vendor, err := profileOf(args[0])
			if err != nil {
				return err
			}
			if opts.set, err = assignments(set); err != nil {
				return err
			}
			made := ""
			if dir == "" {
				if dir, err = os.MkdirTemp("", "simulated-"+args[0]+"-"); err != nil {
					return err
				}
				made = dir
			}
			m, err := vendor.start(cmd.Context(), dir, args[0], opts)
			if err != nil {
				if made != "" {
					// Start removes what it made; this only when it made nothing.
					_ = os.Remove(made)
				}
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), object{
					"profile": args[0], "vendor": vendor.Name, "dir": m.Dir(), "root": m.Root(), "config": m.Config(),
				})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# %s is in %s; in the plugin's config block:\n%s", args[0], m.Dir(), m.Config())
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "where the machine is made: a directory that is empty or does not exist (default: a new one for temporary files)")
	cmd.Flags().StringArrayVar(&set, "set", nil, "KEY=VALUE of the scenario that differs from the profile; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: the machine's directory, its root, and the configuration")
	cmd.Flags().StringVar(&opts.library, "library", "", "of NVIDIA's machines: use this compiled driver library and compile nothing")
	cmd.Flags().StringSliceVar(&opts.without, "without", nil, "of NVIDIA's machines: functions that the driver library shall not have, by their C names")
	return cmd
}

func simulateStop() *cobra.Command {
	return onMachine(&cobra.Command{
		Use:               "stop DIR",
		Short:             "Remove a simulated machine",
		Long:              "Remove a simulated machine. A directory that \"start\" did not make is not touched.",
		Example:           "  devctl simulate stop demo",
		Args:              usage(cobra.ExactArgs(1)),
		ValidArgsFunction: inTurn(completeMachines),
	}, func(_ io.Writer, m simulated, _ []string) error { return m.Stop() })
}

// onMachine gives a command whose first argument is the directory of a machine
// its work: run gets the machine and the arguments after the directory.
func onMachine(cmd *cobra.Command, run func(w io.Writer, m simulated, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := openMachine(args[0])
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
			return nil, usageError{fmt.Errorf("%q: want KEY=VALUE, like gpu.0.temperature=90", cmp.Or(arg, " "))}
		}
		values[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return values, nil
}
