package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/top"
	"github.com/nomad-devices/nomad-devices/tools/top/source"
)

// leastInterval keeps plugins and agents from being asked without a pause.
const leastInterval = 10 * time.Millisecond

type topOptions struct {
	configs  []string
	settings []string
	args     []string
	nomad    bool
	agent    agentOptions
	interval time.Duration
	timeout  time.Duration
	once     bool
	json     bool
	sort     string
	reverse  bool
	filter   string
}

func newTop() *cobra.Command {
	var opts topOptions
	cmd := &cobra.Command{
		Use:   "top [<plugin binary>...]",
		Short: "Show all devices of a node and how busy, full, hot and hungry they are, live",
		Long: `Show all devices of a node, live: how busy they are, how full their memory is, how
hot they are and what power they draw, with what was and with what is wrong.

The devices come from plugins, which are started as Nomad's agent starts them, or
with --nomad from a Nomad agent. Then it is also shown which task of which job and
namespace holds which device. A plugin that does not start or dies is named, and
tried again; the others go on.

Keys: s and S sort by another column, r reverses, / filters, p pauses, + and -
measure more or less often, the arrows scroll, ? helps, q quits.

With --once a table is printed, and with --json a document for programs; --json
without --once prints a line per interval.

The agent is found by Nomad's own variables, which the flags override: NOMAD_ADDR,
NOMAD_TOKEN, NOMAD_REGION, NOMAD_NAMESPACE, NOMAD_CACERT and so on. Its token needs
node:read, agent:read if no --node is given, and read-job for the namespaces whose
tasks are to be named.

Exit code: 0 if it was ended or all was told, also of unhealthy devices; 1 if
something was wrong: with --once that a plugin or the agent could not be asked; 2
for a wrong command line.`,
		Example: `  devctl top ./nomad-device-nvidia ./nomad-device-amd --config /etc/nomad.d/client.hcl
  devctl top --nomad --sort load
  devctl top --nomad --node gpu-17 --once
  devctl top --nomad --once --json | jq '.devices[] | select(.holders == null) | .id'
  devctl top ./nomad-device-fpga --json --interval 10s`,
		Args:              usage(opts.checkArgs),
		RunE:              func(cmd *cobra.Command, args []string) error { return opts.run(cmd, args) },
		ValidArgsFunction: completePlugins,
	}
	f := cmd.Flags()
	f.StringArrayVar(&opts.configs, "config", nil, "`file` with the plugins' configuration: a whole agent file, or the content of a plugin's config block; once for all plugins, or once for each in their order")
	f.StringArrayVar(&opts.settings, "set", nil, "with one plugin: a setting as `key=value`, over the file's; a dot descends into a block; may be repeated")
	f.StringArrayVar(&opts.args, "arg", nil, "with one plugin: an `argument` for it, as in the args of its plugin block; may be repeated")
	f.BoolVar(&opts.nomad, "nomad", false, "ask a Nomad agent, and show who holds the devices")
	opts.agent.add(f)
	f.DurationVar(&opts.interval, "interval", time.Second, "`time` between two measurements")
	f.DurationVar(&opts.timeout, "timeout", 50*time.Second, "with --once or --json, the longest `time` to wait for the first devices and statistics; Nomad waits 50s")
	f.BoolVar(&opts.once, "once", false, "print a table and end")
	f.BoolVar(&opts.json, "json", false, "print JSON: a line per interval, or with --once one document")
	f.StringVar(&opts.sort, "sort", "device", "`column` to sort by: "+strings.Join(top.ColumnNames(), ", "))
	f.BoolVar(&opts.reverse, "reverse", false, "reverse the order")
	f.StringVar(&opts.filter, "filter", "", "only devices with all the `words` in their name, ID, health or holder, in any case")
	completeFlag(cmd, "sort", fixed(top.ColumnNames()...))
	return cmd
}

// checkArgs checks what can be checked without looking.
func (o *topOptions) checkArgs(cmd *cobra.Command, args []string) error {
	if _, ok := top.ColumnNamed(o.sort); !ok {
		return fmt.Errorf("--sort %q: want one of %s", o.sort, strings.Join(top.ColumnNames(), ", "))
	}
	switch named := o.agent.given(cmd.Flags()); {
	case o.interval < leastInterval || o.timeout <= 0:
		return fmt.Errorf("--interval must be %s at least, and --timeout more than 0", leastInterval)
	case o.nomad && len(args) > 0:
		return errors.New("either plugin binaries or --nomad: the agent has its own plugins")
	case o.nomad && len(o.configs)+len(o.settings)+len(o.args) > 0:
		return errors.New("--config, --set and --arg are for plugin binaries; with --nomad the agent's own configuration holds")
	case o.nomad:
		return nil
	case len(args) == 0:
		return errors.New("name plugin binaries, or ask an agent with --nomad")
	case named != "":
		return fmt.Errorf("--%s is of use with --nomad only", named)
	case len(o.configs) > 1 && len(o.configs) != len(args):
		return fmt.Errorf("--config is given %d times for %d plugins: give it once, or once for each", len(o.configs), len(args))
	case len(args) > 1 && len(o.settings)+len(o.args) > 0:
		return errors.New("--set and --arg go with one plugin: give several a --config")
	}
	return nil
}

func (o *topOptions) run(cmd *cobra.Command, args []string) error {
	stdout := cmd.OutOrStdout()
	if !o.once && !o.json && (!isTerminal(stdout) || !isTerminal(cmd.InOrStdin())) {
		return usageError{errors.New("the live view needs a terminal: use --once for a table, or --json")}
	}
	sources, err := o.sources(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	pace := source.NewPace(o.interval)
	reports := source.Start(ctx, &running, pace, sources...)
	column, _ := top.ColumnNamed(o.sort)
	screen := top.NewScreen(top.Options{
		Sort: column, Reverse: o.reverse, Filter: o.filter, Interval: o.interval,
		Palette: top.Palette{Colour: coloured(cmd)}, Holders: o.nomad,
	})
	if !o.once && !o.json {
		return top.Live(ctx, screen, reports, pace.Set, cmd.InOrStdin(), stdout)
	}

	first, err := source.First(ctx, reports, o.timeout, sources...)
	if err != nil {
		return err
	}
	for _, r := range first {
		screen.Take(r)
	}
	switch {
	case !o.once:
		return printScreens(ctx, stdout, screen, reports, o.interval)
	case o.json:
		err = printJSON(stdout, jsonScreen(screen, time.Now()))
	default:
		screen.Resize(widthOf(stdout), 0)
		_, err = fmt.Fprint(stdout, screen.Table())
	}
	return errors.Join(err, troubles(first))
}

// troubles makes an error of what was wrong with the sources.
func troubles(reports []top.Report) error {
	var errs []error
	for _, r := range reports {
		if r.Trouble != "" {
			errs = append(errs, fmt.Errorf("%s: %s", r.Source, r.Trouble))
		}
	}
	return errors.Join(errs...)
}

// sources are what the command line names.
func (o *topOptions) sources(paths []string) ([]source.Source, error) {
	if o.nomad {
		client, err := o.agent.client()
		if err != nil {
			return nil, err
		}
		return []source.Source{&source.Nomad{Client: client, Node: o.agent.node, Namespace: o.agent.namespace()}}, nil
	}
	var all []source.Source
	for i, path := range paths {
		plugin := &source.Plugin{Path: path, Args: o.args}
		if o.twice(paths, path) {
			plugin.Label = path
		}
		read := inspectOptions{settings: o.settings}
		switch len(o.configs) {
		case 0:
		case 1:
			read.config = o.configs[0]
		default:
			read.config = o.configs[i]
		}
		var err error
		if plugin.Config, err = read.readConfig(path); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(s source.Source) bool { return s.Name() == plugin.Name() }) {
			return nil, usageError{fmt.Errorf("%s is named twice", path)}
		}
		all = append(all, plugin)
	}
	return all, nil
}

// twice reports whether there is another plugin with the same file name.
func (*topOptions) twice(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(other string) bool {
		return other != path && pluginclient.NameOf(other) == pluginclient.NameOf(path)
	})
}
