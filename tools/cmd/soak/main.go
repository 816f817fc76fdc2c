// Soak runs the NVIDIA plugin on simulated hardware that fails all the time, and
// exits with an error when the process grows.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/soak"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run() error {
	plugin := flag.String("plugin", filepath.Join(".bin", "nomad-device-nvidia"), "the plugin's binary")
	duration := flag.Duration("duration", 2*time.Minute, "how long the faults last")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "a number that makes the same faults again")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "nomad-devices-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("Soaking %s for %v with the seed %d.\n", *plugin, *duration, *seed)
	report, err := soak.Run(ctx, soak.Options{
		Plugin: *plugin, Dir: filepath.Join(dir, "machine"), Duration: *duration, Seed: *seed, Progress: os.Stdout,
	})
	if err != nil {
		return err
	}
	if err := report.Write(os.Stdout); err != nil {
		return err
	}
	return report.Grown()
}
