package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/mod/semver"

	coreplugin "github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/tools/scaffold"
)

type newOptions struct {
	dir    string
	module string
	core   string
	json   bool
}

func newNew() *cobra.Command {
	var opts newOptions
	cmd := &cobra.Command{
		Use:   "new <vendor> <type>",
		Short: "Write the module of a new device plugin",
		Long: `Write the module of a new device plugin, for devices that jobs will ask for as
"vendor/type".

The plugin works at once: it drives devices which a driver shows as files in
/sys/class/VENDOR_TYPE, brings such devices simulated, and passes its tests and
"devctl check". What to change for other files is marked FILL IN.

In a checkout of the project the plugin uses the checkout's core. Elsewhere it
requires the core in the version of this devctl, unless --core says otherwise.

Exit code: 0 if the module was written, 1 if it was not, as where the directory
is not empty, 2 for a wrong command line.`,
		Example: `  devctl new acme fpga
  devctl new acme-labs tpu --module example.org/acme-labs/nomad-device --core v0.1.0
  devctl new acme fpga --dir plugins/acme && go work use plugins/acme
  devctl new acme fpga --dir /tmp/acme --core ~/src/nomad-devices`,
		Args: usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return opts.write(cmd.OutOrStdout(), args[0], args[1])
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.dir, "dir", "", "`directory` to write into, which must be empty or not there; default nomad-device-VENDOR")
	f.StringVar(&opts.module, "module", "", "`path` of the module; default one of example.com, or the project's in a checkout")
	f.StringVar(&opts.core, "core", "", "`where` the core comes from: a version such as v0.1.0, or the directory of a checkout")
	f.BoolVar(&opts.json, "json", false, "print what was written as JSON")
	return cmd
}

func (o *newOptions) write(stdout io.Writer, vendor, kind string) error {
	p := scaffold.Plugin{Vendor: vendor, Type: kind, Module: o.module, Dir: o.dir}
	if p.Dir == "" {
		p.Dir = scaffold.Binary(vendor)
	}
	if err := p.Check(); err != nil {
		return usageError{err}
	}
	var err error
	if p.Core, err = o.findCore(p.Dir); err != nil {
		return err
	}
	written, err := scaffold.Write(p)
	if err != nil {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(written)
	}
	for _, name := range written.Files {
		fmt.Fprintln(stdout, filepath.Join(p.Dir, filepath.FromSlash(name)))
	}
	workspace := ""
	if p.Core.Holds(written.Dir) {
		workspace = "  go work use .\n" // without which go knows no module there
	}
	_, err = fmt.Fprintf(stdout, `
The plugin %s is written. What to do next, in %s:

%s  go mod tidy
  go test ./...
  grep -rn 'FILL IN' .

README.md says the rest.
`, written.Binary, p.Dir, workspace)
	return err
}

// findCore returns the core for a plugin in dir.
func (o *newOptions) findCore(dir string) (scaffold.Core, error) {
	if o.core != "" {
		core, err := scaffold.ParseCore(o.core)
		if err != nil {
			return core, usageError{fmt.Errorf("--core: %w", err)}
		}
		return core, nil
	}
	core, found, err := scaffold.FindCore(dir)
	if found || err != nil {
		return core, err
	}
	version := "v" + coreplugin.Version
	if !semver.IsValid(version) || semver.Prerelease(version) != "" {
		return core, usageError{errors.New("this devctl is no release, so that it has no version of the core to require: " +
			"say with --core which one, such as --core v0.1.0 or --core <directory of a checkout>")}
	}
	return scaffold.Core{Version: version}, nil
}
