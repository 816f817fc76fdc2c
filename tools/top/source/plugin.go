package source

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/top"
)

// Plugin is a plugin's binary, started as Nomad does.
type Plugin struct {
	// Path is the binary.
	Path string
	// Label is the name of the source; "" is the name of the file.
	Label string
	// Config is its configuration, and Args are its arguments.
	Config pluginclient.Config
	Args   []string
}

// Name implements [Source].
func (p *Plugin) Name() string {
	if p.Label != "" {
		return p.Label
	}
	return pluginclient.NameOf(p.Path)
}

// Run implements [Source]. A plugin that does not start or dies is started again
// after a while.
func (p *Plugin) Run(ctx context.Context, pace *Pace, tell func(top.Report)) {
	for retry := firstRetry; ctx.Err() == nil; retry = min(2*retry, lastRetry) {
		began := time.Now()
		err := p.life(ctx, pace, tell)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry // it was well for a while
		}
		tell(top.Report{Source: p.Name(), Trouble: fmt.Sprintf("%v\nStarted again in %s.", err, retry)})
		pause(ctx, retry)
	}
}

// life is one life of the plugin. It returns what ended it.
func (p *Plugin) life(ctx context.Context, pace *Pace, tell func(top.Report)) error {
	process, err := pluginclient.Start(ctx, p.Path, pluginclient.Options{Args: p.Args})
	if err != nil {
		return err
	}
	defer process.Close()
	info, err := process.Info(ctx)
	if err != nil {
		return err
	}
	if err := process.Configure(ctx, p.Config); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()

	told := state{name: p.Name(), title: info.Name + " " + info.PluginVersion}
	fingerprints := produce(ctx, &streams, func(send func([]*device.DeviceGroup, error) bool) {
		process.Fingerprints(ctx)(send)
	})
	measure := produce(ctx, &streams, func(send func([]*device.DeviceGroupStats, error) bool) {
		measure(ctx, process, pace, send)
	})
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-process.Exited():
			// The stream says better why, if it is not read already.
			select {
			case m := <-fingerprints:
				if m.err != nil {
					return m.err
				}
			case <-time.After(time.Second):
			}
			return fmt.Errorf("the plugin died (%s)", process.ExitStatus())
		case m := <-fingerprints:
			if m.err != nil {
				return m.err
			}
			told.groups, told.looked = m.value, true
			told.remarks = nil
			if len(m.value) == 0 {
				told.remarks = remarks(process.Logs())
			}
		case m := <-measure:
			told.trouble = m.err
			if m.err == nil {
				told.stats, told.measured = m.value, true
			}
		}
		tell(told.report())
	}
}

// measure reads the plugin's statistics at the pace. A stream that fails is
// opened again.
func measure(ctx context.Context, process *pluginclient.Plugin, pace *Pace, send func([]*device.DeviceGroupStats, error) bool) {
	retry := firstRetry
	for ctx.Err() == nil {
		interval, changed := pace.Get()
		stream, end := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			select {
			case <-changed:
			case <-stream.Done():
			}
			end()
		}()
		var failed error
		for groups, err := range process.Stats(stream, interval) {
			if err != nil {
				failed = fmt.Errorf("no statistics: %w", err)
				break
			}
			retry = firstRetry
			if !send(groups, nil) {
				break
			}
		}
		end()
		<-ended
		if failed == nil {
			continue
		}
		if !send(nil, failed) || !pause(ctx, retry) {
			return
		}
		retry = min(2*retry, lastRetry)
	}
}

// state is what a plugin has told.
type state struct {
	name, title string
	groups      []*device.DeviceGroup
	stats       []*device.DeviceGroupStats
	remarks     []string
	looked      bool
	measured    bool
	trouble     error
}

func (s *state) report() top.Report {
	r := top.Report{Source: s.name, Title: s.title, Remarks: s.remarks}
	if s.trouble != nil {
		r.Trouble = s.trouble.Error()
	}
	stats := map[instance]*device.DeviceStats{}
	for _, g := range s.stats {
		for id, d := range g.InstanceStats {
			stats[instance{g.Vendor, g.Type, g.Name, id}] = d
		}
	}
	missing := false
	for _, g := range s.groups {
		_, shared := g.Attributes[share.Replicas]
		for _, one := range g.Devices {
			d := top.Device{
				Vendor: g.Vendor, Type: g.Type, Name: g.Name, ID: one.ID,
				Healthy: one.Healthy, HealthText: one.HealthDesc,
				Shared: shared,
			}
			if one.HwLocality != nil {
				d.PCI = one.HwLocality.PciBusID
			}
			if m := stats[instance{g.Vendor, g.Type, g.Name, one.ID}]; m != nil {
				d.Measured, d.Summary, d.Gauges = m.Timestamp, m.Summary, top.GaugesOf(m.Stats)
			} else {
				missing = true
			}
			r.Devices = append(r.Devices, d)
		}
	}
	// The first statistics may be from before the devices were found.
	r.Complete = s.looked && s.measured && !missing
	return r
}

// instance names a device in a plugin's statistics.
type instance struct{ vendor, kind, name, id string }

// remarks are the lines with which a plugin says why it has no devices.
func remarks(lines []pluginclient.LogLine) []string {
	var texts []string
	for _, line := range lines {
		if line.Level >= hclog.Info && !slices.Contains(texts, line.String()) {
			texts = append(texts, line.String())
		}
	}
	return texts
}
