package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// settleTime is how long inspect waits for devices after an empty first
// message. A plugin that answers at once may still be looking.
const settleTime = 3 * time.Second

type inspectOptions struct {
	config     string
	settings   []string
	args       []string
	reserve    []string
	reserveAll bool
	stats      bool
	interval   time.Duration
	watch      bool
	json       bool
	logLevel   string
	timeout    time.Duration
}

func newInspect() *cobra.Command {
	var opts inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect <plugin binary>",
		Short: "Start a device plugin and print what it tells Nomad",
		Long: `Start a device plugin as Nomad's agent does, give it its configuration through
its own schema, and print the device groups, instances and attributes that it
fingerprints; on request its statistics and a reservation too.

Warnings and errors that the plugin logs go to stderr.

Exit code: 0 if the plugin did all that was asked of it (also with no devices or
with unhealthy ones), 1 if it did something that Nomad would stumble over or
refused a request, 2 for a wrong command line.`,
		Example: `  devctl inspect ./nomad-device-nvidia
  devctl inspect ./nomad-device-nvidia --config /etc/nomad.d/client.hcl --stats
  devctl inspect ./nomad-device-nvidia --set fingerprint_period=5s --watch
  devctl inspect ./nomad-device-nvidia --reserve-all --json`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if opts.interval <= 0 || opts.timeout <= 0 {
				return usageError{errors.New("--interval and --timeout must be more than 0")}
			}
			if len(opts.reserve) > 0 && opts.reserveAll {
				return usageError{errors.New("--reserve and --reserve-all exclude each other")}
			}
			level := hclog.LevelFromString(opts.logLevel)
			if level == hclog.NoLevel {
				return usageError{fmt.Errorf("--log-level %q: want trace, debug, info, warn, error or off", opts.logLevel)}
			}
			config, err := opts.readConfig(args[0])
			if err != nil {
				return err
			}
			stdout := &lockedWriter{w: cmd.OutOrStdout()}
			i := &inspection{opts: opts, out: newPrinter(stdout, opts.json)}
			return i.run(cmd.Context(), args[0], config, logTo(cmd.ErrOrStderr(), level))
		},
		ValidArgsFunction: inTurn(completePlugins),
	}
	f := cmd.Flags()
	f.StringVar(&opts.config, "config", "", "`file` with the plugin's configuration: the content of its config block, or a whole agent file")
	f.StringArrayVar(&opts.settings, "set", nil, "one setting as `key=value`, over the file's; a dot descends into a block; may be repeated")
	f.StringArrayVar(&opts.args, "arg", nil, "an `argument` for the plugin, as in the args of its plugin block; may be repeated")
	f.StringSliceVar(&opts.reserve, "reserve", nil, "reserve the devices with these `IDs` and print what a task would get")
	f.BoolVar(&opts.reserveAll, "reserve-all", false, "reserve all healthy devices at once")
	f.BoolVar(&opts.stats, "stats", false, "print statistics")
	f.DurationVar(&opts.interval, "interval", time.Second, "`time` between two statistics")
	f.BoolVar(&opts.watch, "watch", false, "go on and print every change until interrupted")
	f.BoolVar(&opts.json, "json", false, "print JSON: one document, and with --watch one more per change")
	f.StringVar(&opts.logLevel, "log-level", "warn", "least `level` of the plugin's log lines to print")
	f.DurationVar(&opts.timeout, "timeout", 50*time.Second, "longest `time` to wait for the first devices and statistics; Nomad waits 50s")
	completeFlag(cmd, "log-level", fixed("trace", "debug", "info", "warn", "error", "off"))
	return cmd
}

// readConfig makes the configuration of the plugin at path from the flags.
func (o *inspectOptions) readConfig(path string) (pluginclient.Config, error) {
	config := pluginclient.Config{}
	if o.config != "" {
		text, err := os.ReadFile(o.config)
		if err != nil {
			return nil, err
		}
		read, err := pluginclient.ParseConfig(string(text), pluginclient.NameOf(path))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.config, err)
		}
		maps.Copy(config, read)
	}
	for _, setting := range o.settings {
		if err := config.Set(setting); err != nil {
			return nil, usageError{fmt.Errorf("--set: %w", err)}
		}
	}
	return config, nil
}

// inspection is one run of inspect.
type inspection struct {
	opts   inspectOptions
	out    printer
	plugin *pluginclient.Plugin
}

func (i *inspection) run(ctx context.Context, path string, config pluginclient.Config, onLog func(pluginclient.LogLine)) error {
	p, err := pluginclient.Start(ctx, path, pluginclient.Options{
		Args: i.opts.args, OnLog: onLog,
	})
	if err != nil {
		return err
	}
	defer p.Close()
	i.plugin = p
	info, err := p.Info(ctx)
	if err != nil {
		return err
	}
	if err := p.Configure(ctx, config); err != nil {
		return err
	}

	// One stream for everything: Nomad opens one, too.
	streamCtx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	fingerprints := follow(streamCtx, &streams, p.Fingerprints(streamCtx))

	groups, err := i.firstDevices(ctx, fingerprints)
	if err != nil {
		return err
	}
	r := report{
		Plugin:  pluginReport{Name: info.Name, Version: info.PluginVersion, APIVersions: info.PluginApiVersions, Path: p.Path()},
		Timings: timingReport{Handshake: p.Timings().Handshake, FirstFingerprint: p.Timings().FirstFingerprint},
		Groups:  groups,
	}
	if len(groups) == 0 {
		r.Remarks = remarks(p.Logs())
	}

	var problem error
	var stats <-chan message[[]*device.DeviceGroupStats]
	if i.opts.stats {
		stats = follow(streamCtx, &streams, p.Stats(streamCtx, i.opts.interval))
		if r.Stats, err = next(ctx, stats, i.opts.timeout, "statistics"); err != nil {
			problem = errors.Join(problem, err)
			stats = nil
		}
	}
	if ids := i.reserved(groups); len(ids) > 0 {
		reservation, err := p.Reserve(ctx, ids)
		problem = errors.Join(problem, err)
		if err == nil {
			r.Reservation = &reservationReport{IDs: ids, ContainerReservation: reservation}
		}
	} else if i.opts.reserveAll {
		problem = errors.Join(problem, errors.New("--reserve-all: there is no healthy device to reserve"))
	}
	if err := i.out.report(r); err != nil {
		return err
	}
	if problem != nil || !i.opts.watch {
		return problem
	}
	return i.watch(ctx, groups, fingerprints, stats)
}

// firstDevices waits for the first message, and if it is empty a little longer.
func (i *inspection) firstDevices(ctx context.Context, messages <-chan message[[]*device.DeviceGroup]) ([]*device.DeviceGroup, error) {
	groups, err := next(ctx, messages, i.opts.timeout, "fingerprint")
	if err != nil || len(groups) > 0 {
		return groups, err
	}
	select {
	case m := <-messages:
		return m.value, m.err
	case <-time.After(min(settleTime, i.opts.timeout)):
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// reserved returns the IDs to reserve.
func (i *inspection) reserved(groups []*device.DeviceGroup) []string {
	if !i.opts.reserveAll {
		return i.opts.reserve
	}
	var ids []string
	for _, group := range groups {
		for _, d := range group.Devices {
			if d.Healthy {
				ids = append(ids, d.ID)
			}
		}
	}
	return ids
}

// watch prints what comes until ctx ends, which is the way to end it and no
// problem.
func (i *inspection) watch(ctx context.Context, groups []*device.DeviceGroup,
	fingerprints <-chan message[[]*device.DeviceGroup], stats <-chan message[[]*device.DeviceGroupStats],
) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-fingerprints:
			if ctx.Err() != nil {
				return nil
			}
			if m.err != nil {
				return m.err
			}
			if err := i.out.fingerprint(time.Now(), groups, m.value); err != nil {
				return err
			}
			groups = m.value
		case m := <-stats:
			if ctx.Err() != nil {
				return nil
			}
			if m.err != nil {
				return m.err
			}
			if err := i.out.stats(time.Now(), m.value); err != nil {
				return err
			}
		}
	}
}

// message is one step of a stream.
type message[V any] struct {
	value V
	err   error
}

// follow reads a stream on a goroutine of wait, until ctx ends.
func follow[V any](ctx context.Context, wait *sync.WaitGroup, stream func(func(V, error) bool)) <-chan message[V] {
	out := make(chan message[V])
	wait.Go(func() {
		stream(func(value V, err error) bool {
			select {
			case out <- message[V]{value, err}:
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	return out
}

// next waits for the next message of a stream.
func next[V any](ctx context.Context, messages <-chan message[V], limit time.Duration, what string) (V, error) {
	var none V
	select {
	case m := <-messages:
		return m.value, m.err
	case <-time.After(limit):
		return none, fmt.Errorf("no %s within %s", what, limit)
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// remarks are the lines with which a plugin says why it has nothing to offer.
func remarks(lines []pluginclient.LogLine) []string {
	var texts []string
	for _, line := range lines {
		// Warnings and worse are on stderr already.
		if line.Level == hclog.Info && !slices.Contains(texts, line.String()) {
			texts = append(texts, line.String())
		}
	}
	return texts
}

// logTo prints the lines of at least the level, and those without one: they
// come from elsewhere in the process, such as a driver's library.
func logTo(w io.Writer, least hclog.Level) func(pluginclient.LogLine) {
	return func(line pluginclient.LogLine) {
		if least != hclog.Off && (line.Level >= least || line.Level == hclog.NoLevel) {
			fmt.Fprintln(w, "plugin:", line)
		}
	}
}
