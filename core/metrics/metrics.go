// Package metrics serves what a plugin reads to Prometheus, in the text format
// or as OpenMetrics, whichever the scraper asks for.
//
// An [Endpoint] serves the readings of all devices, their health, and the
// plugin's own numbers. A scrape shows what the statistics of Nomad's agent have
// read; it makes driver calls of its own only while nobody else asks.
package metrics

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/stats"
)

// prefix begins the name of every metric; ownPrefix that of the plugin's own.
const (
	prefix    = "nomad_device_"
	ownPrefix = prefix + "plugin_"
)

// Options say what an [Endpoint] serves, and where. All are needed.
type Options struct {
	// Address is where to listen, as net.Listen takes it.
	Address string
	// Plugin and Version are the name and the version of the plugin.
	Plugin, Version string
	// Snapshot returns the newest snapshot.
	Snapshot func() *fingerprint.Snapshot
	// Measure returns the recent readings of each device of a snapshot, as
	// [stats.Collector.Recent] does.
	Measure func(context.Context, *fingerprint.Snapshot) []stats.Measurement
	// Calls is the group that all calls into the vendor go through.
	Calls *guard.Group
	// Log is told where the endpoint is, and why it is not.
	Log hclog.Logger
}

// Endpoint serves the metrics of one configuration. Its methods may be used
// concurrently.
type Endpoint struct {
	options  Options
	registry *prometheus.Registry
	own      *own
}

// New returns an endpoint that does not listen yet.
func New(options Options) *Endpoint {
	e := &Endpoint{options: options, registry: prometheus.NewRegistry(), own: newOwn(options)}
	e.own.register(e.registry)
	e.registry.MustRegister(devices{options})
	return e
}
