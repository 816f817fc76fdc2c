package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"

	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

type checkOptions struct {
	inspectOptions // for the configuration
	long           bool
	json           bool
	junit          string
	run, skip      string
	simulator      string
	list           bool
}

func newCheck() *cobra.Command {
	var opts checkOptions
	cmd := &cobra.Command{
		Use:   "check <plugin binary>",
		Short: "Check a device plugin against Nomad's contract",
		Long: `Check a device plugin against the contract that Nomad holds it to: launch it as
Nomad's agent does, many times over, and see what it does. The plugin must find
devices for most of the cases; with --simulator it is also seen what it does when
hardware breaks, hangs, goes and comes.

For each case that failed the report says what was seen, what Nomad does with it,
and how to mend it.

Exit code: 0 if no case failed, 1 if one did, 2 for a wrong command line, or for a
plugin that cannot be started or does not take its configuration.`,
		Example: `  devctl check ./nomad-device-nvidia
  devctl check ./nomad-device-nvidia --config /etc/nomad.d/client.hcl --junit check.xml
  devctl simulate start 8xh100 --dir demo && devctl check ./nomad-device-nvidia --simulator demo --long
  devctl check ./nomad-device-nvidia --run 'reserve|C12'
  devctl check --list
  devctl check --list --json | jq -r '.[] | select(.long) | .name'`,
		Args: usage(func(cmd *cobra.Command, args []string) error {
			if opts.list {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.list {
				return listCases(cmd.OutOrStdout(), opts.json)
			}
			err := opts.check(cmd.Context(), args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
			if _, failed := errors.AsType[casesFailed](err); err != nil && !failed {
				return cannotRun{err}
			}
			return err
		},
		ValidArgsFunction: inTurn(completePlugins),
	}
	f := cmd.Flags()
	f.StringVar(&opts.config, "config", "", "`file` with the plugin's configuration: the content of its config block, or a whole agent file")
	f.StringArrayVar(&opts.settings, "set", nil, "one setting as `key=value`, over the file's; a dot descends into a block; may be repeated")
	f.StringArrayVar(&opts.args, "arg", nil, "an `argument` for the plugin, as in the args of its plugin block; may be repeated")
	f.StringVar(&opts.simulator, "simulator", "", "`directory` of a machine that \"devctl simulate start\" made: the plugin drives it, and it is broken and repaired")
	f.BoolVar(&opts.long, "long", false, "run the cases that take minutes, too")
	f.StringVar(&opts.run, "run", "", "run only the cases whose \"C12/first-message\" matches the `pattern`")
	f.StringVar(&opts.skip, "skip", "", "leave out the cases that match the `pattern`")
	f.BoolVar(&opts.json, "json", false, "print the report, or with --list the cases, as JSON")
	f.StringVar(&opts.junit, "junit", "", "write the report as JUnit's XML to a `file`, too")
	f.BoolVar(&opts.list, "list", false, "list the cases and run none")
	completeFlag(cmd, "simulator", completeMachines)
	return cmd
}

// casesFailed says that the plugin breaks the contract.
type casesFailed int

func (n casesFailed) Error() string {
	if n == 1 {
		return "1 case failed"
	}
	return fmt.Sprintf("%d cases failed", int(n))
}

func (o *checkOptions) check(ctx context.Context, path string, stdout, stderr io.Writer) error {
	options := conformance.Options{Long: o.long, Encode: encodeConfig}
	var err error
	if options.Run, err = pattern("--run", o.run); err != nil {
		return err
	}
	if options.Skip, err = pattern("--skip", o.skip); err != nil {
		return err
	}
	config, err := o.readConfig(path)
	if err != nil {
		return err
	}
	options.Config = config
	target := conformance.Binary{Path: path, Args: o.args}
	// This also says of a plugin that does not start what Nomad would stumble
	// over.
	schema, err := schemaOf(ctx, path, o.args)
	if err != nil {
		return err
	}
	if root, elsewhere := options.Config["host_root"].(string); elsewhere && root != "/" {
		options.PlainNodes = true // a tree that somebody made, perhaps without the right to make nodes
	}
	if o.simulator != "" {
		hardware, err := openHardware(o.simulator)
		if err != nil {
			return err
		}
		options.Hardware, options.PlainNodes = hardware.forSuite(), true
		target.Env = hardware.environment()
		settings := hardware.settings(schema)
		maps.Copy(settings, options.Config)
		options.Config = settings
	}
	if isTerminal(stderr) {
		options.Progress = func(r conformance.Result) { fmt.Fprintf(stderr, "%-7s %s\n", r.Status, r) }
	}
	report, err := conformance.Check(ctx, target, options)
	if err != nil {
		return err
	}
	if o.junit != "" {
		if err := writeFile(o.junit, report.WriteJUnit); err != nil {
			return err
		}
	}
	write := report.WriteText
	if o.json {
		write = report.WriteJSON
	}
	if err := write(stdout); err != nil {
		return err
	}
	if n := report.Count(conformance.Failed); n > 0 {
		return casesFailed(n)
	}
	return nil
}

// schemaOf starts a plugin and asks for its schema.
func schemaOf(ctx context.Context, path string, args []string) (*hclspec.Spec, error) {
	plugin, err := pluginclient.Start(ctx, path, pluginclient.Options{Args: args})
	if err != nil {
		return nil, err
	}
	defer plugin.Close()
	schema, err := plugin.Schema(ctx)
	if err != nil {
		return nil, nil //nolint:nilerr // that it has none is for the suite to say
	}
	return schema, nil
}

// encodeConfig encodes a configuration as Nomad's loader does.
func encodeConfig(schema *hclspec.Spec, config map[string]any) ([]byte, error) {
	return pluginclient.Encode(config, schema)
}

func pattern(flag, text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	p, err := regexp.Compile(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return p, nil
}

func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}

// listCases prints what is checked.
func listCases(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, conformance.Cases())
	}
	for _, c := range conformance.Cases() {
		remark := c.Needs.String()
		if c.Long {
			remark = "long; " + remark
		}
		if remark != "" {
			remark = " (" + remark + ")"
		}
		if _, err := fmt.Fprintf(w, "%-32s %s%s\n", c, c.Text, remark); err != nil {
			return err
		}
	}
	return nil
}
