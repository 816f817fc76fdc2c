package conformance_test

import (
	"fmt"
	"math"
	"strings"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

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
