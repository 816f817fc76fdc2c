package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// bigGPU asks for a GPU as a training job would: only the H100 will do.
func bigGPU(count int) agent.Request {
	return agent.Request{Device: "nvidia/gpu", Count: count, Constraints: []agent.Constraint{
		{Attribute: "memory", Operator: ">=", Value: "40 GiB"},
		{Attribute: "compute_capability", Operator: "version", Value: ">= 9.0"},
	}}
}

func (s *stage) showNode(ctx context.Context) error {
	s.say.act("What Nomad's scheduler sees")
	want := map[string]int{rig.H100: 2, rig.T4: 1, sharedT4: sharedParts, rig.MIG: 2, mi300x: 2, mi300xCPX: 8, mi210: 2, n6001: 1, d5005NLB0: 1, d5005NLB3: 1, u250: 1, v70: 1}
	groups, err := s.wait(ctx, "the simulated devices on the node", func(groups []*api.NodeDeviceResource) bool {
		got := map[string]int{}
		for _, g := range groups {
			got[g.Name] = len(agent.Healthy(g))
		}
		return maps.Equal(want, got)
	})
	if err != nil {
		return err
	}
	s.showDevices(groups, "memory", "compute_capability", "gfx_target", "compute_units")
	return nil
}

// shown is how many lines a group of healthy devices takes at most.
const shown = 3

// showDevices writes one line per device, with some of its group's attributes.
func (s *stage) showDevices(groups []*api.NodeDeviceResource, attributes ...string) {
	rows := [][]string{append([]string{"GROUP", "DEVICE", "HEALTH"}, attributes...)}
	for i := range attributes {
		rows[0][3+i] = strings.ToUpper(strings.ReplaceAll(attributes[i], "_", " "))
	}
	var reasons []string
	for _, g := range groups {
		name := g.Vendor + "/" + g.Type + "/" + g.Name
		for i, instance := range g.Instances {
			if rest := len(g.Instances) - i; i == shown-1 && rest > 1 && len(agent.Healthy(g)) == len(g.Instances) {
				more := []string{"", fmt.Sprintf("and %d more", rest), "healthy"}
				rows = append(rows, append(more, make([]string, len(attributes))...)) // columns end where a row does
				break
			}
			health := "healthy"
			if !instance.Healthy {
				health = "UNHEALTHY"
				reasons = append(reasons, short(instance.ID)+": "+instance.HealthDescription)
			}
			row := []string{name, short(instance.ID), health}
			for _, key := range attributes {
				value := "-"
				if a := g.Attributes[key]; a != nil {
					value = a.String()
				}
				row = append(row, value)
			}
			rows = append(rows, row)
			name = ""
		}
	}
	s.say.table(rows...)
	for _, reason := range reasons {
		s.say.line("%s", reason)
	}
}

// runJobs runs a batch job per driver and one that no GPU can serve.
func (s *stage) runJobs(ctx context.Context) error {
	s.say.act("Jobs ask for devices by their attributes, and write down what they get")
	turing := agent.Request{Device: "nvidia/gpu", Constraints: []agent.Constraint{{Attribute: "architecture", Value: "turing"}}}
	slice := agent.Request{Device: "nvidia/mig", Constraints: []agent.Constraint{{Attribute: "mig_profile", Value: "3g.40gb"}}}
	huge := agent.Request{Device: "gpu", Constraints: []agent.Constraint{{Attribute: "memory", Operator: ">=", Value: "150 GiB"}}}
	parts := agent.Request{Device: "amd/gpu-partition", Count: 2}
	port := agent.Request{Device: "fpga", Constraints: []agent.Constraint{{Attribute: "afu_uuid", Value: nlb3}}}
	alveo := agent.Request{Device: "amd/fpga", Constraints: []agent.Constraint{{Attribute: "board", Value: "u250"}}}
	jobs := []struct {
		spec  agent.Spec
		group string
	}{
		{s.binaries.Task("training", "raw_exec", false, bigGPU(1)), rig.H100},
		{s.binaries.Task("training-pair", "exec", false, bigGPU(2)), rig.H100},
		{s.binaries.Task("inference", "exec", false, turing), rig.T4},
		{s.binaries.Task("notebook", "exec", false, slice), rig.MIG},
		{s.binaries.Task("huge-model", "exec", false, huge), mi300x},
		{s.binaries.Task("small-models", "exec", false, parts), mi300xCPX},
		{s.binaries.Task("loopback", "exec", false, port), d5005NLB3},
		{s.binaries.Task("transcoder", "exec", false, alveo), u250},
	}
	if s.docker != nil {
		spec := s.binaries.Task("container", "docker", false, bigGPU(1))
		spec.Image = image
		jobs = append(jobs, struct {
			spec  agent.Spec
			group string
		}{spec, rig.H100})
	}
	for _, j := range jobs {
		given, r, err := s.runJob(ctx, j.spec)
		if err != nil {
			return err
		}
		s.showJob(j.spec, given, r)
		if err := s.check(ctx, j.spec, j.group, given, r); err != nil {
			return fmt.Errorf("job %s: %w", j.spec.Name, err)
		}
	}

	tooBig := s.binaries.Task("too-big", "raw_exec", false, agent.Request{
		Device: "nvidia/gpu", Constraints: []agent.Constraint{{Attribute: "memory", Operator: ">=", Value: "200 GiB"}},
	})
	job, err := s.agent.Submit(ctx, tooBig)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	why, err := job.WaitBlocked(limited)
	if err != nil {
		return err
	}
	s.say.blank()
	s.say.line("%s (%s) asks for %s", tooBig.Name, tooBig.Driver, wishes(tooBig))
	s.say.line("  is not placed, as it should be: %s", why)
	return job.Stop(limited)
}

// runJob runs a job to its end.
func (s *stage) runJob(ctx context.Context, spec agent.Spec) ([]string, report.Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it takes too long"))
	defer cancel()
	job, err := s.agent.Submit(ctx, spec)
	if err != nil {
		return nil, report.Report{}, err
	}
	alloc, err := job.Wait(ctx, api.AllocClientStatusComplete)
	if err != nil {
		return nil, report.Report{}, err
	}
	r, err := s.agent.Report(ctx, alloc)
	return agent.Given(alloc), r, err
}

func (s *stage) showJob(spec agent.Spec, given []string, r report.Report) {
	s.say.blank()
	s.say.line("%s (%s) asks for %s", spec.Name, spec.Driver, wishes(spec))
	s.say.line("  was given    %s", shortList(given))
	single := 0
	for _, key := range slices.Sorted(maps.Keys(r.Env)) {
		if strings.HasPrefix(key, "NVIDIA_DEVICE_") || strings.HasPrefix(key, "AMD_GPU_") {
			single++
			continue
		}
		s.say.line("  sees         %s=%s", key, shortList(strings.Split(r.Env[key], ",")))
	}
	if single > 0 {
		s.say.line("               and %d of one device each", single)
	}
	if len(r.Nodes) == 0 {
		s.say.line("  sees in /dev what the host has there, since %s does not isolate: no such device", spec.Driver)
		return
	}
	var nodes []string
	for _, node := range r.Nodes {
		nodes = append(nodes, strings.TrimPrefix(node.Path, "/dev/"))
	}
	s.say.line("  sees in /dev %s", strings.Join(nodes, ", "))
}

// breakGPU breaks the first H100.
func (s *stage) breakGPU(ctx context.Context) error {
	id, _, err := s.h100s()
	if err != nil {
		return err
	}
	s.say.act("An H100 falls off the bus (XID 79)")
	begun := time.Now()
	if err := s.machine.Break(rig.H100GPUs[0], "xid79"); err != nil {
		return err
	}
	groups, err := s.wait(ctx, "the broken GPU to be unhealthy", func(groups []*api.NodeDeviceResource) bool {
		instance := agent.Instance(groups, id)
		return instance != nil && !instance.Healthy
	})
	if err != nil {
		return err
	}
	s.say.line("After %s the scheduler sees:", waited(begun))
	s.showDevices(only(groups, rig.H100), "healthy_count")
	if text := agent.Instance(groups, id).HealthDescription; !strings.Contains(text, "79") {
		return fmt.Errorf("the reason does not name XID 79: %q", text)
	}
	return nil
}

// runBeside runs a job beside the broken GPU.
func (s *stage) runBeside(ctx context.Context) error {
	_, whole, err := s.h100s()
	if err != nil {
		return err
	}
	s.say.act("The next jobs go elsewhere")
	for i := range 3 {
		spec := s.binaries.Task(fmt.Sprintf("next-%d", i+1), "raw_exec", false, bigGPU(1))
		given, r, err := s.runJob(ctx, spec)
		if err != nil {
			return err
		}
		s.say.line("%s was given %s", spec.Name, shortList(given))
		if !slices.Equal(given, []string{whole}) || r.Env["CUDA_VISIBLE_DEVICES"] != whole {
			return fmt.Errorf("job %s got %s, and only %s is whole", spec.Name, strings.Join(given, ","), whole)
		}
	}
	return nil
}

// mendGPU mends the broken GPU while a job waits for it.
func (s *stage) mendGPU(ctx context.Context) error {
	broken, whole, err := s.h100s()
	if err != nil {
		return err
	}
	s.say.act("The H100 is mended, and a job that waited for it starts by itself")
	limited, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it takes too long"))
	defer cancel()
	spec := s.binaries.Task("pair", "exec", false, bigGPU(2))
	job, err := s.agent.Submit(limited, spec)
	if err != nil {
		return err
	}
	why, err := job.WaitBlocked(limited)
	if err != nil {
		return err
	}
	s.say.line("%s asks for %s and waits: %s", spec.Name, wishes(spec), why)

	begun := time.Now()
	if err := s.machine.Repair(rig.H100GPUs[0]); err != nil {
		return err
	}
	groups, err := s.wait(ctx, "the mended GPU to be healthy", func(groups []*api.NodeDeviceResource) bool {
		instance := agent.Instance(groups, broken)
		return instance != nil && instance.Healthy
	})
	if err != nil {
		return err
	}
	s.say.line("Mended. After %s the scheduler sees:", waited(begun))
	s.showDevices(only(groups, rig.H100), "healthy_count")
	alloc, err := job.Wait(limited, api.AllocClientStatusComplete)
	if err != nil {
		return err
	}
	s.say.line("%s after the repair %s has run on %s", waited(begun), spec.Name, shortList(agent.Given(alloc)))
	want := []string{broken, whole}
	slices.Sort(want)
	if given := agent.Given(alloc); !slices.Equal(given, want) {
		return fmt.Errorf("job %s got %s, not both H100", spec.Name, strings.Join(given, ","))
	}
	return nil
}

// h100s returns the IDs of the two whole H100: the one that breaks, and the
// other.
func (s *stage) h100s() (breaks, stays string, err error) {
	gpus, err := s.machine.GPUs()
	if err != nil {
		return "", "", err
	}
	for _, gpu := range gpus {
		switch gpu.Number {
		case rig.H100GPUs[0]:
			breaks = gpu.UUID
		case rig.H100GPUs[1]:
			stays = gpu.UUID
		}
	}
	return breaks, stays, nil
}

func (s *stage) wait(ctx context.Context, what string, ok func([]*api.NodeDeviceResource) bool) ([]*api.NodeDeviceResource, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it takes too long"))
	defer cancel()
	return s.agent.WaitDevices(ctx, what, ok)
}

// wishes says what a job asks for.
func wishes(spec agent.Spec) string {
	var texts []string
	for _, r := range spec.Devices {
		text := fmt.Sprintf("%d %s", max(r.Count, 1), r.Device)
		var with []string
		for _, c := range r.Constraints {
			with = append(with, c.String())
		}
		if len(with) > 0 {
			text += " with " + strings.Join(with, " and ")
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func only(groups []*api.NodeDeviceResource, name string) []*api.NodeDeviceResource {
	return slices.DeleteFunc(slices.Clone(groups), func(g *api.NodeDeviceResource) bool { return g.Name != name })
}

// groupOf returns the group of a device, or nil.
func groupOf(groups []*api.NodeDeviceResource, id string) *api.NodeDeviceResource {
	for _, g := range groups {
		if slices.ContainsFunc(g.Instances, func(i *api.NodeDevice) bool { return i.ID == id }) {
			return g
		}
	}
	return nil
}

// short keeps enough of a UUID for people to tell devices apart, and what names a
// part of one.
func short(id string) string {
	if device, ok := share.CutID(id); ok {
		return short(device) + strings.TrimPrefix(id, device)
	}
	if device, part, ok := strings.Cut(id, "/"); ok {
		return short(device) + "/" + part
	}
	if len(id) > 12 {
		return id[:12] + "…"
	}
	return id
}

func shortList(ids []string) string {
	var all []string
	for _, id := range ids {
		all = append(all, short(id))
	}
	return strings.Join(all, ", ")
}
