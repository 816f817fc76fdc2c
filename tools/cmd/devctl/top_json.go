package main

import (
	"context"
	"io"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/top"
)

// printScreens prints what a screen has, a line per interval, until ctx ends,
// which is the way to end it.
func printScreens(ctx context.Context, w io.Writer, screen *top.Screen, reports <-chan top.Report, interval time.Duration) error {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	at := time.Now()
	for {
		if err := printLine(w, jsonScreen(screen, at)); err != nil {
			return err
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return nil
			case r := <-reports:
				screen.Take(r)
			case at = <-ticks.C:
				waiting = false
			}
		}
	}
}

// jsonScreen is what a screen has at a moment.
func jsonScreen(screen *top.Screen, at time.Time) object {
	devices := []object{}
	for source, d := range screen.Devices() {
		devices = append(devices, jsonDevice(source, &d))
	}
	sources := []object{}
	for _, r := range screen.Reports() {
		one := object{"name": r.Source}
		if r.Title != "" {
			one["title"] = r.Title
		}
		if r.Trouble != "" {
			one["trouble"] = r.Trouble
		}
		if len(r.Remarks) > 0 {
			one["remarks"] = r.Remarks
		}
		sources = append(sources, one)
	}
	return object{"time": at, "sources": sources, "devices": devices}
}

func jsonDevice(source string, d *top.Device) object {
	one := object{
		"source": source, "vendor": d.Vendor, "type": d.Type, "name": d.Name, "id": d.ID, "healthy": d.Healthy,
	}
	if d.HealthText != "" {
		one["health_description"] = d.HealthText
	}
	if d.PCI != "" {
		one["pci_bus_id"] = d.PCI
	}
	if len(d.Replicas) > 0 {
		one["replicas"] = d.Replicas
	}
	if !d.Measured.IsZero() {
		one["measured"] = d.Measured
	}
	for k, g := range d.Gauges {
		if !g.Known() {
			continue
		}
		gauge := object{"statistic": g.Stat, "value": g.Value, "unit": top.Kind(k).Unit()}
		if g.Limit > 0 {
			gauge["limit"] = g.Limit
		}
		one[top.Kind(k).String()] = gauge
	}
	if d.Summary != nil {
		one["summary"] = jsonStat(d.Summary)
	}
	var holders []object
	for _, h := range d.Holders {
		holder := object{"device": h.Device, "namespace": h.Namespace, "status": h.Status}
		if !h.Foreign {
			holder["job"], holder["group"], holder["task"] = h.Job, h.Group, h.Task
			holder["alloc_id"], holder["alloc_name"] = h.Alloc, h.AllocName
		}
		holders = append(holders, holder)
	}
	if len(holders) > 0 {
		one["holders"] = holders
	}
	return one
}
