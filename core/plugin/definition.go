package plugin

import (
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// Version is the version that plugins tell Nomad. A release build sets it with
// the linker; it must be one that Nomad can parse, or the agent does not start.
var Version = "0.0.0-dev"

// Env is what the core lends to a vendor.
type Env struct {
	// Log is for what the core cannot know: it logs faults, notes, events and
	// errors by itself.
	Log hclog.Logger
	// Host reads files below the configured host_root.
	Host *sysfs.FS
}

// Definition describes a plugin. C is a pointer to its configuration, a struct
// that embeds [config.Common].
type Definition[C config.Config] struct {
	// Name is the plugin's name: that of its binary, of its "plugin" block in
	// the agent's configuration, and of its logger.
	Name string
	// Defaults returns a new configuration with the defaults, to be filled and
	// handed to New.
	Defaults func() C
	// New returns a vendor for a configuration. It must touch no hardware and
	// no file: Nomad calls it several times before the agent starts, and does
	// not start at all if it fails, which is why it cannot.
	New func(cfg C, env Env) core.Vendor
}
