package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// askTimeout bounds the questions to the agent. One that does not answer is down
// for all that matters here.
const askTimeout = 20 * time.Second

// ask asks the running agent for its configuration and its node.
func (x *examination) ask(ctx context.Context) {
	if x.Nomad == nil {
		return
	}
	subject := x.Nomad.Address()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	query := new(api.QueryOptions).WithContext(ctx)
	// Agent().Self() asks the same, and cannot be interrupted.
	var self api.AgentSelf
	_, err := x.Nomad.Raw().Query("/v1/agent/self", &self, query)
	if err != nil {
		x.report.find(agentUnreachable, subject, values{"error": plainAPIError(err), "address": subject})
		return
	}
	config, err := configOf(self.Config)
	if err != nil {
		x.report.find(agentUnreachable, subject, values{"error": err.Error(), "address": subject})
		return
	}
	x.running = &config
	id := self.Stats["client"]["node_id"]
	if x.Node != "" {
		if id, err = x.nodeID(query); err != nil {
			x.report.find(agentUnreachable, "node "+x.Node, values{"error": plainAPIError(err), "address": subject})
			return
		}
	}
	if id == "" {
		x.report.find(agentNoNode, subject, values{"node": x.Node})
		return
	}
	node, _, err := x.Nomad.Nodes().Info(id, query)
	if err != nil {
		x.report.find(agentUnreachable, "node "+id, values{"error": plainAPIError(err), "address": subject})
		return
	}
	x.node = node
}

// nodeID finds the node that was named, by its name or the beginning of its ID;
// "" means that there is none.
func (x *examination) nodeID(query *api.QueryOptions) (string, error) {
	nodes, _, err := x.Nomad.Nodes().List(query)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.Name == x.Node || strings.HasPrefix(n.ID, x.Node) {
			return n.ID, nil
		}
	}
	return "", nil
}

// plainAPIError takes the HTTP request off an error of Nomad's API.
func plainAPIError(err error) string { return strings.TrimSpace(err.Error()) }

// agent compares what the agent's node has with what the plugins offer.
func (x *examination) agent() {
	if x.node == nil {
		return
	}
	n := x.node
	subject := "node " + n.Name
	v := values{"node": shortID(n.ID), "status": n.Status}
	switch {
	case n.Status != api.NodeStatusReady:
		x.report.find(nodeNotReady, subject, v)
	case n.Drain:
		x.report.find(nodeDraining, subject, v)
	case n.SchedulingEligibility == api.NodeSchedulingIneligible:
		x.report.find(nodeIneligible, subject, v)
	}
	stale := x.stale()
	var groups []*api.NodeDeviceResource
	if n.NodeResources != nil {
		groups = n.NodeResources.Devices
	}
	agree := !stale
	offered := map[string]bool{}
	answered := 0
	for _, c := range x.candidates {
		if !c.answered {
			continue
		}
		answered++
		for _, g := range apiGroups(c.groups) {
			offered[groupName(g)] = true
			i := slices.IndexFunc(groups, func(o *api.NodeDeviceResource) bool { return groupName(o) == groupName(g) })
			if i < 0 {
				agree = false
				x.report.find(agentLacksGroup, groupName(g), values{"node": n.Name, "name": c.name})
				continue
			}
			agree = x.compareInstances(g, groups[i]) && agree
		}
	}
	for _, g := range groups {
		if len(x.Plugins) == 0 && answered > 0 && !offered[groupName(g)] {
			agree = false
			x.report.find(agentOtherGroup, groupName(g), values{"node": n.Name})
		}
	}
	if agree && answered > 0 {
		x.report.find(agentAgrees, subject, values{"version": n.Attributes["nomad.version"], "count": plural(len(groups), "group")})
	}
}

// compareInstances compares one group as the plugin offers it with the node's.
func (x *examination) compareInstances(offered, listed *api.NodeDeviceResource) bool {
	var differ []string
	for _, d := range offered.Instances {
		i := slices.IndexFunc(listed.Instances, func(o *api.NodeDevice) bool { return o.ID == d.ID })
		switch {
		case i < 0:
			differ = append(differ, d.ID+": the node does not have it")
		case listed.Instances[i].Healthy != d.Healthy:
			differ = append(differ, fmt.Sprintf("%s: %s for the plugin, %s for the node", d.ID,
				healthWord(d.Healthy, d.HealthDescription), healthWord(listed.Instances[i].Healthy, listed.Instances[i].HealthDescription)))
		}
	}
	for _, d := range listed.Instances {
		if !slices.ContainsFunc(offered.Instances, func(o *api.NodeDevice) bool { return o.ID == d.ID }) {
			differ = append(differ, d.ID+": the plugin does not offer it")
		}
	}
	if len(differ) > 0 {
		x.report.find(agentDiffers, groupName(offered), nil, differ...)
	}
	return len(differ) == 0
}

func healthWord(healthy bool, reason string) string {
	switch {
	case healthy:
		return "healthy"
	case reason == "":
		return "unhealthy"
	default:
		return fmt.Sprintf("unhealthy (%s)", reason)
	}
}

// stale compares the files of the configuration with what the agent runs with:
// Nomad reads plugin blocks when it starts.
func (x *examination) stale() bool {
	if x.running == nil || len(x.AgentConfig) == 0 || !x.config.known {
		return false
	}
	stale := false
	say := func(subject, what string) {
		stale = true
		x.report.find(agentStale, subject, values{"difference": what})
	}
	if x.running.pluginDir != x.config.pluginDir {
		say("plugin_dir", fmt.Sprintf("it is %q in the files and %q in the agent", x.config.pluginDir, x.running.pluginDir))
	}
	for _, c := range x.candidates {
		written := x.config.block(c.name)
		if written == nil {
			continue
		}
		subject := fmt.Sprintf("plugin %q", c.name)
		running := x.running.block(c.name)
		switch {
		case running == nil:
			say(subject, "the agent does not have the block")
		case asJSON(written.config) != asJSON(running.config) || !slices.Equal(written.args, running.args):
			say(subject, "the agent has the block with other settings")
		}
	}
	return stale
}

// asJSON is a configuration in a form in which two can be compared.
func asJSON(config map[string]any) string {
	if len(config) == 0 {
		return "{}"
	}
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Sprint(config)
	}
	return string(text)
}

func shortID(id string) string { return id[:min(8, len(id))] }
