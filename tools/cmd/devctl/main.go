// Command devctl looks at device plugins the way Nomad does, and simulates the
// hardware they drive.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "devctl:", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "devctl",
		Short:         "Look at Nomad device plugins as Nomad does, and simulate their hardware",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newInspect(), newSimulate())
	return root
}
