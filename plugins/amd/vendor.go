package amd

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/names"
)

// Name is the name of the plugin and of its binary.
const Name = "nomad-device-amd"

// vendorName is the vendor of all device groups.
const vendorName = "amd"

// Plugin returns the definition of the plugin.
func Plugin() plugin.Definition[*Config] {
	return plugin.Definition[*Config]{
		Name:     Name,
		Defaults: config.Defaults[Config],
		New: func(cfg *Config, env plugin.Env) core.Vendor {
			return newVendor(cfg, env.Log, env.Host)
		},
	}
}

// Vendor finds AMD GPUs and their compute partitions. It keeps the promises of
// [core.Vendor] by them: a card is one GPU with all of its partitions.
type Vendor struct {
	cfg     *Config
	log     hclog.Logger
	host    *sysfs.FS
	names   *names.Names
	ignored map[string]bool

	// What follows belongs to Discover.
	cards      map[core.PCIAddress]*card
	identities identities
}

var _ core.Watcher = (*Vendor)(nil)

// newVendor returns a vendor that has touched nothing.
func newVendor(cfg *Config, log hclog.Logger, host *sysfs.FS) *Vendor {
	v := &Vendor{
		cfg: cfg, log: log, host: host,
		names:      names.New(host),
		ignored:    map[string]bool{},
		cards:      map[core.PCIAddress]*card{},
		identities: identities{},
	}
	for _, id := range cfg.IgnoredIDs {
		id = strings.ToLower(strings.TrimSpace(id))
		v.ignored[id] = true
		if a, err := pci.ParseAddress(id); err == nil {
			v.ignored[string(a)] = true
		}
	}
	return v
}

// ref is what a scan found out about a device, for the calls that come after it.
// It is immutable: Grant and Watch run beside the scans.
type ref struct {
	card *card
	at   core.PCIAddress
	// uid is the GPU's unique ID as the driver writes it, or empty if it has none
	// to itself.
	uid string
	// part is the number of the partition in the mode, or whole.
	part int
	mode string
	// node is the device's node in KFD's topology; compute says whether it has
	// one.
	node    kfd.Node
	compute bool
	// divisible says that the GPU can be divided into partitions.
	divisible bool
}

// whole is the part of a GPU that is not divided.
const whole = -1

// refOf returns the Ref of a device.
func refOf(d core.Device) (*ref, error) {
	r, ok := d.Ref.(*ref)
	if !ok {
		return nil, fmt.Errorf("%s was never read", d.ID)
	}
	return r, nil
}

// Measure reads the statistics of a device.
func (v *Vendor) Measure(_ context.Context, d core.Device) ([]core.Reading, error) {
	r, err := refOf(d)
	if err != nil {
		return nil, err
	}
	return r.card.measure(r)
}
