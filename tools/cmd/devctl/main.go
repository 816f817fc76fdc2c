// Command devctl looks at device plugins the way Nomad does, and simulates the
// hardware they drive.
//
// It exits with 0 if all went well, with 1 if something is wrong, and with 2 if
// it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs devctl and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(likeNomad(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	addCompletion(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "devctl:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(stderr, "See '%s --help'.\n", cmd.CommandPath())
		return 2
	}
	if _, ok := errors.AsType[cannotRun](err); ok {
		return 2
	}
	return 1
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// cannotRun says that there was nothing to judge.
type cannotRun struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "devctl",
		Short: "Look at Nomad device plugins as Nomad does, and simulate their hardware",
		Long: `Look at Nomad device plugins as Nomad does, and simulate their hardware.

Flags may be written with one dash, as Nomad's own commands have them.

Exit code of all commands: 0 if all went well, 1 if something is wrong, 2 for a
wrong command line.`,
		Example: `  devctl simulate start 8xh100 --dir demo > demo.hcl
  devctl inspect ./nomad-device-nvidia --config demo.hcl
  devctl top ./nomad-device-nvidia --config demo.hcl
  devctl top --nomad`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	addTerminalFlags(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addVersion(root)
	root.AddCommand(newInspect(), newCheck(), newSimulate(), newTop(), newNew(), newDoctor())
	return root
}

// usage makes what check complains of a mistake in the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
