package agent

import (
	"context"
	"errors"
	"sync"

	"github.com/nomad-devices/nomad-devices/tools/nomad/rpcmeter"
)

// Cluster is a server and the nodes that it places work on, all on the loopback
// device. What the nodes ask of the server is counted.
type Cluster struct {
	// Server is the agent to hand jobs to.
	Server *Agent
	// Nodes are in the order of their configurations.
	Nodes []*Agent

	meter *rpcmeter.Meter
}

// StartCluster starts a server, and then the nodes side by side, and waits until
// all are ready. Each node needs a name of its own.
func StartCluster(ctx context.Context, server Config, nodes ...Config) (*Cluster, error) {
	meter, err := rpcmeter.Listen()
	if err != nil {
		return nil, err
	}
	c := &Cluster{meter: meter, Nodes: make([]*Agent, len(nodes))}
	server.Role, server.AdvertiseRPC = ServerOnly, meter.Address()
	if c.Server, err = Start(ctx, server); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	meter.Forward(c.Server.RPCAddress())
	var starting sync.WaitGroup
	errs := make([]error, len(nodes))
	for i, config := range nodes {
		config.Role, config.Servers = ClientOnly, []string{meter.Address()}
		starting.Go(func() { c.Nodes[i], errs[i] = start(ctx, config, c.Server.client) })
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Requests returns what the nodes have asked of the server, in order.
func (c *Cluster) Requests() []rpcmeter.Request { return c.meter.Requests() }

// Close stops all jobs, the nodes and the server, and removes their directories.
func (c *Cluster) Close() error {
	if c.Server != nil {
		c.Server.stopJobs() // while there are nodes to do it
	}
	var stopping sync.WaitGroup
	errs := make([]error, len(c.Nodes))
	for i, node := range c.Nodes {
		if node != nil {
			stopping.Go(func() { errs[i] = node.Close() })
		}
	}
	stopping.Wait()
	if c.Server != nil {
		errs = append(errs, c.Server.Close())
	}
	return errors.Join(append(errs, c.meter.Close())...)
}
