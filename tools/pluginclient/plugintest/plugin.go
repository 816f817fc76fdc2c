// Package plugintest is a small device plugin for the tests of programs that
// start device plugins. A test binary serves it itself, so that nothing has to
// be built: see [Main] and [Binary].
//
// The plugin offers made-up sensors, and misbehaves on demand: at its start by
// the variable [StartVariable], later by the setting "behaviour".
package plugintest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// Name is the plugin's name and the file name of [Binary].
const Name = "stub-device"

// StartVariable makes the plugin misbehave at its start: "exit" ends it with a
// log line, "talk" writes to stdout first, "hang" never says hello.
const StartVariable = "STUB_START"

// Main serves the plugin and ends the process if it was started as a plugin.
// Call it first in TestMain.
func Main() {
	if os.Getenv(base.Handshake.MagicCookieKey) != base.Handshake.MagicCookieValue {
		return
	}
	log := hclog.New(&hclog.LoggerOptions{Name: Name, JSONFormat: true, Level: hclog.Debug})
	switch os.Getenv(StartVariable) {
	case "exit":
		log.Error("the sensor bus is on fire", "bus", 7)
		os.Exit(3)
	case "talk":
		fmt.Println("hello, I am a sensor")
	case "hang":
		time.Sleep(time.Hour)
	}
	device.Serve(&plugin{log: log}, log)
	os.Exit(0)
}

// Binary returns the path of a plugin binary named [Name]: this test binary
// under another name. It needs [Main] in TestMain.
func Binary(tb testing.TB) string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), Name)
	if err := os.Symlink(self, path); err != nil {
		tb.Fatal(err)
	}
	return path
}

type settings struct {
	Behaviour string            `codec:"behaviour"`
	Count     int               `codec:"count"`
	Period    string            `codec:"period"`
	Ignored   []string          `codec:"ignored"`
	Labels    map[string]string `codec:"labels"`
	Health    struct {
		After int `codec:"after"`
	} `codec:"health"`
}

type plugin struct {
	log hclog.Logger
	set settings
}

func (p *plugin) PluginInfo() (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type: base.PluginTypeDevice, Name: Name, PluginVersion: "1.2.3",
		PluginApiVersions: []string{device.ApiVersion010},
	}, nil
}

func (p *plugin) ConfigSchema() (*hclspec.Spec, error) {
	return hclspec.NewObject(map[string]*hclspec.Spec{
		"behaviour": hclspec.NewDefault(hclspec.NewAttr("behaviour", "string", false), hclspec.NewLiteral(`"good"`)),
		"count":     hclspec.NewDefault(hclspec.NewAttr("count", "number", false), hclspec.NewLiteral("2")),
		"period":    hclspec.NewDefault(hclspec.NewAttr("period", "string", false), hclspec.NewLiteral(`"1m"`)),
		"ignored":   hclspec.NewAttr("ignored", "list(string)", false),
		"labels":    hclspec.NewAttr("labels", "map(string)", false),
		"health": hclspec.NewDefault(
			hclspec.NewBlock("health", false, hclspec.NewObject(map[string]*hclspec.Spec{
				"after": hclspec.NewDefault(hclspec.NewAttr("after", "number", false), hclspec.NewLiteral("3")),
			})),
			hclspec.NewLiteral("{ after = 3 }")),
	}), nil
}

func (p *plugin) SetConfig(c *base.Config) error {
	var set settings
	if err := base.MsgPackDecode(c.PluginConfig, &set); err != nil {
		return err
	}
	if set.Behaviour == "refuse" {
		return errors.New("behaviour: this plugin refuses to be refused; write \"good\"")
	}
	if _, err := time.ParseDuration(set.Period); err != nil {
		return fmt.Errorf("period: %q is no duration such as \"1m\"", set.Period)
	}
	p.set = set
	p.log.Info("configured", "count", set.Count, "period", set.Period,
		"ignored", fmt.Sprint(set.Ignored), "after", set.Health.After)
	return nil
}

func (p *plugin) groups() []*device.DeviceGroup {
	sensors := &device.DeviceGroup{
		Vendor: "acme", Type: "sensor", Name: "Thermo 9000",
		Attributes: map[string]*structs.Attribute{
			"memory":        structs.NewIntAttribute(16, structs.UnitMiB),
			"clock":         structs.NewFloatAttribute(1.5, structs.UnitGHz),
			"firmware":      structs.NewStringAttribute("2.10"),
			"certified":     structs.NewBoolAttribute(true),
			"healthy_count": structs.NewIntAttribute(int64(max(p.set.Count-1, 0)), ""),
		},
	}
	for i := range p.set.Count {
		sensor := &device.Device{ID: fmt.Sprintf("SN-%d", i), Healthy: true}
		if i == 0 {
			sensor.HwLocality = &device.DeviceLocality{PciBusID: "0000:3b:00.0"}
		}
		if i == p.set.Count-1 {
			sensor.Healthy, sensor.HealthDesc = false, "no echo for an hour; wiggle the plug"
		}
		sensors.Devices = append(sensors.Devices, sensor)
	}
	probes := &device.DeviceGroup{
		Vendor: "acme", Type: "probe", Name: "Thermo 9000 half",
		Devices: []*device.Device{{ID: "PR-0", Healthy: true, HealthDesc: "due for calibration"}},
	}
	return []*device.DeviceGroup{sensors, probes}
}

func (p *plugin) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	var messages []*device.FingerprintResponse
	switch p.set.Behaviour {
	case "silent":
	case "empty":
		messages = append(messages, device.NewFingerprint())
	case "invalid":
		messages = append(messages, device.NewFingerprint(&device.DeviceGroup{Vendor: "acme", Type: "sensor"}))
	case "error":
		messages = append(messages, device.NewFingerprintError(errors.New("the bus is on fire")))
	default:
		messages = append(messages, device.NewFingerprint(p.groups()...))
	}
	if p.set.Behaviour == "flap" {
		changed := p.groups()
		changed[0].Devices[0].Healthy = false
		changed[0].Devices[0].HealthDesc = "unplugged"
		changed[0].Attributes["healthy_count"] = structs.NewIntAttribute(0, "")
		changed = changed[:1]
		messages = append(messages, device.NewFingerprint(changed...))
	}
	out := make(chan *device.FingerprintResponse)
	go func() {
		defer close(out)
		for i, message := range messages {
			if i > 0 {
				time.Sleep(50 * time.Millisecond)
			}
			select {
			case out <- message:
			case <-ctx.Done():
				return
			}
		}
		switch p.set.Behaviour {
		case "end":
			return
		case "exit":
			p.log.Error("giving up", "reason", "tired")
			os.Exit(4)
		case "panic":
			var nobody *settings
			fmt.Println(nobody.Count)
		}
		<-ctx.Done()
	}()
	return out, nil
}

func (p *plugin) Stats(ctx context.Context, interval time.Duration) (<-chan *device.StatsResponse, error) {
	if p.set.Behaviour == "stats-error" {
		return nil, errors.New("nothing to count with")
	}
	out := make(chan *device.StatsResponse)
	go func() {
		defer close(out)
		for {
			select {
			case out <- &device.StatsResponse{Groups: p.stats()}:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(interval):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (p *plugin) stats() []*device.DeviceGroupStats {
	var all []*device.DeviceGroupStats
	for _, group := range p.groups() {
		stats := &device.DeviceGroupStats{
			Vendor: group.Vendor, Type: group.Type, Name: group.Name,
			InstanceStats: map[string]*device.DeviceStats{},
		}
		for _, d := range group.Devices {
			memory := &structs.StatValue{
				IntNumeratorVal: new(int64(3)), IntDenominatorVal: new(int64(16)), Unit: "MiB", Desc: "Memory in use",
			}
			stats.InstanceStats[d.ID] = &device.DeviceStats{
				Summary:   memory,
				Timestamp: time.Now(),
				Stats: &structs.StatObject{
					Attributes: map[string]*structs.StatValue{
						"Memory state": memory,
						"Temperature":  {FloatNumeratorVal: new(21.5), Unit: "C", Desc: "What it measures"},
						"Mode":         {StringVal: new("steady"), Desc: "What it is doing"},
					},
					Nested: map[string]*structs.StatObject{
						"Radio": {Attributes: map[string]*structs.StatValue{"On": {BoolVal: new(true), Desc: "Whether it sends"}}},
					},
				},
			}
		}
		all = append(all, stats)
	}
	return all
}

func (p *plugin) Reserve(ids []string) (*device.ContainerReservation, error) {
	switch p.set.Behaviour {
	case "hang":
		time.Sleep(time.Hour)
	case "exit-reserve":
		p.log.Error("giving up", "reason", "asked for too much")
		os.Exit(5)
	}
	known := map[string]bool{}
	for _, group := range p.groups() {
		for _, d := range group.Devices {
			known[d.ID] = d.Healthy
		}
	}
	out := &device.ContainerReservation{Envs: map[string]string{"ACME_MODE": "shared", "ACME_SENSORS": ""}}
	for _, id := range ids {
		healthy, found := known[id]
		if !found {
			return nil, fmt.Errorf("no device %q; there are %q", id, slices.Sorted(maps.Keys(known)))
		}
		if !healthy {
			return nil, fmt.Errorf("device %s is not healthy: no echo for an hour; wiggle the plug", id)
		}
		if out.Envs["ACME_SENSORS"] != "" {
			out.Envs["ACME_SENSORS"] += ","
		}
		out.Envs["ACME_SENSORS"] += id
		out.Devices = append(out.Devices, &device.DeviceSpec{
			HostPath: "/dev/null", TaskPath: "/dev/sensor-" + id, CgroupPerms: "rw",
		})
	}
	out.Mounts = []*device.Mount{{HostPath: "/usr", TaskPath: "/opt/acme", ReadOnly: true}}
	return out, nil
}
