package demo

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
)

// check compares what a task got with what the plugin promises.
func (s *stage) check(ctx context.Context, spec agent.Spec, group string, given []string, r report.Report) error {
	if len(given) != max(spec.Devices[0].Count, 1) {
		return fmt.Errorf("it was given %d devices", len(given))
	}
	groups, err := s.agent.Devices(ctx)
	if err != nil {
		return err
	}
	var vendor, kind string
	for _, id := range given {
		g := groupOf(groups, id)
		if g == nil || g.Name != group {
			return fmt.Errorf("%s is not a %q, which it asked for", id, group)
		}
		vendor, kind = g.Vendor, g.Type
	}
	if kind == "fpga" {
		if err := s.checkFPGAs(given, r); err != nil {
			return err
		}
	} else if value, set := r.Env[visible[vendor]]; set {
		ids := strings.Split(value, ",")
		slices.Sort(ids)
		if !slices.Equal(ids, given) {
			return fmt.Errorf("%s is %q, and it was given %s", visible[vendor], value, strings.Join(given, ","))
		}
	} else if group != mi300xCPX { // of parts of a GPU only the nodes tell
		return fmt.Errorf("%s is not set", visible[vendor])
	}
	if spec.Driver == "raw_exec" {
		return nil
	}
	want, err := s.nodesOf(given)
	if err != nil {
		return err
	}
	for _, node := range want {
		at := slices.IndexFunc(r.Nodes, func(n report.Node) bool { return n.Path == node })
		if at < 0 {
			return fmt.Errorf("%s is missing in the task", node)
		}
		if !r.Nodes[at].Allowed {
			return fmt.Errorf("the task cannot open %s: %s", node, r.Nodes[at].Error)
		}
	}
	for _, node := range r.Nodes {
		if ofOneDevice.MatchString(node.Path) && !slices.Contains(want, node.Path) {
			return fmt.Errorf("the task also sees %s, which it was not given", node.Path)
		}
	}
	return nil
}

// visible are the variables that name a task's devices to the vendors' software.
var visible = map[string]string{"nvidia": "CUDA_VISIBLE_DEVICES", "amd": "ROCR_VISIBLE_DEVICES"}

// ofOneDevice matches the nodes that a task must see of its own devices alone, and
// those by which an FPGA card is managed, which are nobody's.
var ofOneDevice = regexp.MustCompile(`^/dev/(nvidia\d+$|dri/renderD|dfl-|xclmgmt|xfpga/)`)

// nodesOf returns the nodes that a task with these devices cannot do without.
func (s *stage) nodesOf(ids []string) ([]string, error) {
	var nodes []string
	gpus, err := s.machine.GPUs()
	if err != nil {
		return nil, err
	}
	cards, err := s.amd.Cards()
	if err != nil {
		return nil, err
	}
	fpgas, err := s.fpga.Cards()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		for _, c := range slices.Concat(cards, fpgas) {
			nodes = append(nodes, c.Nodes[id]...)
		}
		n, err := s.machine.Find(id)
		if err != nil {
			continue // it is not NVIDIA's
		}
		nodes = append(nodes, "/dev/nvidiactl", "/dev/nvidia-uvm")
		for _, gpu := range gpus {
			if gpu.Number == n {
				nodes = append(nodes, fmt.Sprintf("/dev/nvidia%d", gpu.Minor))
			}
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes), nil
}
