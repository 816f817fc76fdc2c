package main

import (
	"cmp"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/nomad-devices/nomad-devices/core/plugin"
)

// commit is what this devctl was built from. A release build sets it with
// -ldflags "-X main.commit=<hash>".
var commit string

// versionText is what devctl says about itself, in one line.
func versionText() string {
	return fmt.Sprintf("devctl %s (commit %s, %s, %s/%s)", plugin.Version, cmp.Or(commit, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// addVersion gives root its --version and its command that does the same.
func addVersion(root *cobra.Command) {
	root.Version = versionText()
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(&cobra.Command{
		Use:     "version",
		Short:   "Print the version of devctl and the commit that it was built from",
		Example: "  devctl version",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionText())
			return err
		},
	})
}
