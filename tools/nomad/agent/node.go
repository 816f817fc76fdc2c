package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Node returns the agent's node as the server knows it.
func (a *Agent) Node(ctx context.Context) (*api.Node, error) {
	nodes, _, err := a.state.Nodes().List(query(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for the node: %w", err)
	}
	name := a.config.Name
	at := slices.IndexFunc(nodes, func(n *api.NodeListStub) bool { return name == "" || n.Name == name })
	if at < 0 {
		return nil, errors.New("there is no node yet")
	}
	node, _, err := a.state.Nodes().Info(nodes[at].ID, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for the node: %w", err)
	}
	return node, nil
}

// Devices returns the node's device groups as the scheduler sees them.
func (a *Agent) Devices(ctx context.Context) ([]*api.NodeDeviceResource, error) {
	node, err := a.Node(ctx)
	if err != nil {
		return nil, err
	}
	if node.NodeResources == nil {
		return nil, nil
	}
	return node.NodeResources.Devices, nil
}

// WaitDevices waits until the node's device groups are as ok wants them, and
// returns them. what completes "waiting for …".
func (a *Agent) WaitDevices(ctx context.Context, what string, ok func([]*api.NodeDeviceResource) bool) ([]*api.NodeDeviceResource, error) {
	var groups []*api.NodeDeviceResource
	err := poll(ctx, what, func(ctx context.Context) (string, bool, error) {
		var err error
		groups, err = a.Devices(ctx)
		if err != nil {
			return err.Error(), false, nil // an agent that restarts does not answer
		}
		return describe(groups), ok(groups), nil
	})
	return groups, err
}

func describe(groups []*api.NodeDeviceResource) string {
	if len(groups) == 0 {
		return "the node has no devices"
	}
	texts := make([]string, len(groups))
	for i, g := range groups {
		texts[i] = fmt.Sprintf("%s/%s/%s: %d of %d healthy", g.Vendor, g.Type, g.Name, len(Healthy(g)), len(g.Instances))
	}
	return "the node has " + strings.Join(texts, ", ")
}

// Healthy returns the IDs of a group's healthy instances.
func Healthy(group *api.NodeDeviceResource) []string {
	var ids []string
	for _, instance := range group.Instances {
		if instance.Healthy {
			ids = append(ids, instance.ID)
		}
	}
	return ids
}

// Instance finds a device of the node by its ID, or returns nil.
func Instance(groups []*api.NodeDeviceResource, id string) *api.NodeDevice {
	for _, group := range groups {
		for _, instance := range group.Instances {
			if instance.ID == id {
				return instance
			}
		}
	}
	return nil
}

// Stats returns the statistics of the node's devices, as the client has them.
func (a *Agent) Stats(ctx context.Context) ([]*api.DeviceGroupStats, error) {
	node, err := a.Node(ctx)
	if err != nil {
		return nil, err
	}
	stats, err := a.client.Nodes().Stats(node.ID, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking for the node's statistics: %w", err)
	}
	return stats.DeviceStats, nil
}
