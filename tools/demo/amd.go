package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// The device groups of AMD's machine.
const (
	mi300x    = "AMD Instinct MI300X"
	mi300xCPX = "AMD Instinct MI300X CPX-NPS1"
	mi210     = "AMD Instinct MI210"
)

// brokenMI300X is the number of the MI300X whose memory fails.
const brokenMI300X = 0

// breakMemory lets memory of an MI300X fail, runs a job beside it, and resets it.
func (s *stage) breakMemory(ctx context.Context) error {
	cards, err := s.amd.Cards()
	if err != nil {
		return err
	}
	broken, whole := cards[brokenMI300X].Devices[0], cards[brokenMI300X+1].Devices[0]
	s.say.act("Memory of an MI300X fails; the H100s do not notice")
	begun := time.Now()
	if err := s.amd.Break(brokenMI300X, "ecc-ue"); err != nil {
		return err
	}
	groups, err := s.waitHealth(ctx, broken, false)
	if err != nil {
		return err
	}
	s.say.line("After %s the scheduler sees:", waited(begun))
	s.showDevices(only(groups, mi300x), "healthy_count")
	if text := agent.Instance(groups, broken).HealthDescription; !strings.Contains(text, "umc") {
		return fmt.Errorf("the reason does not name the memory controller: %q", text)
	}
	spec := s.binaries.Task("beside", "exec", false, agent.Request{Device: "amd/gpu/" + mi300x})
	given, _, err := s.runJob(ctx, spec)
	if err != nil {
		return err
	}
	s.say.line("%s was given %s", spec.Name, shortList(given))
	if !slices.Equal(given, []string{whole}) {
		return fmt.Errorf("job %s got %s, and only %s is whole", spec.Name, strings.Join(given, ","), whole)
	}
	begun = time.Now()
	if err := s.amd.Repair(brokenMI300X); err != nil {
		return err
	}
	if _, err := s.waitHealth(ctx, broken, true); err != nil {
		return err
	}
	s.say.line("It was reset, its counters began anew, and %s later it is used again.", waited(begun))
	return nil
}

// waitHealth waits for a device to be healthy or not.
func (s *stage) waitHealth(ctx context.Context, id string, healthy bool) ([]*api.NodeDeviceResource, error) {
	return s.wait(ctx, fmt.Sprintf("%s with healthy=%v", id, healthy), func(groups []*api.NodeDeviceResource) bool {
		instance := agent.Instance(groups, id)
		return instance != nil && instance.Healthy == healthy
	})
}
