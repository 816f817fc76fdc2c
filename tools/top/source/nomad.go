package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/nomad/holders"
	"github.com/nomad-devices/nomad-devices/tools/top"
)

// patience is how long an agent may take to answer what it knows already.
const patience = 10 * time.Second

// Nomad is a node as a Nomad agent knows it: its devices and their health from
// the servers, its statistics from the client, and the holders from its
// allocations.
type Nomad struct {
	// Client talks to the agent.
	Client *api.Client
	// Node is the ID of the node, the first characters of it, or its name; "" is
	// the agent's own.
	Node string
	// Namespace is the one whose holders are told in full; "" and "*" are all.
	Namespace string
}

// Name implements [Source].
func (n *Nomad) Name() string { return "nomad" }

// Run implements [Source].
func (n *Nomad) Run(ctx context.Context, pace *Pace, tell func(top.Report)) {
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		id, err := n.find(ctx)
		if err == nil {
			n.watch(ctx, id, pace, tell)
		}
		if ctx.Err() != nil {
			return
		}
		tell(top.Report{Source: n.Name(), Trouble: fmt.Sprintf("%v\nAsked again in %s.", err, retry)})
		if !pause(ctx, retry) {
			return
		}
	}
}

// find returns the ID of the node that is meant.
func (n *Nomad) find(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if n.Node == "" {
		var self api.AgentSelf
		if _, err := n.Client.Raw().Query("/v1/agent/self", &self, new(api.QueryOptions).WithContext(ctx)); err != nil {
			return "", n.explain("which node is the agent's own", "agent:read", err)
		}
		if id := self.Stats["client"]["node_id"]; id != "" {
			return id, nil
		}
		return "", fmt.Errorf("the agent at %s is no client and has no node: name one with -node", n.Client.Address())
	}
	nodes, _, err := n.Client.Nodes().List(new(api.QueryOptions).WithContext(ctx))
	if err != nil {
		return "", n.explain("the list of nodes", "node:read", err)
	}
	var found []*api.NodeListStub
	for _, node := range nodes {
		if node.ID == n.Node || node.Name == n.Node {
			return node.ID, nil
		}
		if strings.HasPrefix(node.ID, n.Node) {
			found = append(found, node)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no node with the name or ID %q: see nomad node status", n.Node)
	case 1:
		return found[0].ID, nil
	default:
		return "", fmt.Errorf("%d nodes have an ID that begins with %q: give more of it", len(found), n.Node)
	}
}

// watch tells about a node until ctx ends. What the servers know it waits for;
// the statistics it asks for at the pace.
func (n *Nomad) watch(ctx context.Context, id string, pace *Pace, tell func(top.Report)) {
	var asking sync.WaitGroup
	defer asking.Wait()
	nodes := produce(ctx, &asking, func(send func(*api.Node, error) bool) {
		follow(ctx, send, func(q *api.QueryOptions) (*api.Node, *api.QueryMeta, error) {
			node, meta, err := n.Client.Nodes().Info(id, q)
			return node, meta, n.explain("the node", "node:read", err)
		})
	})
	allocs := produce(ctx, &asking, func(send func([]*api.Allocation, error) bool) {
		follow(ctx, send, func(q *api.QueryOptions) ([]*api.Allocation, *api.QueryMeta, error) {
			allocs, meta, err := n.Client.Nodes().Allocations(id, q)
			return allocs, meta, n.explain("the node's allocations", "node:read, and read-job in the namespaces", err)
		})
	})
	stats := produce(ctx, &asking, func(send func(*api.HostStats, error) bool) { n.measure(ctx, id, pace, send) })
	var told nodeState
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-nodes:
			if told.noNode = m.err; m.err == nil {
				told.node = m.value
			}
		case m := <-allocs:
			if told.noHolders = m.err; m.err == nil {
				told.holders, told.held = holders.Of(m.value), true
			}
		case m := <-stats:
			if told.noStats = m.err; m.err == nil {
				told.stats = m.value
			}
		}
		tell(told.report(n))
	}
}

// follow asks again and again for what the servers answer when it has changed.
func follow[V any](ctx context.Context, send func(V, error) bool, ask func(*api.QueryOptions) (V, *api.QueryMeta, error)) {
	index, retry := uint64(0), firstRetry
	for ctx.Err() == nil {
		q := &api.QueryOptions{WaitIndex: index, WaitTime: time.Minute}
		value, meta, err := ask(q.WithContext(ctx))
		if err != nil {
			index = 0
			if !send(value, err) || !pause(ctx, retry) {
				return
			}
			retry = min(2*retry, lastRetry)
			continue
		}
		retry = firstRetry
		if meta.LastIndex == index {
			continue // nothing has changed
		}
		index = max(meta.LastIndex, 1) // 0 would not wait
		if !send(value, nil) {
			return
		}
	}
}

// measure asks the node for its statistics at the pace.
func (n *Nomad) measure(ctx context.Context, id string, pace *Pace, send func(*api.HostStats, error) bool) {
	for ctx.Err() == nil {
		interval, changed := pace.Get()
		asking, cancel := context.WithTimeout(ctx, patience)
		stats, err := n.Client.Nodes().Stats(id, new(api.QueryOptions).WithContext(asking))
		cancel()
		if !send(stats, n.explain("the node's statistics", "node:read", err)) {
			return
		}
		select {
		case <-time.After(interval):
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// explain says what could not be learnt, and what may be done about it.
func (n *Nomad) explain(what, policy string, err error) error {
	if err == nil {
		return nil
	}
	if answer, ok := errors.AsType[api.UnexpectedResponseError](err); ok && answer.HasStatusCode() {
		switch answer.StatusCode() {
		case http.StatusForbidden:
			return fmt.Errorf("Nomad does not tell %s: the token needs %s: -token or NOMAD_TOKEN", what, policy)
		case http.StatusNotFound:
			return fmt.Errorf("Nomad does not know %s: %s", what, strings.TrimSpace(answer.Body()))
		}
		return fmt.Errorf("asking Nomad for %s: %s: %s", what, answer.StatusText(), strings.TrimSpace(answer.Body()))
	}
	return fmt.Errorf("asking the agent at %s for %s: %w", n.Client.Address(), what, err)
}

// nodeState is what an agent has told of a node.
type nodeState struct {
	node    *api.Node
	holders map[holders.Device][]holders.Holder
	held    bool
	stats   *api.HostStats

	noNode, noHolders, noStats error
}

func (s *nodeState) report(n *Nomad) top.Report {
	r := top.Report{Source: n.Name()}
	r.Complete = s.node != nil && s.held && s.stats != nil
	if err := errors.Join(s.noNode, s.noHolders, s.noStats); err != nil {
		r.Trouble = err.Error()
	}
	if s.node == nil {
		return r
	}
	r.Title = fmt.Sprintf("node %s (%s)", s.node.Name, s.node.ID[:min(len(s.node.ID), 8)])
	if s.node.Status != api.NodeStatusReady {
		r.Trouble = strings.TrimPrefix(r.Trouble+"\nthe node is "+s.node.Status, "\n")
	}
	if s.node.NodeResources == nil {
		return r
	}
	for _, g := range s.node.NodeResources.Devices {
		stats := s.statsOf(g)
		_, shared := g.Attributes[share.Replicas]
		for _, one := range g.Instances {
			d := top.Device{
				Vendor: g.Vendor, Type: g.Type, Name: g.Name, ID: one.ID,
				Healthy: one.Healthy, HealthText: one.HealthDescription,
				Shared: shared,
			}
			if one.Locality != nil {
				d.PCI = one.Locality.PciBusID
			}
			if m := stats[one.ID]; m != nil {
				d.Measured = m.Timestamp
				d.Gauges = top.GaugesOf(converted(m.Stats))
				if m.Summary != nil {
					d.Summary = new(structs.StatValue(*m.Summary))
				}
			}
			for _, h := range s.holders[holders.Device{Vendor: g.Vendor, Type: g.Type, Name: g.Name, ID: one.ID}] {
				d.Holders = append(d.Holders, n.named(one.ID, h))
			}
			r.Devices = append(r.Devices, d)
		}
	}
	return r
}

// named tells of a holder what was asked for.
func (n *Nomad) named(id string, h holders.Holder) top.Holder {
	if n.Namespace == "" || n.Namespace == "*" || n.Namespace == h.Namespace {
		return top.Holder{Device: id, Holder: h}
	}
	return top.Holder{Device: id, Holder: holders.Holder{Namespace: h.Namespace, Status: h.Status}, Foreign: true}
}

// statsOf finds the statistics of a group's devices.
func (s *nodeState) statsOf(g *api.NodeDeviceResource) map[string]*api.DeviceStats {
	if s.stats == nil {
		return nil
	}
	for _, stats := range s.stats.DeviceStats {
		if stats.Vendor == g.Vendor && stats.Type == g.Type && stats.Name == g.Name {
			return stats.InstanceStats
		}
	}
	return nil
}

// converted is what came over the API as a plugin would have told it.
func converted(s *api.StatObject) *structs.StatObject {
	if s == nil {
		return nil
	}
	all := &structs.StatObject{Nested: map[string]*structs.StatObject{}, Attributes: map[string]*structs.StatValue{}}
	for name, nested := range s.Nested {
		all.Nested[name] = converted(nested)
	}
	for name, value := range s.Attributes {
		if value != nil {
			all.Attributes[name] = new(structs.StatValue(*value))
		}
	}
	return all
}
