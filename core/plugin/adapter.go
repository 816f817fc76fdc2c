package plugin

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// defaultInterval is Nomad's own default between two statistics.
const defaultInterval = time.Second

// adapter speaks Nomad's device plugin protocol for one definition.
type adapter[C config.Config] struct {
	definition Definition[C]
	log        hclog.Logger
	life       *lifetime

	mu       sync.Mutex
	config   C
	engine   *engine
	replaced chan struct{} // closed when engine is another one
}

var _ device.DevicePlugin = (*adapter[config.Config])(nil)

// New returns the device plugin of a definition, for tests and for conformance
// checks in process; a plugin binary calls [Main] instead. Close ends what runs
// behind it; the streams should have ended before.
func New[C config.Config](d Definition[C], log hclog.Logger) (p device.DevicePlugin, close func()) {
	a := newAdapter(d, log, newLifetime(log, func(int) {}))
	return a, a.close
}

func newAdapter[C config.Config](d Definition[C], log hclog.Logger, life *lifetime) *adapter[C] {
	return &adapter[C]{definition: d, log: log, life: life, replaced: make(chan struct{})}
}

// close ends the engine.
func (a *adapter[C]) close() {
	a.mu.Lock()
	e := a.engine
	a.mu.Unlock()
	if e != nil {
		e.end()
	}
}

// PluginInfo tells who the plugin is. It never fails.
func (a *adapter[C]) PluginInfo() (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type:              base.PluginTypeDevice,
		PluginApiVersions: []string{device.ApiVersion010},
		PluginVersion:     Version,
		Name:              a.definition.Name,
	}, nil
}

// ConfigSchema tells which configuration the plugin takes. Every key has a
// default.
func (a *adapter[C]) ConfigSchema() (*hclspec.Spec, error) {
	return schemaOf(a.definition.Defaults())
}

// SetConfig replaces the configuration. It fails only for what the
// configuration's text proves wrong, and touches no hardware: when it fails,
// Nomad's agent does not start. Streams that are open go on under the new
// configuration.
func (a *adapter[C]) SetConfig(c *base.Config) error {
	raw := map[string]any{}
	if c != nil && len(c.PluginConfig) > 0 {
		if err := base.MsgPackDecode(c.PluginConfig, &raw); err != nil {
			return fmt.Errorf("the configuration of plugin %q cannot be read: %w", a.definition.Name, err)
		}
	}
	cfg := a.definition.Defaults()
	if err := config.Decode(raw, cfg); err != nil {
		return fmt.Errorf("the configuration of plugin %q is not right:\n%w", a.definition.Name, err)
	}
	a.mu.Lock()
	if a.engine != nil && reflect.DeepEqual(a.config, cfg) {
		a.mu.Unlock()
		return nil
	}
	before := a.engine
	a.install(cfg)
	a.mu.Unlock()
	if before != nil {
		before.end()
	}
	return nil
}

// install makes cfg the configuration. The lock must be held.
func (a *adapter[C]) install(cfg C) {
	host := sysfs.New(cfg.Base().HostRoot)
	vendor := a.definition.New(cfg, Env{Log: a.log, Host: host})
	a.config = cfg
	a.engine = newEngine(a.definition.Name, cfg, vendor, host, a.log)
	a.engine.restart = a.life.restart
	a.engine.delay = a.life.pauseBeforeHardware
	close(a.replaced)
	a.replaced = make(chan struct{})
}

// current returns the engine, made from the defaults if there was no SetConfig,
// and a channel that is closed when there is another one.
func (a *adapter[C]) current() (*engine, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.engine == nil {
		a.install(a.definition.Defaults())
	}
	return a.engine, a.replaced
}

// Fingerprint streams the devices: all of them at first, and again whenever
// something changed. The stream ends with ctx and never otherwise.
func (a *adapter[C]) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	out := make(chan *device.FingerprintResponse)
	closed := a.life.opened()
	go func() {
		defer closed()
		defer close(out)
		var sent *fingerprint.Snapshot
		for ctx.Err() == nil {
			sent = a.stream(ctx, out, sent)
		}
	}()
	return out, nil
}

var nothing = &fingerprint.Snapshot{}

// stream sends what changes under one engine, until ctx ends or there is another
// engine. It returns what was sent last.
func (a *adapter[C]) stream(ctx context.Context, out chan<- *device.FingerprintResponse, sent *fingerprint.Snapshot) *fingerprint.Snapshot {
	e, replaced := a.current()
	send := func(s *fingerprint.Snapshot) bool {
		if sent != nil && fingerprint.Same(sent, s) {
			return true
		}
		select {
		case out <- fingerprintOf(s):
			sent = s
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !e.config.Enabled {
		if send(nothing) {
			select {
			case <-replaced:
			case <-ctx.Done():
			}
		}
		return sent
	}
	for s := e.snapshot(ctx, settle, nil); send(s); s = e.looks.Current() {
		select {
		case <-s.Superseded():
		case <-replaced:
			return sent
		case <-ctx.Done():
			return sent
		}
	}
	return sent
}

// Stats streams the statistics of all devices, at once and then at each
// interval. The stream ends with ctx and never otherwise.
func (a *adapter[C]) Stats(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
	if interval <= 0 {
		interval = defaultInterval
	}
	out := make(chan *device.StatsResponse)
	go func() {
		defer close(out)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for patience := settle; ; patience = 0 {
			e, _ := a.current()
			snapshot := nothing
			if e.config.Enabled {
				snapshot = e.snapshot(ctx, patience, nil)
			}
			select {
			case out <- statsOf(e.stats.Collect(ctx, snapshot, interval)):
			case <-ctx.Done():
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Reserve says what a task needs to use the devices. It answers in bounded time
// and never returns nil without an error, which would bring the agent down.
func (a *adapter[C]) Reserve(ids []string) (*device.ContainerReservation, error) {
	e, _ := a.current()
	r, err := e.reserve(ids)
	if err != nil {
		a.log.Warn("a reservation was refused", "devices", ids, "error", err)
		return nil, errors.New(oneLine(err))
	}
	a.log.Info("devices reserved", "devices", ids)
	return reservationOf(r), nil
}
