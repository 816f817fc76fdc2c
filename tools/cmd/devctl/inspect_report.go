package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// report is everything that inspect found out.
type report struct {
	Plugin      pluginReport
	Timings     timingReport
	Groups      []*device.DeviceGroup
	Stats       []*device.DeviceGroupStats
	Reservation *reservationReport
	// Remarks say why there are no groups, in the plugin's words.
	Remarks []string
}

type pluginReport struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	APIVersions []string `json:"api_versions"`
	Path        string   `json:"path"`
}

type timingReport struct{ Handshake, FirstFingerprint time.Duration }

type reservationReport struct {
	IDs []string
	*device.ContainerReservation
}

// printer shows what inspect finds out.
type printer interface {
	// report shows the whole.
	report(report) error
	// fingerprint shows a later message, given the one before.
	fingerprint(at time.Time, before, now []*device.DeviceGroup) error
	// stats shows later statistics.
	stats(at time.Time, groups []*device.DeviceGroupStats) error
}

func newPrinter(w io.Writer, asJSON bool) printer {
	if asJSON {
		return jsonPrinter{w}
	}
	return textPrinter{w}
}

// jsonPrinter writes one JSON document per call.
type jsonPrinter struct{ w io.Writer }

func (p jsonPrinter) report(r report) error {
	document := map[string]any{
		"plugin": r.Plugin,
		"timings": map[string]float64{
			"handshake_ms":         milliseconds(r.Timings.Handshake),
			"first_fingerprint_ms": milliseconds(r.Timings.FirstFingerprint),
		},
		"groups": jsonGroups(r.Groups),
	}
	if r.Stats != nil {
		document["stats"] = jsonStats(r.Stats)
	}
	if r.Reservation != nil {
		document["reservation"] = jsonReservation(r.Reservation)
	}
	if len(r.Remarks) > 0 {
		document["remarks"] = r.Remarks
	}
	return printJSON(p.w, document)
}

// printJSON writes a document that people may read as well.
func printJSON(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

func (p jsonPrinter) fingerprint(at time.Time, _, now []*device.DeviceGroup) error {
	return printLine(p.w, object{"time": at, "groups": jsonGroups(now)})
}

func (p jsonPrinter) stats(at time.Time, groups []*device.DeviceGroupStats) error {
	return printLine(p.w, object{"time": at, "stats": jsonStats(groups)})
}

// printLine writes one of several documents, on a line of its own.
func printLine(w io.Writer, document any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type object = map[string]any

func jsonGroups(groups []*device.DeviceGroup) []object {
	all := make([]object, 0, len(groups))
	for _, g := range groups {
		devices := make([]object, 0, len(g.Devices))
		for _, d := range g.Devices {
			one := object{"id": d.ID, "healthy": d.Healthy}
			if d.HealthDesc != "" {
				one["health_description"] = d.HealthDesc
			}
			if d.HwLocality != nil && d.HwLocality.PciBusID != "" {
				one["pci_bus_id"] = d.HwLocality.PciBusID
			}
			devices = append(devices, one)
		}
		attributes := object{}
		for key, a := range g.Attributes {
			attribute := object{"value": attributeValue(a)}
			if a.Unit != "" {
				attribute["unit"] = a.Unit
			}
			attributes[key] = attribute
		}
		all = append(all, object{
			"vendor": g.Vendor, "type": g.Type, "name": g.Name, "devices": devices, "attributes": attributes,
		})
	}
	return all
}

func attributeValue(a *structs.Attribute) any {
	switch {
	case a.Int != nil:
		return *a.Int
	case a.Float != nil:
		return *a.Float
	case a.String != nil:
		return *a.String
	case a.Bool != nil:
		return *a.Bool
	default:
		return nil
	}
}

func jsonStats(groups []*device.DeviceGroupStats) []object {
	all := make([]object, 0, len(groups))
	for _, g := range groups {
		devices := object{}
		for id, d := range g.InstanceStats {
			one := object{"time": d.Timestamp, "stats": jsonStatObject(d.Stats)}
			if d.Summary != nil {
				one["summary"] = jsonStat(d.Summary)
			}
			devices[id] = one
		}
		all = append(all, object{"vendor": g.Vendor, "type": g.Type, "name": g.Name, "devices": devices})
	}
	return all
}

func jsonStatObject(s *structs.StatObject) object {
	all := object{}
	if s == nil {
		return all
	}
	for name, value := range s.Attributes {
		all[name] = jsonStat(value)
	}
	for name, nested := range s.Nested {
		all[name] = jsonStatObject(nested)
	}
	return all
}

func jsonStat(s *structs.StatValue) object {
	one := object{}
	switch {
	case s.IntNumeratorVal != nil:
		one["value"] = *s.IntNumeratorVal
	case s.FloatNumeratorVal != nil:
		one["value"] = *s.FloatNumeratorVal
	case s.StringVal != nil:
		one["value"] = *s.StringVal
	case s.BoolVal != nil:
		one["value"] = *s.BoolVal
	}
	switch {
	case s.IntDenominatorVal != nil:
		one["of"] = *s.IntDenominatorVal
	case s.FloatDenominatorVal != nil:
		one["of"] = *s.FloatDenominatorVal
	}
	if s.Unit != "" {
		one["unit"] = s.Unit
	}
	if s.Desc != "" {
		one["description"] = s.Desc
	}
	return one
}

func jsonReservation(r *reservationReport) object {
	devices := make([]object, 0, len(r.Devices))
	for _, d := range r.Devices {
		devices = append(devices, object{"host_path": d.HostPath, "task_path": d.TaskPath, "permissions": d.CgroupPerms})
	}
	mounts := make([]object, 0, len(r.Mounts))
	for _, m := range r.Mounts {
		mounts = append(mounts, object{"host_path": m.HostPath, "task_path": m.TaskPath, "read_only": m.ReadOnly})
	}
	env := r.Envs
	if env == nil {
		env = map[string]string{}
	}
	return object{"ids": r.IDs, "env": env, "devices": devices, "mounts": mounts}
}

// lockedWriter lets several goroutines write whole pieces.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
