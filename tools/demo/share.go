package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// sharedAddress is the address of the T4 that is shared, and sharedParts as how many it
// is offered.
const (
	sharedAddress = "0000:61:00.0"
	sharedParts   = 4
)

// sharedT4 is the name under which it is offered.
const sharedT4 = rig.T4 + "-shared"

// shareSettings make the plugin share it.
func shareSettings() string {
	return fmt.Sprintf("share {\n  devices = [%q]\n  replicas = %d\n  name_suffix = \"-shared\"\n}", sharedAddress, sharedParts)
}

// shareGPU runs as many jobs on the shared GPU as it has parts, at the same time.
func (s *stage) shareGPU(ctx context.Context) error {
	s.say.act("Four jobs on one GPU at the same time")
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it takes too long"))
	defer cancel()
	gpus, err := s.machine.GPUs()
	if err != nil {
		return err
	}
	var gpu string
	for _, g := range gpus {
		if g.BusID == sharedAddress {
			gpu = g.UUID
		}
	}
	var held []string
	var jobs []*agent.Job
	for i := range sharedParts {
		spec := s.binaries.Task(fmt.Sprintf("part-%d", i+1), "exec", true, agent.Request{Device: "nvidia/gpu-share"})
		job, err := s.agent.Submit(ctx, spec)
		if err != nil {
			return err
		}
		jobs = append(jobs, job)
		alloc, err := job.Wait(ctx, api.AllocClientStatusRunning)
		if err != nil {
			return err
		}
		r, err := s.agent.Report(ctx, alloc)
		if err != nil {
			return err
		}
		given := agent.Given(alloc)
		s.say.line("%s was given %s and sees CUDA_VISIBLE_DEVICES=%s", spec.Name, shortList(given), short(r.Env["CUDA_VISIBLE_DEVICES"]))
		if len(given) != 1 || r.Env["CUDA_VISIBLE_DEVICES"] != gpu {
			return fmt.Errorf("job %s got %v and sees %q, not a part of %s", spec.Name, given, r.Env["CUDA_VISIBLE_DEVICES"], gpu)
		}
		held = append(held, given...)
	}
	slices.Sort(held)
	for i, id := range held {
		if id != share.PartID(gpu, i+1) {
			return fmt.Errorf("the jobs hold %v, not each a part of its own", held)
		}
	}
	for _, job := range jobs {
		if err := job.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}
