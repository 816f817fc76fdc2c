package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

// defects of launching and configuring.
var configDefects = []defect{
	{name: "version that does not parse", fails: []string{"C2/plugin-info"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, info: func() (*base.PluginInfoResponse, error) {
			info, err := p.PluginInfo()
			info.PluginVersion = "unknown"
			return info, err
		}}
	}},
	{name: "no common API version", fails: []string{"C2/plugin-info"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, info: func() (*base.PluginInfoResponse, error) {
			info, err := p.PluginInfo()
			info.PluginApiVersions = []string{"v0.2.0"}
			return info, err
		}}
	}},
	{name: "no schema", fails: []string{"C5/empty-config"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, schema: func() (*hclspec.Spec, error) { return nil, nil }}
	}},
	{name: "required setting", fails: []string{"C5/empty-config"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{
			DevicePlugin: p,
			schema: func() (*hclspec.Spec, error) {
				schema, err := p.ConfigSchema()
				schema.GetObject().Attributes["token"] = hclspec.NewAttr("token", "string", true)
				return schema, err
			},
			set: func(c *base.Config) error {
				settings := settingsOf(c)
				delete(settings, "token")
				packed := &base.Config{}
				if len(settings) == 0 { // it was no configuration at all
					return p.SetConfig(c)
				}
				if err := base.MsgPackEncode(&packed.PluginConfig, settings); err != nil {
					return err
				}
				return p.SetConfig(packed)
			},
		}
	}},
	{name: "good configuration refused", fails: []string{"C6/good-config", "C5/empty-config"}, why: "the empty one is a good one", spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(*base.Config) error { return errors.New("not today") }}
	}},
	{name: "bad duration taken", fails: []string{"C6/bad-duration"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			if err := p.SetConfig(c); err != nil && len(settingsOf(c)) < 2 {
				return err
			}
			return nil
		}}
	}},
	{name: "error without the key", fails: []string{"C6/bad-duration"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			if p.SetConfig(c) != nil {
				return errors.New("the configuration is wrong")
			}
			return nil
		}}
	}},
	{name: "garbage taken", fails: []string{"C6/garbage-config"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			var any map[string]any
			if base.MsgPackDecode(c.PluginConfig, &any) != nil {
				return nil
			}
			return p.SetConfig(c)
		}}
	}},
	{name: "SetConfig asks the hardware", fails: []string{"C6/config-on-broken-hardware"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			if down := p.hardware.isDown(); down == "hang" || down == "remove" {
				return errors.New("no hardware")
			}
			return p.SetConfig(c)
		}}
	}},
	{name: "third SetConfig loses devices", fails: []string{"C7/config-again"}, spoil: func(p plugged) device.DevicePlugin {
		var sets atomic.Int64
		w := groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if sets.Load() >= 3 && len(all) > 0 {
				return all[1:]
			}
			return all
		})
		w.set = func(c *base.Config) error {
			sets.Add(1)
			return p.SetConfig(c)
		}
		return w
	}},
	{name: "SetConfig appends", fails: []string{"C7/config-replaces"}, spoil: func(p plugged) device.DevicePlugin {
		var mu sync.Mutex
		ignored := map[string]bool{}
		w := eachGroup(p, func(g *device.DeviceGroup) {
			mu.Lock()
			defer mu.Unlock()
			g.Devices = slices.DeleteFunc(g.Devices, func(d *device.Device) bool { return ignored[d.ID] })
			unwell(g, nil, "")
		})
		w.set = func(c *base.Config) error {
			mu.Lock()
			if ids, ok := settingsOf(c)["ignored_ids"].([]any); ok {
				for _, id := range ids {
					ignored[fmt.Sprint(id)] = true
				}
			}
			mu.Unlock()
			return p.SetConfig(c)
		}
		return w
	}},
	{name: "something to itself", fails: []string{"C8/two-at-once"}, alone: true, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if p.shared.running.Load() > 1 {
				return nil
			}
			return all
		})
	}},
	{name: "ErrPluginDisabled", fails: []string{"C14/disabled"}, spoil: func(p plugged) device.DevicePlugin {
		var disabled atomic.Bool
		w := &wrap{DevicePlugin: p}
		w.set = func(c *base.Config) error {
			enabled, given := settingsOf(c)["enabled"].(bool)
			disabled.Store(given && !enabled)
			return p.SetConfig(c)
		}
		w.fingerprint = func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			if disabled.Load() {
				return nil, device.ErrPluginDisabled
			}
			return p.Fingerprint(ctx)
		}
		return w
	}},
	{name: "hardware at the start", fails: []string{"C63/cheap-start"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			p.hardware.touch()
			return p.SetConfig(c)
		}}
	}},
	{name: "SetConfig fails after a crash", fails: []string{"C71/relaunch"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, set: func(c *base.Config) error {
			if p.hardware.isDown() == "fail" {
				return errors.New("the driver answers with an error")
			}
			return p.SetConfig(c)
		}}
	}},
}
