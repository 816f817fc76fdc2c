package plugin

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/config"
)

// Main serves the plugin to Nomad until Nomad ends it, and does not return
// before. Started by hand it says on stderr that it is a plugin and exits.
func Main[C config.Config](d Definition[C]) {
	// Nomad reads the plugin's stderr line by line as JSON and puts the lines
	// into its own log at their level.
	log := hclog.New(&hclog.LoggerOptions{Name: d.Name, Level: hclog.Trace, JSONFormat: true, Output: os.Stderr})

	life := newLifetime(log, os.Exit)
	life.crashes = newCrashes(os.TempDir(), d.Name, os.Getppid())
	life.watchOrphan()

	// "pkill -HUP nomad" means the agent and matches the plugin's name as well.
	// A log that nobody reads any more is no reason to end: without this, a line
	// written to it would be.
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		life.crashes.clean()
		os.Exit(0)
	}()

	device.Serve(newAdapter(d, log, life), log)
	life.crashes.clean()
}
