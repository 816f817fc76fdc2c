package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

func attributeNames(g *api.NodeDeviceResource) []string {
	return slices.Sorted(maps.Keys(g.Attributes))
}

func attributesOf(g *api.NodeDeviceResource) string {
	if len(g.Attributes) == 0 {
		return "none"
	}
	return strings.Join(attributeNames(g), ", ")
}

// affinities says which affinities hold on none of the groups.
func (p *placement) affinities(about string, groups []*api.NodeDeviceResource, affinities []*api.Affinity) {
	for _, a := range affinities {
		c := constraint{a.LTarget, a.Operand, a.RTarget}
		var details []string
		met := false
		for _, g := range groups {
			v := c.on(g)
			met = met || v.outcome == holds
			details = append(details, v.String())
		}
		if !met {
			p.report.find(affinityUnmet, about, values{"affinity": fmt.Sprintf("%s %s %s", c.left, c.operator, c.right)}, details...)
		}
	}
}

// count finds devices for a request among groups that fit it. A request is
// served by one group alone.
func (p *placement) count(about string, groups []*api.NodeDeviceResource, constraints []constraint, count int) []string {
	total, healthy, most, mostHealthy := 0, 0, 0, 0
	var held, rows []string
	for _, g := range groups {
		var well, free []string
		for _, d := range g.Instances {
			total++
			if !d.Healthy || !idFits(d.ID, constraints, g) {
				continue
			}
			well = append(well, d.ID)
			if holder := p.holders[d.ID]; holder != "" {
				held = append(held, d.ID+": "+holder)
			} else if !p.own[d.ID] {
				free = append(free, d.ID)
			}
		}
		healthy += len(well)
		most, mostHealthy = max(most, len(free)), max(mostHealthy, len(well))
		rows = append(rows, fmt.Sprintf("%s: %d of %d healthy, %d free", groupName(g), len(well), len(g.Instances), len(free)))
		if len(free) >= count {
			for _, id := range free[:count] {
				p.own[id] = true
			}
			p.placed = append(p.placed, fmt.Sprintf("%s: %d of %s", about, count, groupName(g)))
			return free[:count]
		}
	}
	v := values{
		"count": fmt.Sprint(count), "most": fmt.Sprint(most), "healthy": fmt.Sprint(healthy), "total": fmt.Sprint(total),
		"mosthealthy": fmt.Sprint(mostHealthy),
	}
	switch {
	case mostHealthy >= count && len(held) > 0:
		slices.Sort(held)
		p.report.find(devicesTaken, about, v, append(rows, held...)...)
	case mostHealthy >= count:
		p.report.find(requestsCompete, about, v, rows...)
	case healthy >= count:
		p.report.find(countSplit, about, v, rows...)
	default:
		p.report.find(countUnmet, about, v, rows...)
	}
	return nil
}

// idFits narrows the instances of a group to those that constraints on
// ${device.ids} mean (scheduler/feasible, deviceIDMatchesConstraint).
func idFits(id string, constraints []constraint, g *api.NodeDeviceResource) bool {
	for _, c := range constraints {
		wanted := c.right
		switch "${device.ids}" {
		case c.left:
		case c.right:
			wanted = c.left
		default:
			continue
		}
		left, found := resolve(wanted, g)
		if !found || compare(left, c.operator, structs.NewStringAttribute(id)) != holds {
			return false
		}
	}
	return true
}
