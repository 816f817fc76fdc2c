// Command bench measures the NVIDIA plugin, and another plugin beside it: see
// package bench and docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/tools/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	plugin := flags.String("plugin", "", "the `binary` of the NVIDIA plugin")
	peer := flags.String("peer", "", "the `binary` of another plugin for NVIDIA GPUs, to measure beside it")
	peerConfig := flags.String("peer-config", "", "a `file` with its config block; {library}, {root} and {dir} stand for the simulated library, file system and the library's directory")
	peerEnv := flags.String("peer-env", "", "`variables` for it, KEY=value separated by spaces, with the same placeholders")
	quick := flags.Bool("quick", false, "measure little: show that everything works")
	asJSON := flags.Bool("json", false, "write JSON instead of a table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *plugin == "" {
		return errors.New("name the binary to measure: bench -plugin FILE")
	}
	if *peer == "" && (*peerConfig != "" || *peerEnv != "") {
		return errors.New("-peer-config and -peer-env need -peer")
	}
	options := bench.Options{Plugin: *plugin, Peer: *peer, PeerEnv: strings.Fields(*peerEnv), Quick: *quick, Progress: stderr}
	if *peerConfig != "" {
		text, err := os.ReadFile(*peerConfig)
		if err != nil {
			return fmt.Errorf("the peer's configuration: %w", err)
		}
		options.PeerConfig = string(text)
	}
	result, err := bench.Run(ctx, options)
	if result == nil {
		return err
	}
	if *asJSON {
		return errors.Join(err, result.WriteJSON(stdout))
	}
	return errors.Join(err, result.WriteTable(stdout))
}
