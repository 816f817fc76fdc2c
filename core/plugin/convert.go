package plugin

import (
	"errors"
	"strings"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/reservation"
	"github.com/nomad-devices/nomad-devices/core/stats"
)

// fingerprintOf returns the snapshot in Nomad's form.
func fingerprintOf(s *fingerprint.Snapshot) *device.FingerprintResponse {
	groups := make([]*device.DeviceGroup, 0, len(s.Groups))
	for _, g := range s.Groups {
		group := &device.DeviceGroup{
			Vendor:     g.Vendor,
			Type:       g.Type,
			Name:       g.Name,
			Attributes: make(map[string]*structs.Attribute, len(g.Attributes)),
		}
		for key, v := range g.Attributes {
			if a := attributeOf(v); a != nil {
				group.Attributes[key] = a
			}
		}
		for _, d := range g.Devices {
			instance := &device.Device{ID: d.ID, Healthy: d.Health.Healthy, HealthDesc: plain(d.Health.Reason)}
			if d.PCI != "" {
				instance.HwLocality = &device.DeviceLocality{PciBusID: string(d.PCI)}
			}
			group.Devices = append(group.Devices, instance)
		}
		groups = append(groups, group)
	}
	return device.NewFingerprint(groups...)
}

// attributeOf returns the value in Nomad's form, or nil if there is none.
func attributeOf(v core.Value) *structs.Attribute {
	switch v.Kind() {
	case core.KindInt:
		return &structs.Attribute{Int: new(v.AsInt()), Unit: string(v.Unit())}
	case core.KindFloat:
		return &structs.Attribute{Float: new(v.AsFloat()), Unit: string(v.Unit())}
	case core.KindBool:
		return &structs.Attribute{Bool: new(v.AsBool())}
	case core.KindString, core.KindVersion:
		return &structs.Attribute{String: new(v.Text())}
	default:
		return nil
	}
}

// statsOf returns the measurements in Nomad's form.
func statsOf(measurements []stats.Measurement) *device.StatsResponse {
	response := &device.StatsResponse{}
	var group *device.DeviceGroupStats
	var key core.Group
	for _, m := range measurements { // they come group by group
		if group == nil || m.Device.Group != key {
			key = m.Device.Group
			group = &device.DeviceGroupStats{
				Vendor: key.Vendor, Type: key.Type, Name: key.Name,
				InstanceStats: map[string]*device.DeviceStats{},
			}
			response.Groups = append(response.Groups, group)
		}
		values := make(map[string]*structs.StatValue, len(m.Readings))
		for _, r := range m.Readings {
			values[plain(r.Name)] = statOf(r)
		}
		group.InstanceStats[m.Device.ID] = &device.DeviceStats{
			Summary:   summaryOf(m),
			Stats:     &structs.StatObject{Attributes: values},
			Timestamp: m.Time,
		}
	}
	return response
}

// summaryOf returns the one line that Nomad's command line shows for a device:
// what is wrong with it, or else its first reading.
func summaryOf(m stats.Measurement) *structs.StatValue {
	const desc = "Health of the device"
	switch {
	case !m.Device.Health.Healthy:
		return &structs.StatValue{StringVal: new("unhealthy: " + plain(m.Device.Health.Reason)), Desc: desc}
	case len(m.Readings) > 0:
		return statOf(m.Readings[0])
	case errors.Is(m.Err, guard.ErrHung):
		return &structs.StatValue{StringVal: new("no statistics: the driver does not answer"), Desc: desc}
	case m.Err != nil:
		return &structs.StatValue{StringVal: new("no statistics: " + plain(m.Err.Error())), Desc: desc}
	default:
		return &structs.StatValue{StringVal: new("healthy"), Desc: desc}
	}
}

func statOf(r core.Reading) *structs.StatValue {
	s := &structs.StatValue{Unit: plain(r.Unit), Desc: plain(r.Description)}
	limited := r.Limit.Numeric()
	switch {
	case r.Value.Kind() == core.KindInt && (!limited || r.Limit.Kind() == core.KindInt):
		s.IntNumeratorVal = new(r.Value.AsInt())
		if limited {
			s.IntDenominatorVal = new(r.Limit.AsInt())
		}
	case r.Value.Numeric():
		s.FloatNumeratorVal = new(r.Value.AsFloat())
		if limited {
			s.FloatDenominatorVal = new(r.Limit.AsFloat())
		}
	case r.Value.Kind() == core.KindBool:
		s.BoolVal = new(r.Value.AsBool())
	default:
		s.StringVal = new(plain(r.Value.Text()))
	}
	return s
}

// reservationOf returns the reservation in Nomad's form.
func reservationOf(r reservation.Reservation) *device.ContainerReservation {
	c := &device.ContainerReservation{Envs: r.Env}
	for _, n := range r.Nodes {
		c.Devices = append(c.Devices, &device.DeviceSpec{HostPath: n.HostPath, TaskPath: n.TaskPath, CgroupPerms: n.Permissions})
	}
	for _, m := range r.Mounts {
		c.Mounts = append(c.Mounts, &device.Mount{HostPath: m.HostPath, TaskPath: m.TaskPath, ReadOnly: !m.Writable})
	}
	return c
}

// oneLine returns an error's text for a message that Nomad shows in one line.
func oneLine(err error) string {
	return plain(strings.ReplaceAll(err.Error(), "\n", "; "))
}
