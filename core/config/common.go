package config

import (
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Config is what every plugin's configuration has: the settings of the core. A
// struct that embeds [Common] is one.
type Config interface {
	// Base returns the settings that all plugins share.
	Base() *Common
	// ShareRules returns the rules by which devices are offered as several. A struct
	// with a share block of its own, which takes the place of [Common]'s, has a
	// ShareRules of its own as well.
	ShareRules() []Share
}

// Common holds the settings that all plugins share.
type Common struct {
	Enabled           bool          `hcl:"enabled" default:"true" doc:"Whether the plugin looks for devices. A plugin that is not enabled stays loaded and offers none."`
	FingerprintPeriod time.Duration `hcl:"fingerprint_period" default:"1m" min:"1s" max:"24h" doc:"How often the plugin looks for devices and at their health. Events of the driver are seen at once, whatever the period."`
	IgnoredIDs        []string      `hcl:"ignored_ids" doc:"IDs or PCI addresses of devices to leave alone. They are neither offered nor measured."`
	StatsTimeout      time.Duration `hcl:"stats_timeout" default:"1s" min:"10ms" max:"1m" doc:"How long the statistics of one device may take to read. A device that takes longer has none this time; the others have theirs."`
	DriverTimeout     time.Duration `hcl:"driver_timeout" default:"5s" min:"100ms" max:"5m" doc:"How long a call into the driver may take. Devices behind a call that takes longer are unhealthy until it returns."`
	Health            Health        `hcl:"health,block" doc:"When a device turns unhealthy, and when healthy again."`
	Share             []Share       `hcl:"share,block" doc:"Devices that are offered as several, for as many tasks at a time. The first block that fits a device counts."`
	Metrics           Metrics       `hcl:"metrics,block" doc:"Serves statistics, health and the plugin's own numbers to Prometheus."`
	HostRoot          string        `hcl:"host_root" default:"/" doc:"Where the host's file system is mounted, as an absolute path. /sys, /proc and /dev are read below it, and tasks are given device nodes from below it."`
}

// Base returns c, so that every struct which embeds Common is a [Config].
func (c *Common) Base() *Common { return c }

// ShareRules returns the rules by which devices are offered as several.
func (c *Common) ShareRules() []Share { return c.Share }

// Validate checks what concerns more than one setting.
func (c *Common) Validate() []Problem {
	var problems []Problem
	if !filepath.IsAbs(c.HostRoot) {
		problems = append(problems, Problem{
			Key: "host_root", Given: strconv.Quote(c.HostRoot), Want: `an absolute path such as "/"`,
		})
	}
	for i, id := range c.IgnoredIDs {
		if strings.TrimSpace(id) == "" {
			problems = append(problems, Problem{
				Key: "ignored_ids", Given: `"` + id + `" at place ` + strconv.Itoa(i+1), Want: "the ID or the PCI address of a device",
			})
		}
	}
	return append(problems, CheckShares(c.Share)...)
}

// Health holds the settings of the health state machine.
type Health struct {
	UnhealthyAfter Span `hcl:"unhealthy_after" default:"3" doc:"For how many looks in a row, or for how long, a soft fault must be seen before the device is unhealthy. A hard fault counts at once."`
	RecoverAfter   Span `hcl:"recover_after" default:"30s" doc:"For how many looks in a row, or for how long, an unhealthy device must be seen without a fault before it is healthy again."`
}
