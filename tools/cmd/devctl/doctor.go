package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/tools/doctor"
)

// packagedConfig is where Nomad's packages have the agent's configuration.
const packagedConfig = "/etc/nomad.d"

type doctorOptions struct {
	doctor.Options
	nomad     bool
	agent     agentOptions
	all, json bool
}

func newDoctor() *cobra.Command {
	var opts doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor [plugin...]",
		Short: "Find out why a device is not there",
		Long: `Find out why a device that a machine has is not a device that a job gets. It
walks the chain from the hardware to the job: the driver, the device nodes, the
driver's library, the plugin's binary, the agent's configuration, the plugin, its
devices, the running agent, and a job. Each finding says what is so, why it
matters, and the command or the line that mends it. Nothing is changed.

Plugins are given by their names, or by their files; without any, all device
plugins in the agent's plugin directory are looked at. The agent's configuration
is taken from --agent-config, else from the running agent (--nomad), else from
` + packagedConfig + `. The agent is found by Nomad's own variables, which the
flags override; its token needs node:read and agent:read.

Run it on the node, as the user that runs the agent.

Exit code: 0 if there is no problem, 1 if there is one, 2 for a wrong command line.`,
		Example: `  devctl doctor
  devctl doctor --agent-config /etc/nomad.d --all
  devctl doctor --nomad --job train.nomad.hcl
  devctl doctor ./nomad-device-amd --json`,
		Args:              usage(cobra.ArbitraryArgs),
		ValidArgsFunction: completePlugins,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.Plugins = args
			if err := opts.complete(cmd); err != nil {
				return usageError{err}
			}
			report := doctor.Examine(cmd.Context(), opts.Options)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if err := opts.print(cmd, report); err != nil {
				return err
			}
			if n := report.Count(doctor.Problem); n > 0 {
				return problemsFound(n)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&opts.AgentConfig, "agent-config", nil, "`path` of the agent's configuration, a file or a directory, as in its -config; may be repeated")
	f.StringVar(&opts.PluginDir, "plugin-dir", "", "`directory` of the plugins, in place of the configuration's plugin_dir")
	f.StringVar(&opts.HostRoot, "host-root", "", "`directory` where the machine's file system is mounted (default /, and the host_root of a plugin's own configuration)")
	f.BoolVar(&opts.nomad, "nomad", false, "ask the running agent, too")
	opts.agent.add(f)
	f.StringVar(&opts.Job, "job", "", "`file` of a job, in HCL or JSON: can its devices be had here?")
	f.StringArrayVar(&opts.Vars, "var", nil, "a variable of the job as `name=value`; may be repeated")
	f.StringArrayVar(&opts.VarFiles, "var-file", nil, "`file` with variables of the job; may be repeated")
	f.DurationVar(&opts.Timeout, "timeout", 50*time.Second, "longest `time` to wait for a plugin's first devices; Nomad waits 50s")
	f.BoolVar(&opts.all, "all", false, "show what is fine, too")
	f.BoolVar(&opts.all, "verbose", false, "the same as --all")
	f.BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// problemsFound says that something keeps a device away.
type problemsFound int

func (n problemsFound) Error() string {
	if n == 1 {
		return "1 problem found"
	}
	return fmt.Sprintf("%d problems found", int(n))
}

// complete checks the command line and makes of it what the examination takes.
func (o *doctorOptions) complete(cmd *cobra.Command) error {
	if o.Timeout <= 0 {
		return errors.New("--timeout must be more than 0")
	}
	if len(o.Vars)+len(o.VarFiles) > 0 && o.Job == "" {
		return errors.New("--var and --var-file are for a job: name it with --job")
	}
	if o.HostRoot != "" {
		if info, err := os.Stat(o.HostRoot); err != nil || !info.IsDir() {
			return fmt.Errorf("--host-root %s is no directory", o.HostRoot)
		}
	}
	for _, path := range o.AgentConfig {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--agent-config: %w", err)
		}
	}
	for i, plugin := range o.Plugins {
		// A file in the working directory is meant, if there is one.
		if info, err := os.Stat(plugin); err == nil && info.Mode().IsRegular() {
			abs, err := filepath.Abs(plugin)
			if err != nil {
				return err
			}
			o.Plugins[i] = abs
		}
	}
	if named := o.agent.given(cmd.Flags()); named != "" && !o.nomad {
		return fmt.Errorf("--%s is of use with --nomad only", named)
	}
	if o.nomad {
		client, err := o.agent.client()
		if err != nil {
			return err
		}
		o.Nomad, o.Node = client, o.agent.node
	}
	if len(o.AgentConfig) == 0 && !o.nomad && o.HostRoot == "" {
		if _, err := os.Stat(packagedConfig); err == nil {
			o.AgentConfig = []string{packagedConfig}
		}
	}
	o.UID = max(os.Geteuid(), 0) // there are no users on some systems
	return nil
}

func (o *doctorOptions) print(cmd *cobra.Command, report *doctor.Report) error {
	w := cmd.OutOrStdout()
	if o.json {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.WriteText(w, doctor.TextOptions{All: o.all, Colour: coloured(cmd)})
}
