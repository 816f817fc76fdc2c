package fpga

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/uevent"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Name is the name of the plugin and of its binary.
const Name = "nomad-device-fpga"

// Plugin returns the definition of the plugin.
func Plugin() plugin.Definition[*Config] {
	return plugin.Definition[*Config]{
		Name:     Name,
		Defaults: config.Defaults[Config],
		New:      func(cfg *Config, env plugin.Env) core.Vendor { return newVendor(cfg, env.Log, env.Host) },
	}
}

// Vendor finds FPGAs through its driver families. A card is what a family calls
// one, and belongs to exactly one family: the first that claims it.
type Vendor struct {
	log      hclog.Logger
	host     *sysfs.FS
	memory   *family.Memory
	nodes    map[string][]string // the operator's, by device ID
	families []family.Family

	// listed is what each family listed last. It belongs to Discover.
	listed map[string]listed
}

// listed is the cards and claims of a family.
type listed struct {
	cards  []string
	claims []string
}

var (
	_ core.Watcher  = (*Vendor)(nil)
	_ core.Preparer = (*Vendor)(nil)
)

// newVendor returns a vendor that has touched nothing.
func newVendor(cfg *Config, log hclog.Logger, host *sysfs.FS) *Vendor {
	return &Vendor{
		log: log, host: host,
		memory:   family.NewMemory(),
		nodes:    cfg.nodesByDevice(),
		families: cfg.families(),
		listed:   map[string]listed{},
	}
}

// instanceOf returns what a family knows of a device.
func instanceOf(d core.Device) (family.Instance, error) {
	instance, ok := d.Ref.(family.Instance)
	if !ok {
		return nil, fmt.Errorf("%s was never read", d.ID)
	}
	return instance, nil
}

// Watch wakes the plugin when a device comes, goes or changes that may be an
// FPGA's. What happened to it is for the next look to find out.
func (v *Vendor) Watch(ctx context.Context, _ []core.Device, emit func(core.Event)) error {
	return uevent.Watch(ctx, relevant, emit)
}

// subsystems are those whose devices the families read.
var subsystems = map[string]bool{
	"pci": true, "dfl": true, "fpga_region": true, "fpga_manager": true, "fpga": true, "platform": true,
	"drm": true, "hwmon": true, "uio": true, "vfio": true,
}

// relevant reports whether a kernel event may be about an FPGA. Displays that are
// plugged in and out change a graphics device, and make none.
func relevant(e uevent.Event) bool {
	return subsystems[e.Subsystem] && (e.Subsystem != "drm" || e.Action != "change")
}

// Preparation implements [core.Preparer].
func (*Vendor) Preparation(d core.Device) time.Duration {
	if p, ok := d.Ref.(family.Preparer); ok {
		return p.Preparation()
	}
	return 0
}

// Prepare implements [core.Preparer].
func (v *Vendor) Prepare(ctx context.Context, d core.Device) error {
	p, ok := d.Ref.(family.Preparer)
	if !ok {
		return nil
	}
	err := p.Prepare(ctx)
	if err == nil {
		v.log.Info("the device was made ready", "device", d.ID)
	}
	return err
}
