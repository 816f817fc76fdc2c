package doctor

import (
	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// apiGroups gives a plugin's groups the form that a node has them in.
func apiGroups(groups []*device.DeviceGroup) []*api.NodeDeviceResource {
	all := make([]*api.NodeDeviceResource, len(groups))
	for i, g := range groups {
		n := &api.NodeDeviceResource{Vendor: g.Vendor, Type: g.Type, Name: g.Name, Attributes: map[string]*api.Attribute{}}
		for key, a := range g.Attributes {
			if a != nil {
				n.Attributes[key] = &api.Attribute{FloatVal: a.Float, IntVal: a.Int, StringVal: a.String, BoolVal: a.Bool, Unit: a.Unit}
			}
		}
		for _, d := range g.Devices {
			n.Instances = append(n.Instances, &api.NodeDevice{ID: d.ID, Healthy: d.Healthy, HealthDescription: d.HealthDesc})
		}
		all[i] = n
	}
	return all
}

// comparable is an attribute in the form that Nomad's scheduler compares.
func comparable(a *api.Attribute) *structs.Attribute {
	if a == nil {
		return nil
	}
	return &structs.Attribute{Float: a.FloatVal, Int: a.IntVal, String: a.StringVal, Bool: a.BoolVal, Unit: a.Unit}
}

func groupName(g *api.NodeDeviceResource) string { return g.Vendor + "/" + g.Type + "/" + g.Name }
