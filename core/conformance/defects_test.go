package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// plugged is a correct plugin that is about to be broken.
type plugged struct {
	device.DevicePlugin
	hardware *reference
	// launch counts the launches of this plugin, from 1.
	launch int
	// shared is what all launches of one suite have in common.
	shared *shared
}

type shared struct {
	launches, running atomic.Int64
}

// defect is a way to write a plugin wrongly.
type defect struct {
	name string
	// fails are the cases that must fail, and the only ones.
	fails []string
	// why says why more than one case fails.
	why string
	// hardware says that it takes broken hardware to see it.
	hardware bool
	// alone says that no two cases may run at once.
	alone bool
	// long says that it takes the long cases to see it.
	long  bool
	spoil func(p plugged) device.DevicePlugin
}

// late is more than any first message may take in a patient suite.
const late = 5 * time.Second

// lateFirst delays the first message of a stream.
func lateFirst[M any]() func(m M, send func(M) bool) bool {
	var once sync.Once
	return func(m M, send func(M) bool) bool {
		once.Do(func() { time.Sleep(late) })
		return send(m)
	}
}

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
			g.Attributes["healthy_count"] = structs.NewIntAttribute(int64(len(g.Devices)), "")
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

// defects of the fingerprint stream.
var streamDefects = []defect{
	{name: "late first message", fails: []string{"C12/first-message"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			return through(ctx, in, lateFirst[*device.FingerprintResponse]()), err
		}}
	}},
	{name: "no first message", fails: []string{"C12/first-message"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(*device.FingerprintResponse, func(*device.FingerprintResponse) bool) bool { return true })
	}},
	{name: "first message waits for the driver", fails: []string{"C12/first-message-hung"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for p.hardware.isDown() == "hang" {
				time.Sleep(10 * time.Millisecond)
			}
			return send(m)
		})
	}},
	{name: "first message waits for devices", fails: []string{"C12/first-message-empty"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for p.hardware.isDown() == "remove" {
				time.Sleep(10 * time.Millisecond)
			}
			return send(m)
		})
	}},
	{name: "stream ends", fails: []string{"C13/stream-stays"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return false
		})
	}},
	{name: "error in the stream", fails: []string{"C13/stream-stays"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return send(device.NewFingerprintError(errors.New("one card failed")))
		})
	}},
	{name: "stream ends after a while", fails: []string{"C13/stream-stays-long"}, long: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, 3500*time.Millisecond)
			context.AfterFunc(ctx, cancel)
			return p.Fingerprint(ctx)
		}}
	}},
	{name: "fault ends the stream", fails: []string{"C13/stream-survives-faults"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			return !sick(m.Devices, "answers with an error") && send(m)
		})
	}},
	{name: "nothing found once is nothing for ever", fails: []string{"C13/hardware-comes"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		var none atomic.Bool
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if none.Load() || len(all) == 0 && p.hardware.isDown() == "remove" {
				none.Store(true)
				return nil
			}
			return all
		})
	}},
	{name: "state of other streams left out", fails: []string{"C15/whole-state"}, spoil: func(p plugged) device.DevicePlugin {
		var streams atomic.Int64
		w := &wrap{DevicePlugin: p}
		w.fingerprint = func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			first := streams.Add(1) == 1
			return eachGroup(p, func(g *device.DeviceGroup) {
				if !first {
					delete(g.Attributes, "memory")
				}
			}).Fingerprint(ctx)
		}
		return w
	}},
	{name: "repeats", fails: []string{"C16/no-repeats"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			send(m)
			time.Sleep(200 * time.Millisecond)
			return send(m)
		})
	}},
	{name: "order of a map", fails: []string{"C16/same-order"}, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if p.launch == 1 {
				slices.Reverse(all)
			}
			return all
		})
	}},
	{name: "heat as an attribute", fails: []string{"C17/nothing-volatile"}, spoil: func(p plugged) device.DevicePlugin {
		return fingerprints(p, func(m *device.FingerprintResponse, send func(*device.FingerprintResponse) bool) bool {
			for n, heat := range []int64{40, 41, 40} {
				if n > 0 {
					time.Sleep(300 * time.Millisecond)
				}
				hot := device.NewFingerprint(copies(m.Devices)...)
				for _, g := range hot.Devices {
					g.Attributes["heat"] = structs.NewIntAttribute(heat, "")
				}
				if !send(hot) {
					return false
				}
			}
			return true
		})
	}},
	{name: "reading as an attribute", fails: []string{"C17/readings"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		p.hardware.leak.Store(true)
		return p
	}},
	{name: "panic while serving", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "none", nil)
	}},
	{name: "nil device", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) { g.Devices = append(g.Devices, nil) })
	}},
	{name: "nil group", fails: []string{"C18/survives"}, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if len(all) == 0 {
				return all
			}
			return append(all, nil)
		})
	}},
	{name: "one fails, all fail", fails: []string{"C22/one-fails-alone"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "the card answers with an error")
	}},
	{name: "failure for ever", fails: []string{"C22/heals"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "the card answers with an error")
	}},
	{name: "failing is absence", fails: []string{"C23/failing-is-not-absence"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if sick(all, "the driver answers with an error") {
				return nil
			}
			return all
		})
	}},
	{name: "one hangs, all hang", fails: []string{"C24/one-hangs-alone"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "does not answer")
	}},
	{name: "hung for ever", fails: []string{"C24/hang-ends"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "does not answer for this")
	}},
	{name: "one is gone, all are sick", fails: []string{"C31/hot-plug"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "no longer there")
	}},
	{name: "gone for ever", fails: []string{"C31/same-id-back"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return forEver(p, "no longer there")
	}},
	{name: "a goroutine per stream", fails: []string{"C25/streams-leave-nothing"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			out := make(chan *device.FingerprintResponse)
			go func() {
				for m := range in {
					out <- m
				}
				// A bare send, after the server has stopped reading.
				out <- device.NewFingerprint()
			}()
			return out, err
		}}
	}},
	{name: "one stream ends all", fails: []string{"C25/streams-apart"}, spoil: func(p plugged) device.DevicePlugin {
		life, end := context.WithCancel(context.Background())
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			one, cancel := context.WithCancel(life)
			context.AfterFunc(ctx, end)
			context.AfterFunc(ctx, cancel)
			return p.Stats(one, interval)
		}}
	}},
	{name: "flapping is passed on", fails: []string{"C17/flapping"}, hardware: true, long: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			in, err := p.Fingerprint(ctx)
			out := make(chan *device.FingerprintResponse)
			go func() {
				defer close(out)
				var last *device.FingerprintResponse
				for flaps := p.hardware.flaps(); ; {
					select {
					case m, open := <-in:
						if !open {
							return
						}
						last = m
					case <-time.After(20 * time.Millisecond):
						if n := p.hardware.flaps(); last == nil || n == flaps {
							continue
						} else {
							flaps = n
						}
						last = device.NewFingerprint(copies(last.Devices)...)
						for _, g := range last.Devices {
							g.Attributes["comings"] = structs.NewIntAttribute(int64(flaps), "")
						}
					}
					select {
					case out <- last:
					case <-ctx.Done():
						return
					}
				}
			}()
			return out, err
		}}
	}},
	{name: "an odd fault touches all", fails: []string{"C22/every-fault"}, hardware: true, long: true, spoil: func(p plugged) device.DevicePlugin {
		return infected(p, "the plugin failed while it read")
	}},
}

// sick returns whether a device is unhealthy for a reason.
func sick(all []*device.DeviceGroup, reason string) bool {
	return slices.ContainsFunc(all, func(g *device.DeviceGroup) bool {
		return slices.ContainsFunc(g.Devices, func(d *device.Device) bool { return !d.Healthy && strings.Contains(d.HealthDesc, reason) })
	})
}

// infected makes all devices unhealthy when one is for a reason.
func infected(p device.DevicePlugin, reason string) device.DevicePlugin {
	return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
		if sick(all, reason) {
			for _, g := range all {
				unwell(g, slices.Clone(g.Devices), reason)
			}
		}
		return all
	})
}

// forEver keeps a device unhealthy that once was for a reason.
func forEver(p device.DevicePlugin, reason string) device.DevicePlugin {
	var mu sync.Mutex
	ever := map[string]bool{}
	return eachGroup(p, func(g *device.DeviceGroup) {
		mu.Lock()
		defer mu.Unlock()
		var ill []*device.Device
		for _, d := range g.Devices {
			if ever[d.ID] = ever[d.ID] || !d.Healthy && strings.Contains(d.HealthDesc, reason); ever[d.ID] {
				ill = append(ill, d)
			}
		}
		unwell(g, ill, reason)
	})
}

func unwell(g *device.DeviceGroup, ill []*device.Device, reason string) {
	for _, d := range ill {
		d.Healthy, d.HealthDesc = false, reason
	}
	healthy := 0
	for _, d := range g.Devices {
		if d.Healthy {
			healthy++
		}
	}
	g.Attributes["healthy_count"] = structs.NewIntAttribute(int64(healthy), "")
}

// copies returns groups whose attributes can be changed.
func copies(all []*device.DeviceGroup) []*device.DeviceGroup {
	var own []*device.DeviceGroup
	for _, g := range all {
		c := *g
		c.Attributes = maps.Clone(g.Attributes)
		own = append(own, &c)
	}
	return own
}

// groupDefects are in what groups and devices are.
var groupDefects = []defect{
	{name: "unknown unit", fails: []string{"C19/valid-groups"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "pcie_width", structs.NewIntAttribute(16, "lanes"))
	}},
	{name: "attribute without a value", fails: []string{"C19/valid-groups"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "thing", &structs.Attribute{})
	}},
	{name: "NUL", fails: []string{"C20/plain-text"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "board", structs.NewStringAttribute("B7\x00\x00"))
	}},
	{name: "not UTF-8", fails: []string{"C20/plain-text"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "board", structs.NewStringAttribute("B\xff7"))
	}},
	{name: "NaN", fails: []string{"C21/finite-attributes"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "ratio", structs.NewFloatAttribute(math.NaN(), ""))
	}},
	{name: "group twice", fails: []string{"C26/groups-once"}, spoil: func(p plugged) device.DevicePlugin {
		return groups(p, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			if len(all) == 0 || len(all[0].Devices) < 2 {
				return all
			}
			halves := copies([]*device.DeviceGroup{all[0], all[0]})
			halves[0].Devices, halves[1].Devices = all[0].Devices[:1], all[0].Devices[1:]
			unwell(halves[0], nil, "")
			unwell(halves[1], nil, "")
			return append(halves, all[1:]...)
		})
	}},
	{name: "type in upper case", fails: []string{"C27/group-words"}, spoil: func(p plugged) device.DevicePlugin {
		return regrouped(p, func(kind, _ *string) { *kind = strings.ToUpper(*kind) })
	}},
	{name: "group named by the process", fails: []string{"C28/groups-stay"}, spoil: func(p plugged) device.DevicePlugin {
		return regrouped(p, func(_, name *string) { *name = fmt.Sprintf("%s of process %d", *name, p.launch) })
	}},
	{name: "ID by the process", fails: []string{"C31/ids-stay", "C45/reserve-first"}, why: "a fresh process does not know the old IDs", spoil: func(p plugged) device.DevicePlugin {
		suffix := fmt.Sprintf("-in-%d", p.launch)
		return renamed(p, func(id string) string { return id + suffix }, func(id string) string { return strings.TrimSuffix(id, suffix) })
	}},
	{name: "ID that is a number", fails: []string{"C32/ids-usable"}, spoil: func(p plugged) device.DevicePlugin {
		return renamed(p, func(id string) string { return fmt.Sprintf("%dGB", id[len(id)-1]-'a') }, func(id string) string {
			if n, ok := strings.CutSuffix(id, "GB"); ok && len(n) == 1 {
				return "ACME-" + string('a'+n[0]-'0')
			}
			return id
		})
	}},
	{name: "ID with a comma", fails: []string{"C32/ids-usable"}, spoil: func(p plugged) device.DevicePlugin {
		return renamed(p, func(id string) string { return "a," + id }, func(id string) string { return strings.TrimPrefix(id, "a,") })
	}},
	{name: "number as text", fails: []string{"C33/types"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "lanes", structs.NewStringAttribute("16"))
	}},
	{name: "version as a number", fails: []string{"C34/versions"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "driver_version", structs.NewFloatAttribute(525.6, ""))
	}},
	{name: "version with words", fails: []string{"C34/versions"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "driver_version", structs.NewStringAttribute("release 525.60"))
	}},
	{name: "memory without a unit", fails: []string{"C35/units"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "memory", structs.NewIntAttribute(1024, ""))
	}},
	{name: "bus ID in upper case", fails: []string{"C36/pci-bus-id"}, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) {
			for _, d := range g.Devices {
				d.HwLocality = &device.DeviceLocality{PciBusID: strings.ToUpper(d.HwLocality.PciBusID)}
			}
		})
	}},
	{name: "unique attribute", fails: []string{"C37/no-unique-keys"}, spoil: func(p plugged) device.DevicePlugin {
		return attribute(p, "unique.serial", structs.NewStringAttribute("SN7"))
	}},
	{name: "no healthy_count", fails: []string{"C38/healthy-count"}, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) { delete(g.Attributes, "healthy_count") })
	}},
	{name: "healthy_count that counts all", fails: []string{"C38/healthy-count"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) {
			g.Attributes["healthy_count"] = structs.NewIntAttribute(int64(len(g.Devices)), "")
		})
	}},
	{name: "no reason", fails: []string{"C40/health-has-reason"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return eachGroup(p, func(g *device.DeviceGroup) {
			for _, d := range g.Devices {
				d.HealthDesc = ""
			}
		})
	}},
}

// nodeDefect changes the first device node of each reservation.
func nodeDefect(name string, change func(root string, d *device.DeviceSpec)) defect {
	return defect{name: name, fails: []string{"C53/nodes"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			if len(r.Devices) > 0 {
				change(p.hardware.root, r.Devices[0])
			}
		})
	}}
}

// reserveDefects are in reservations.
var reserveDefects = []defect{
	{name: "Reserve hangs", fails: []string{"C42/reserve-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func([]string) (*device.ContainerReservation, error) {
			time.Sleep(2 * late)
			return nil, errors.New("too late")
		}}
	}},
	{name: "Reserve hangs with the driver", fails: []string{"C42/reserve-while-hung"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			for p.hardware.isDown() == "hang" {
				time.Sleep(10 * time.Millisecond)
			}
			return p.Reserve(ids)
		}}
	}},
	{name: "nil reservation", fails: []string{"C43/reserve-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			if len(ids) == 0 {
				return nil, nil
			}
			return p.Reserve(ids)
		}}
	}},
	{name: "unknown ID granted", fails: []string{"C44/reserve-unknown"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "not known") {
				return &device.ContainerReservation{}, nil
			}
			return r, err
		}}
	}},
	{name: "unknown ID not named", fails: []string{"C44/reserve-unknown"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "not known") {
				err = errors.New("a device is not known")
			}
			return r, err
		}}
	}},
	{name: "sick device granted", fails: []string{"C44/reserve-sick"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "unhealthy") {
				return &device.ContainerReservation{}, nil
			}
			return r, err
		}}
	}},
	{name: "Reserve knows the stream's devices alone", fails: []string{"C45/reserve-first"}, spoil: func(p plugged) device.DevicePlugin {
		var looked atomic.Bool
		return &wrap{
			DevicePlugin: p,
			fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
				looked.Store(true)
				return p.Fingerprint(ctx)
			},
			reserve: func(ids []string) (*device.ContainerReservation, error) {
				if !looked.Load() {
					return nil, fmt.Errorf("unknown devices %q", ids)
				}
				return p.Reserve(ids)
			},
		}
	}},
	{name: "two devices refused", fails: []string{"C46/reserve-healthy"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err == nil && len(slices.Compact(slices.Clone(ids))) > 1 {
				return nil, errors.New("one at a time")
			}
			return r, err
		}}
	}},
	{name: "order as asked", fails: []string{"C46/reserve-same"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(ids []string, r *device.ContainerReservation) {
			r.Envs["ACME_VISIBLE_DEVICES"] = strings.Join(slices.Compact(slices.Clone(ids)), ",")
		})
	}},
	{name: "mounts", fails: []string{"C47/no-mounts"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			r.Mounts = []*device.Mount{{HostPath: "/usr/lib", TaskPath: "/opt/acme", ReadOnly: true}}
		})
	}},
	{name: "no variables", fails: []string{"C48/env-there"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs = nil })
	}},
	{name: "devices by number", fails: []string{"C49/env-identity"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(ids []string, r *device.ContainerReservation) {
			if all := slices.Compact(slices.Clone(ids)); len(all) == 1 {
				r.Envs["ACME_INDEX"] = fmt.Sprint(all[0][len(all[0])-1] - 'a')
			}
		})
	}},
	{name: "one variable for all", fails: []string{"C50/env-per-device"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			maps.DeleteFunc(r.Envs, func(key, _ string) bool { return strings.HasPrefix(key, "ACME_DEVICE_") })
		})
	}},
	{name: "variable with a dash", fails: []string{"C51/env-plain"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs["ACME-MODE"] = "fast" })
	}},
	{name: "value that Nomad replaces", fails: []string{"C51/env-plain"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs["ACME_NODE"] = "${node.unique.name}" })
	}},
	{name: "name twice", fails: []string{"C52/names-once"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			if r.Envs["ACME_VISIBLE_DEVICES"] != "" {
				r.Envs["ACME_VISIBLE_DEVICES"] += "," + r.Envs["ACME_VISIBLE_DEVICES"]
			}
		})
	}},
	nodeDefect("node that is missing", func(_ string, d *device.DeviceSpec) { d.HostPath += "-not" }),
	nodeDefect("node without permissions", func(_ string, d *device.DeviceSpec) { d.CgroupPerms = "" }),
	nodeDefect("node at a relative path", func(_ string, d *device.DeviceSpec) { d.TaskPath = "dev/acme" }),
	nodeDefect("node that is a link", func(root string, d *device.DeviceSpec) {
		link := filepath.Join(root, "link-to-"+filepath.Base(d.HostPath))
		_ = os.Symlink(d.HostPath, link)
		d.HostPath = link
	}),
}

// statsDefects are in statistics.
var statsDefects = []defect{
	{name: "half the statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			return p.Stats(ctx, 20*interval)
		}}
	}},
	{name: "too many statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			return p.Stats(ctx, interval/10)
		}}
	}},
	{name: "late statistics", fails: []string{"C55/stats-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, stats: func(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
			in, err := p.Stats(ctx, interval)
			return through(ctx, in, lateFirst[*device.StatsResponse]()), err
		}}
	}},
	{name: "device without statistics", fails: []string{"C56/stats-of-all"}, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			for _, g := range m.Groups {
				delete(g.InstanceStats, "ACME-a")
			}
			return send(m)
		})
	}},
	{name: "no summary", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Summary = nil })
	}},
	{name: "no values", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Stats = nil })
	}},
	{name: "no time", fails: []string{"C57/stats-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Timestamp = time.Time{} })
	}},
	{name: "statistic that is NaN", fails: []string{"C58/stats-finite"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) {
			s.Stats.Attributes["Ratio"] = &structs.StatValue{FloatNumeratorVal: new(math.NaN())}
		})
	}},
	{name: "error in the statistics", fails: []string{"C59/stats-stay"}, spoil: func(p plugged) device.DevicePlugin {
		var n atomic.Int64
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if n.Add(1)%2 == 0 {
				return send(device.NewStatsError(errors.New("one card failed")))
			}
			return send(m)
		})
	}},
	{name: "fault ends the statistics", fails: []string{"C59/stats-survive-faults"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			return !ailing(m, "answers with an error") && send(m)
		})
	}},
	{name: "one hangs, no statistics", fails: []string{"C59/stats-while-one-hangs"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if ailing(m, "does not answer") {
				for _, g := range m.Groups {
					for _, s := range g.InstanceStats {
						s.Stats = &structs.StatObject{}
					}
				}
			}
			return send(m)
		})
	}},
	{name: "two kinds of value", fails: []string{"C60/stats-one-value"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) {
			s.Stats.Attributes["Both"] = &structs.StatValue{IntNumeratorVal: new(int64(1)), StringVal: new("one")}
		})
	}},
	{name: "no kind of value", fails: []string{"C60/stats-one-value"}, spoil: func(p plugged) device.DevicePlugin {
		return eachStats(p, func(_ string, s *device.DeviceStats) { s.Stats.Attributes["None"] = &structs.StatValue{} })
	}},
	{name: "statistics need a stream", fails: []string{"C61/stats-first"}, spoil: func(p plugged) device.DevicePlugin {
		var looked atomic.Bool
		w := statistics(p, func(m *device.StatsResponse, send func(*device.StatsResponse) bool) bool {
			if !looked.Load() {
				m = &device.StatsResponse{}
			}
			return send(m)
		})
		w.fingerprint = func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
			looked.Store(true)
			return p.Fingerprint(ctx)
		}
		return w
	}},
}

// ailing returns whether a summary gives a reason.
func ailing(m *device.StatsResponse, reason string) bool {
	for _, g := range m.Groups {
		for _, s := range g.InstanceStats {
			if s.Summary.StringVal != nil && strings.Contains(*s.Summary.StringVal, reason) {
				return true
			}
		}
	}
	return false
}
