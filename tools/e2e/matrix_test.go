package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/faults"
	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// matrix are the rows of the fault matrix that need an agent to be true, in the
// order in which they share one.
var matrix = []struct {
	row  string
	test func(*node, *testing.T)
}{
	{"one device lost", (*node).testFault},
	{"all devices lost", (*node).testBlockedUntilRecovery},
	{"the plugin is killed", (*node).testPluginKilled},
	{"the agent is killed", (*node).testAgentRestarted},
	{"the driver is upgraded", (*node).testDriverUpgraded},
}

// elsewhere are rows that need a node of their own.
var elsewhere = map[string]func(*testing.T){"no driver at boot": TestDriverComesLater}

func (n *node) testMatrix(t *testing.T) {
	for _, m := range matrix {
		t.Run(m.row, func(t *testing.T) { m.test(n, t) })
	}
}

// TestMatrixIsComplete holds the tests under an agent to the rows that are said
// to have one.
func TestMatrixIsComplete(t *testing.T) {
	t.Parallel()
	var said, tested []string
	for _, row := range faults.Matrix {
		if row.Agent {
			said = append(said, row.Name)
		}
	}
	for _, m := range matrix {
		tested = append(tested, m.row)
	}
	for row := range elsewhere {
		tested = append(tested, row)
	}
	slices.Sort(said)
	slices.Sort(tested)
	if !slices.Equal(said, tested) {
		t.Errorf("the matrix says %q, and under an agent are tested %q", said, tested)
	}
}

// testDriverUpgraded replaces the driver under the plugin. Only a new process
// can go on, and the devices must not go meanwhile.
func (n *node) testDriverUpgraded(t *testing.T) {
	held := n.submit(t, n.Task("held", "exec", true, h100(1)))
	before := wait(t, held, api.AllocClientStatusRunning)
	pids := n.agent.PluginProcesses(rig.PluginName)
	if len(pids) != 1 {
		t.Fatalf("the plugin runs as %v", pids)
	}
	do(t, n.machine.Upgrade("590.10.01"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		groups, err := n.agent.Devices(ctx)
		if err != nil {
			t.Fatal(err)
		}
		devices, upgraded := 0, 0
		for _, g := range groups {
			devices += len(g.Instances)
			if v := g.Attributes["driver_version"]; v != nil && v.String() == "590.10.01" {
				upgraded++
			}
		}
		if devices != 6 {
			t.Fatalf("while the driver was upgraded the node had %d devices", devices)
		}
		if upgraded == len(groups) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.allHealthy(t)
	if again := n.agent.PluginProcesses(rig.PluginName); len(again) != 1 || again[0] == pids[0] {
		t.Errorf("the plugin ran as %v and runs as %v", pids, again)
	}
	if after := wait(t, held, api.AllocClientStatusRunning); after.ID != before.ID {
		t.Error("the running task was replaced")
	}
	g := n.run(t, n.Task("after-upgrade", "exec", false, h100(1)))
	n.checkIsolated(t, g)
	if slices.Equal(g.devices, agent.Given(before)) {
		t.Errorf("the new job was given %v, which the running task holds", g.devices)
	}
}
