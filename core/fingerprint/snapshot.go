package fingerprint

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/health"
)

// HealthyCount is the attribute that every group carries: the number of its
// healthy devices. Nomad's scheduler remembers by a node's attributes, not by
// the health of its devices, where a blocked job cannot run; without this
// attribute the job stays blocked after the devices have healed.
const HealthyCount = "healthy_count"

// Snapshot is all that is known about the devices at one moment. It is
// immutable; whoever holds one may read it from any goroutine.
type Snapshot struct {
	// Groups are the devices as they are offered, sorted by vendor, type and
	// name. Groups, and the devices in them, are in the same order however the
	// hardware was discovered.
	Groups []Group
	// Generation changes when what Nomad sees changes, and only then.
	Generation uint64
	// Complete says that a scan has been through all the hardware. Before that
	// a Snapshot holds what was found so far.
	Complete bool

	byID       map[string]Device
	wholes     map[string]Device // by the ID of the whole; byID itself if none is shared
	superseded chan struct{}
}

// Group is a set of devices that a job can ask for under one name.
type Group struct {
	core.Group
	// Attributes hold for every device of the group.
	Attributes map[string]core.Value
	// Devices are sorted by ID.
	Devices []Device
}

// Device is a device with what the core knows of it.
type Device struct {
	core.Device
	// Card is the key of the probe that the device was read by. Calls that
	// concern one card go over one lane.
	Card string
	// Health is what Nomad is told.
	Health health.State
	// Part is set if the device is offered as several, and this is one of them.
	Part *Part
}

// Part says what a device that is one of several is a part of.
type Part struct {
	// Of is the device as the vendor knows it.
	Of core.Device
	// Replicas is as how many it is offered.
	Replicas int
	// Alone says that a task must not have another part of it.
	Alone bool
}

// Whole returns the device as the vendor knows it: of a part, the whole. It is
// what calls into the vendor are about.
func (d Device) Whole() core.Device {
	if d.Part != nil {
		return d.Part.Of
	}
	return d.Device
}

// Wholes returns the devices as the vendor knows them, each once, by ID, with
// one of those that it is offered as. The map must not be changed.
func (s *Snapshot) Wholes() map[string]Device { return s.wholes }

// wholesOf returns devices, sorted by ID, by the IDs of what they are parts of.
func wholesOf(devices []Device) map[string]Device {
	wholes := make(map[string]Device, len(devices))
	for _, d := range devices {
		if id := d.Whole().ID; wholes[id].ID == "" {
			wholes[id] = d
		}
	}
	return wholes
}

// Device returns the device with the given ID.
func (s *Snapshot) Device(id string) (Device, bool) {
	d, ok := s.byID[id]
	return d, ok
}

// Superseded is closed when there is a newer Snapshot.
func (s *Snapshot) Superseded() <-chan struct{} { return s.superseded }

// differ is told of an attribute that the devices of a group do not share.
type differ func(group core.Group, attribute string)

// newSnapshot groups the devices. Of an attribute that is a number the group
// carries the smallest, which holds for all; any other attribute that is not
// the same for all is left out.
func newSnapshot(devices []Device, complete bool, differs differ) *Snapshot {
	s := &Snapshot{
		Complete:   complete,
		byID:       make(map[string]Device, len(devices)),
		superseded: make(chan struct{}),
	}
	slices.SortFunc(devices, func(a, b Device) int {
		return cmp.Or(
			cmp.Compare(a.Group.Vendor, b.Group.Vendor),
			cmp.Compare(a.Group.Type, b.Group.Type),
			cmp.Compare(a.Group.Name, b.Group.Name),
			cmp.Compare(a.ID, b.ID),
		)
	})
	for _, d := range devices {
		s.byID[d.ID] = d
	}
	s.wholes = s.byID
	if slices.ContainsFunc(devices, func(d Device) bool { return d.Part != nil }) {
		s.wholes = wholesOf(devices)
	}
	for len(devices) > 0 {
		key := devices[0].Group
		n := slices.IndexFunc(devices, func(d Device) bool { return d.Group != key })
		if n < 0 {
			n = len(devices)
		}
		s.Groups = append(s.Groups, newGroup(key, devices[:n:n], differs))
		devices = devices[n:]
	}
	return s
}

func newGroup(key core.Group, devices []Device, differs differ) Group {
	attributes := maps.Clone(devices[0].Attributes)
	if attributes == nil {
		attributes = map[string]core.Value{}
	}
	for _, name := range slices.Sorted(maps.Keys(allAttributes(devices))) {
		shared, ok := attributes[name]
		for _, d := range devices[1:] {
			if !ok {
				break
			}
			shared, ok = merge(shared, d.Attributes[name])
		}
		if ok && shared.Known() {
			attributes[name] = shared
			continue
		}
		delete(attributes, name)
		if differs != nil && len(devices) > 1 {
			differs(key, name)
		}
	}
	healthy := 0
	for _, d := range devices {
		if d.Health.Healthy {
			healthy++
		}
	}
	attributes[HealthyCount] = core.Count(int64(healthy))
	return Group{Group: key, Attributes: attributes, Devices: devices}
}

func allAttributes(devices []Device) map[string]struct{} {
	names := map[string]struct{}{}
	for _, d := range devices {
		for name := range d.Attributes {
			names[name] = struct{}{}
		}
	}
	return names
}

// merge returns the value that holds for both, if there is one.
func merge(a, b core.Value) (core.Value, bool) {
	switch {
	case a == b:
		return a, true
	case a.Kind() != b.Kind() || a.Unit() != b.Unit() || !a.Numeric():
		return core.Value{}, false
	case a.AsFloat() <= b.AsFloat():
		return a, true
	default:
		return b, true
	}
}

// Same returns whether Nomad would see no difference. What only the
// vendor sees, such as Ref, does not count.
func Same(a, b *Snapshot) bool {
	return slices.EqualFunc(a.Groups, b.Groups, func(x, y Group) bool {
		return x.Group == y.Group && maps.Equal(x.Attributes, y.Attributes) &&
			slices.EqualFunc(x.Devices, y.Devices, func(d, e Device) bool {
				return d.ID == e.ID && d.PCI == e.PCI && d.Health == e.Health
			})
	})
}
