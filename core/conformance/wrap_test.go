package conformance_test

import (
	"context"
	"time"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// wrap is a plugin with some methods replaced. A nil function leaves the method
// as it is.
type wrap struct {
	device.DevicePlugin
	info        func() (*base.PluginInfoResponse, error)
	schema      func() (*hclspec.Spec, error)
	set         func(*base.Config) error
	fingerprint func(context.Context) (<-chan *device.FingerprintResponse, error)
	stats       func(context.Context, time.Duration) (<-chan *device.StatsResponse, error)
	reserve     func([]string) (*device.ContainerReservation, error)
}

func (w *wrap) PluginInfo() (*base.PluginInfoResponse, error) {
	if w.info != nil {
		return w.info()
	}
	return w.DevicePlugin.PluginInfo()
}

func (w *wrap) ConfigSchema() (*hclspec.Spec, error) {
	if w.schema != nil {
		return w.schema()
	}
	return w.DevicePlugin.ConfigSchema()
}

func (w *wrap) SetConfig(c *base.Config) error {
	if w.set != nil {
		return w.set(c)
	}
	return w.DevicePlugin.SetConfig(c)
}

func (w *wrap) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	if w.fingerprint != nil {
		return w.fingerprint(ctx)
	}
	return w.DevicePlugin.Fingerprint(ctx)
}

func (w *wrap) Stats(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
	if w.stats != nil {
		return w.stats(ctx, interval)
	}
	return w.DevicePlugin.Stats(ctx, interval)
}

func (w *wrap) Reserve(ids []string) (*device.ContainerReservation, error) {
	if w.reserve != nil {
		return w.reserve(ids)
	}
	return w.DevicePlugin.Reserve(ids)
}

// through passes the messages of a stream on; change sends what becomes of each,
// and returns false to end the stream.
func through[M any](ctx context.Context, in <-chan M, change func(m M, send func(M) bool) bool) <-chan M {
	out := make(chan M)
	send := func(m M) bool {
		select {
		case out <- m:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(out)
		ended := false
		for m := range in { // the correct plugin's stream ends with its context
			if ended = ended || !change(m, send); ended && ctx.Err() == nil {
				go drain(in)
				return
			}
		}
	}()
	return out
}

// drain reads what is left of a stream.
func drain[M any](in <-chan M) {
	for range in {
	}
}

// fingerprints replaces the fingerprint stream by what change makes of it.
func fingerprints(p device.DevicePlugin, change func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool) *wrap {
	return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
		in, err := p.Fingerprint(ctx)
		if err != nil {
			return nil, err
		}
		return through(ctx, in, change), nil
	}}
}

// groups changes the groups of each message.
func groups(p device.DevicePlugin, change func([]*device.DeviceGroup) []*device.DeviceGroup) *wrap {
	return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
		return send(device.NewFingerprint(change(m.Devices)...))
	})
}

// eachGroup changes each group in place.
func eachGroup(p device.DevicePlugin, change func(g *device.DeviceGroup)) *wrap {
	return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
		for _, g := range all {
			change(g)
		}
		return all
	})
}

// attribute sets an attribute of each group.
func attribute(p device.DevicePlugin, key string, a *structs.Attribute) *wrap {
	return eachGroup(p, func(g *device.DeviceGroup) { g.Attributes[key] = a })
}

// statistics replaces the statistics stream by what change makes of it.
func statistics(p device.DevicePlugin, change func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool) *wrap {
	return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
		in, err := p.Stats(ctx, interval)
		if err != nil {
			return nil, err
		}
		return through(ctx, in, change), nil
	}}
}

// eachStats changes the statistics of each device in place.
func eachStats(p device.DevicePlugin, change func(id string, s *device.DeviceStats)) *wrap {
	return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
		for _, g := range m.Groups {
			for id, s := range g.InstanceStats {
				change(id, s)
			}
		}
		return send(m)
	})
}

// granted changes each reservation that is granted.
func granted(p device.DevicePlugin, change func(ids []string, r *device.ContainerReservation)) *wrap {
	return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
		r, err := p.Reserve(ids)
		if err == nil {
			change(ids, r)
		}
		return r, err
	}}
}

// renamed gives the devices other IDs, wherever they are named; back undoes it.
func renamed(p device.DevicePlugin, name, back func(id string) string) *wrap {
	w := eachGroup(p, func(g *device.DeviceGroup) {
		for _, d := range g.Devices {
			d.ID = name(d.ID)
		}
	})
	w.stats = statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
		for _, g := range m.Groups {
			own := map[string]*device.DeviceStats{}
			for id, s := range g.InstanceStats {
				own[name(id)] = s
			}
			g.InstanceStats = own
		}
		return send(m)
	}).stats
	w.reserve = func(ids []string) (*device.ContainerReservation, error) {
		var all []string
		for _, id := range ids {
			all = append(all, back(id))
		}
		return p.Reserve(all)
	}
	return w
}

// regrouped changes the names of groups, in statistics too.
func regrouped(p device.DevicePlugin, change func(kind, name *string)) *wrap {
	w := eachGroup(p, func(g *device.DeviceGroup) { change(&g.Type, &g.Name) })
	w.stats = statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
		for _, g := range m.Groups {
			change(&g.Type, &g.Name)
		}
		return send(m)
	}).stats
	return w
}

// settingsOf reads the configuration that SetConfig is given.
func settingsOf(c *base.Config) map[string]any {
	settings := map[string]any{}
	_ = base.MsgPackDecode(c.PluginConfig, &settings)
	return settings
}
