package conformance_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
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

// unwell makes devices unhealthy and counts the healthy ones of the group anew.
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
