package top

import (
	"cmp"
	"slices"
	"time"

	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/nomad/holders"
)

// Report is what one source knows at a moment. Each replaces the one before.
type Report struct {
	// Source is the name of who tells: a plugin, or a node.
	Source string
	// Title says more about the source, for the first line of the screen.
	Title string
	// Devices are all devices of the source.
	Devices []Device
	// Trouble says in words what keeps the source from telling more; "" if
	// nothing does. It may have several lines.
	Trouble string
	// Remarks are the source's own words on why it has no devices.
	Remarks []string
	// Complete says that everything was asked for once: devices, statistics
	// and, of an agent, holders.
	Complete bool
}

// Device is a device of a node.
type Device struct {
	// Vendor, Type and Name are those of its group.
	Vendor, Type, Name string
	// ID is its own, without what tells replicas apart.
	ID string
	// PCI is its address, if it has one.
	PCI string
	// Healthy and HealthText are what the plugin says of its health.
	Healthy    bool
	HealthText string
	// Measured is when its statistics are from; zero if there are none.
	Measured time.Time
	// Gauges are what the columns show.
	Gauges Gauges
	// Summary is the statistic that the plugin finds most telling.
	Summary *structs.StatValue
	// Shared says that it is offered in several instances, whose IDs are Replicas.
	Shared   bool
	Replicas []string
	// Holders are the tasks that have it, in the order of the replicas.
	Holders []Holder
}

// Holder is a task that has a device, or one of its replicas.
type Holder struct {
	// Device is the ID of what it has.
	Device string
	holders.Holder
	// Foreign says that it is of a namespace that was not asked for: only the
	// namespace is told.
	Foreign bool
}

// key tells a device of a source from all others.
type key struct{ source, vendor, kind, name, id string }

func (d *Device) key(source string) key {
	return key{source: source, vendor: d.Vendor, kind: d.Type, name: d.Name, id: d.ID}
}

// Fold makes one device of all replicas of a shared one. It is unhealthy if one
// of them is.
func Fold(devices []Device) []Device {
	var all []Device
	at := map[key]int{}
	for _, d := range devices {
		id, replica := share.CutID(d.ID)
		if !d.Shared || !replica {
			all = append(all, d)
			continue
		}
		d.Replicas = []string{d.ID}
		d.ID = id
		i, known := at[d.key("")]
		if !known {
			at[d.key("")] = len(all)
			all = append(all, d)
			continue
		}
		whole := &all[i]
		whole.Replicas = append(whole.Replicas, d.Replicas...)
		whole.Holders = append(whole.Holders, d.Holders...)
		if whole.Healthy && !d.Healthy {
			whole.Healthy, whole.HealthText = false, d.HealthText
		}
		if d.Measured.After(whole.Measured) {
			whole.Measured, whole.Gauges, whole.Summary = d.Measured, d.Gauges, d.Summary
		}
	}
	for i := range all {
		slices.SortFunc(all[i].Replicas, byReplica)
		slices.SortStableFunc(all[i].Holders, func(a, b Holder) int { return byReplica(a.Device, b.Device) })
	}
	return all
}

// byReplica has replica 10 behind replica 9.
func byReplica(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
