package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// start starts a plugin with its block's configuration as Nomad does, and asks
// for its devices.
func (x *examination) start(ctx context.Context, c *candidate) {
	if x.UID != 0 && !x.said {
		x.said = true
		x.report.find(doctorUnprivileged, "devctl doctor", values{"uid": fmt.Sprint(x.UID)})
	}
	var args []string
	var config pluginclient.Config
	if c.block != nil {
		args, config = c.block.args, c.block.config
	}
	p, err := pluginclient.Start(ctx, c.file, pluginclient.Options{Args: args})
	if err != nil {
		x.report.find(pluginStart, c.name, values{"error": err.Error(), "file": c.file})
		return
	}
	defer p.Close()
	info, err := p.Info(ctx)
	if err != nil {
		if info != nil && info.Type != base.PluginTypeDevice {
			return // a plugin for tasks, which is none of our business
		}
		x.report.find(pluginInfo, c.name, values{"error": err.Error(), "file": c.file})
		return
	}
	if info.Name != c.name {
		x.report.find(pluginName, c.name, values{"is": info.Name, "file": c.file, "name": c.name})
	}
	if !x.configure(ctx, c, p, config) {
		return
	}
	c.groups, err = x.fingerprint(ctx, p)
	x.logged(c, p)
	if err != nil {
		x.report.find(pluginSilent, c.name, values{"error": err.Error(), "name": c.name, "file": c.file})
		return
	}
	c.answered = true
	x.report.find(pluginAnswers, c.name, values{
		"version": info.PluginVersion, "api": strings.Join(info.PluginApiVersions, ", "),
	})
	if len(c.groups) == 0 {
		x.none(c, p)
	}
	x.reserve(ctx, c, p)
}

// configure gives the plugin its configuration.
func (x *examination) configure(ctx context.Context, c *candidate, p *pluginclient.Plugin, config pluginclient.Config) bool {
	source := "the defaults"
	if c.block != nil {
		source = c.block.source
	}
	v := values{"source": source, "name": c.name}
	schema, err := p.Schema(ctx)
	if err == nil {
		unknown := unknownKeys(config, schema)
		for _, key := range unknown {
			known := settings(schema)
			v["key"], v["known"], v["meant"] = key, strings.Join(known, ", "), didYouMean(key, known)
			x.report.find(settingUnknown, fmt.Sprintf("plugin %q", c.name), v)
		}
		if len(unknown) > 0 {
			return false
		}
		if _, err := pluginclient.Encode(config, schema); err != nil {
			v["error"] = err.Error()
			x.report.find(settingRefused, fmt.Sprintf("plugin %q", c.name), v)
			return false
		}
	}
	if err := p.Configure(ctx, config); err != nil {
		v["error"] = strings.TrimPrefix(err.Error(), "SetConfig: ")
		x.report.find(settingRefused, fmt.Sprintf("plugin %q", c.name), v)
		return false
	}
	return true
}

// unknownKeys returns the keys of a configuration that are not in the schema,
// whose top is an object with all settings.
func unknownKeys(config pluginclient.Config, schema *hclspec.Spec) []string {
	known := settings(schema)
	if known == nil {
		return nil
	}
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		if !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	return unknown
}

// settings returns the names of a schema's settings and blocks. Nil means that
// the schema is of another form.
func settings(schema *hclspec.Spec) []string {
	if schema.GetObject() == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(schema.GetObject().GetAttributes()))
}

// fingerprint waits for the first devices: for the first message, and after an
// empty one a little longer.
func (x *examination) fingerprint(ctx context.Context, p *pluginclient.Plugin) ([]*device.DeviceGroup, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, x.Timeout, fmt.Errorf("no fingerprint within %s", x.Timeout))
	defer cancel()
	first := true
	for groups, err := range p.Fingerprints(ctx) {
		if err != nil {
			return nil, err
		}
		if len(groups) > 0 {
			return groups, nil
		}
		if first {
			first = false
			defer time.AfterFunc(x.Settle, cancel).Stop()
		}
	}
	if first {
		return nil, context.Cause(ctx)
	}
	return nil, nil
}

// logged shows the warnings and errors of the plugin's log, but those with the
// reason of an unhealthy device, which is a finding of its own.
func (x *examination) logged(c *candidate, p *pluginclient.Plugin) {
	var lines []string
	for _, line := range p.Logs() {
		if reason, ok := line.Fields["reason"].(string); ok && c.suffersFrom(reason) {
			continue
		}
		if line.Level >= hclog.Warn && line.Level != hclog.Off && !slices.Contains(lines, line.String()) {
			lines = append(lines, line.String())
		}
	}
	if len(lines) > 0 {
		x.report.find(pluginLogged, c.name, values{"count": plural(len(lines), "line")}, lines...)
	}
}

// suffersFrom reports whether a device is unhealthy for this reason.
func (c *candidate) suffersFrom(reason string) bool {
	return slices.ContainsFunc(c.groups, func(g *device.DeviceGroup) bool {
		return slices.ContainsFunc(g.Devices, func(d *device.Device) bool { return !d.Healthy && d.HealthDesc == reason })
	})
}

// none says why a plugin has no devices, in its own words.
func (x *examination) none(c *candidate, p *pluginclient.Plugin) {
	if c.disabled {
		return // which has been said
	}
	var lines []string
	for _, line := range p.Logs() {
		if line.Level == hclog.Info && !slices.Contains(lines, line.String()) {
			lines = append(lines, line.String())
		}
	}
	slices.Sort(lines) // cards are looked at side by side
	x.report.find(devicesNone, c.name, values{"name": c.name, "file": c.file}, lines...)
}

// maxReservations bounds how many devices are reserved for a look: nodes with
// more devices have many alike.
const maxReservations = 64

// reserve asks for each healthy device what a task would get. That changes
// nothing: Nomad's protocol has no call that gives a device back.
func (x *examination) reserve(ctx context.Context, c *candidate, p *pluginclient.Plugin) {
	c.grants = map[string]*device.ContainerReservation{}
	refused := map[string][]string{}
	var order []string
	for _, g := range c.groups {
		for _, d := range g.Devices {
			if !d.Healthy || len(c.grants) >= maxReservations || ctx.Err() != nil {
				continue
			}
			grant, err := p.Reserve(ctx, []string{d.ID})
			if err == nil {
				c.grants[d.ID] = grant
				continue
			}
			text := strings.TrimPrefix(err.Error(), "Reserve: ")
			if refused[text] == nil {
				order = append(order, text)
			}
			refused[text] = append(refused[text], d.ID)
		}
	}
	for _, text := range order {
		x.report.find(reserveRefused, some(refused[text]), values{"error": text, "id": refused[text][0], "file": c.file})
	}
}
