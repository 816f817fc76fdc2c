package nvidia

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// Name is the name of the plugin and of its binary. It is that of HashiCorp's
// plugin, which this one replaces.
const Name = "nomad-device-nvidia"

// vendorName is the vendor of all device groups.
const vendorName = "nvidia"

// Plugin returns the definition of the plugin.
func Plugin() plugin.Definition[*Config] {
	return plugin.Definition[*Config]{
		Name:     Name,
		Defaults: config.Defaults[Config],
		New: func(cfg *Config, env plugin.Env) core.Vendor {
			return newVendor(cfg, env.Log, env.Host, nvml.New(cfg.NVMLLibrary))
		},
	}
}

// Vendor finds NVIDIA GPUs and MIG instances. It keeps the promises of
// [core.Vendor] by them: a card is one GPU with all of its instances.
type Vendor struct {
	cfg     *Config
	log     hclog.Logger
	host    *sysfs.FS
	lib     nvml.Library
	policy  xidPolicy
	ignored ignoreList

	// mismatch is set by a card's reading when it met a driver that was
	// replaced, which only Discover may act on.
	mismatch atomic.Pointer[nvml.CallError]

	// What follows belongs to Discover.
	driver driver
	cards  map[string]*card // by probe key
	listed string           // what was listed last, to see that it changed
	epoch  int              // counts those changes
}

var (
	_ core.Watcher = (*Vendor)(nil)
	_ core.Sharer  = (*Vendor)(nil)
	_ core.Closer  = (*Vendor)(nil)
)

// newVendor returns a vendor that has touched nothing.
func newVendor(cfg *Config, log hclog.Logger, host *sysfs.FS, lib nvml.Library) *Vendor {
	return &Vendor{
		cfg: cfg, log: log, host: host, lib: lib,
		policy:  cfg.xidPolicy(),
		ignored: newIgnoreList(cfg.Base().IgnoredIDs),
		driver:  driver{lib: lib, host: host},
		cards:   make(map[string]*card),
	}
}

// Close detaches from the driver. The library stays mapped.
func (v *Vendor) Close() error { return v.driver.close() }

// ref is what a scan found out about a device, for the calls that come after it.
// It is immutable: Grant and Watch run beside the scans.
type ref struct {
	card *card
	// gpu is the whole GPU, part the MIG instance in it, if at names one.
	gpu, part nvml.Device
	at        instance
	uuid      string
	pci       core.PCIAddress
	// minor is N of the GPU's /dev/nvidiaN, or -1.
	minor int
	// limit is the GPU's power limit in W, if it is known.
	limit core.Value
}

// refOf returns the Ref of a device.
func refOf(d core.Device) (*ref, error) {
	r, ok := d.Ref.(*ref)
	if !ok {
		return nil, fmt.Errorf("%s was never read", d.ID)
	}
	return r, nil
}

// Measure reads the statistics of a device.
func (v *Vendor) Measure(ctx context.Context, d core.Device) ([]core.Reading, error) {
	r, err := refOf(d)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.card.instruments.measure(ctx, subject{
		lib: v.lib, host: v.host, id: d.ID, gpu: r.gpu, part: r.part, at: r.at, limit: r.limit,
	})
}

// Grant says what a task needs to use a device.
func (v *Vendor) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	r, err := refOf(d)
	if err != nil {
		return core.Grant{}, err
	}
	c := claim{uuid: r.uuid, pci: r.pci, minor: r.minor}
	if r.at != wholeGPU {
		c.mig, c.gi, c.ci = true, int(r.at.gi), int(r.at.ci)
	}
	return v.cfg.grant(v.host, c)
}

// Watch waits for the events of the devices' GPUs.
func (v *Vendor) Watch(ctx context.Context, devices []core.Device, emit func(core.Event)) error {
	byCard := make(map[*card]*watched)
	var cards []*watched
	for _, d := range devices {
		r, err := refOf(d)
		if err != nil {
			continue
		}
		w := byCard[r.card]
		if w == nil {
			w = &watched{gpu: r.gpu, name: r.card.label(r.pci), xids: &r.card.instruments.xids}
			byCard[r.card] = w
			cards = append(cards, w)
		}
		w.devices = append(w.devices, watchedDevice{id: d.ID, at: r.at})
	}
	if len(cards) == 0 {
		return nil
	}
	return (&watcher{lib: v.lib, policy: v.policy, emit: emit}).watch(ctx, cards)
}

// ignoreList is the set of UUIDs and PCI addresses that the operator wants left
// alone.
type ignoreList map[string]bool

// newIgnoreList takes addresses in any common form.
func newIgnoreList(ids []string) ignoreList {
	l := make(ignoreList)
	for _, id := range ids {
		id = strings.TrimSpace(id)
		l[strings.ToLower(id)] = true
		if a, err := pci.ParseAddress(id); err == nil {
			l[string(a)] = true
		}
	}
	return l
}

func (l ignoreList) has(id string) bool { return id != "" && l[strings.ToLower(id)] }
