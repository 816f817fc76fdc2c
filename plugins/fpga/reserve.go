package fpga

import (
	"context"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Grant says what a task needs to use a device: the family's nodes, those that
// the operator's configuration adds, and a variable that names them. All of it
// passes [family.Check].
func (v *Vendor) Grant(ctx context.Context, d core.Device) (core.Grant, error) {
	instance, err := instanceOf(d)
	if err != nil {
		return core.Grant{}, err
	}
	g, err := instance.Grant(ctx)
	if err != nil {
		return core.Grant{}, err
	}
	for _, node := range v.nodes[d.ID] {
		g.Nodes = append(g.Nodes, core.Node{Path: node, Permissions: "rw"})
	}
	if err := family.Check(v.host, g); err != nil {
		return core.Grant{}, err
	}
	for _, n := range g.Nodes {
		if slices.Contains(g.Exceptions, n.Path) {
			v.log.Warn("the configuration hands a management node to a task, which can then "+family.Danger(n.Path), "device", d.ID, "node", n.Path)
		}
	}
	name := family.Variable(d.ID)
	if _, set := g.Env[name]; !set {
		if g.Env == nil {
			g.Env = map[string]string{}
		}
		g.Env[name] = value(d, g.Nodes)
	}
	return g.Grant, nil
}

// value returns what the variable of a device holds: its nodes, or the ID of one
// that has none.
func value(d core.Device, nodes []core.Node) string {
	if len(nodes) == 0 {
		return d.ID
	}
	paths := make([]string, len(nodes))
	for i, n := range nodes {
		paths[i] = n.Path
	}
	return strings.Join(paths, ",")
}
