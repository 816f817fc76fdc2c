package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

func (n *node) testFault(t *testing.T) {
	broken, whole := n.gpu(t, rig.H100GPUs[0]).UUID, n.gpu(t, rig.H100GPUs[1]).UUID
	do(t, n.machine.Break(rig.H100GPUs[0], "xid79"))
	t.Cleanup(func() { _ = n.machine.Repair(rig.H100GPUs[0]) })

	instance := n.health(t, broken, false)
	if !strings.Contains(instance.HealthDescription, "XID 79") || !strings.Contains(instance.HealthDescription, "reboot") {
		t.Errorf("the reason does not name the error and the remedy: %q", instance.HealthDescription)
	}
	for i := range 3 {
		g := n.run(t, n.Task(fmt.Sprintf("beside-%d", i), "raw_exec", false, h100(1)))
		if !slices.Equal(g.devices, []string{whole}) {
			t.Errorf("a job was given %v beside the broken %s", g.devices, broken)
		}
	}

	do(t, n.machine.Repair(rig.H100GPUs[0]))
	n.health(t, broken, true)
	if g := n.run(t, n.Task("both", "raw_exec", false, h100(2))); !slices.Contains(g.devices, broken) {
		t.Errorf("after the repair a job for both was given %v", g.devices)
	}
}

// testBlockedUntilRecovery breaks every GPU that a job could have. Nomad looks
// at a blocked job again only when the node's class changes.
func (n *node) testBlockedUntilRecovery(t *testing.T) {
	ids := n.ids(t, rig.H100GPUs...)
	for _, gpu := range rig.H100GPUs {
		do(t, n.machine.Break(gpu, "xid79"))
		t.Cleanup(func() { _ = n.machine.Repair(gpu) })
	}
	for _, id := range ids {
		n.health(t, id, false)
	}
	job := n.submit(t, n.Task("patient", "raw_exec", false, h100(1)))
	blocked(t, job)

	do(t, n.machine.Repair(rig.H100GPUs[1]))
	given := agent.Given(wait(t, job, api.AllocClientStatusComplete))
	if want := []string{n.gpu(t, rig.H100GPUs[1]).UUID}; !slices.Equal(given, want) {
		t.Errorf("given %v, want %v", given, want)
	}
	do(t, n.machine.Repair(rig.H100GPUs[0]))
	n.allHealthy(t)
}

func (n *node) testPluginKilled(t *testing.T) {
	held := n.submit(t, n.Task("held", "exec", true, h100(1)))
	before := wait(t, held, api.AllocClientStatusRunning)
	pids := n.agent.PluginProcesses(rig.PluginName)
	if len(pids) != 1 {
		t.Fatalf("the plugin runs as %v", pids)
	}
	do(t, syscall.Kill(pids[0], syscall.SIGKILL))

	// The devices must not go for a moment, so this looks often and long enough
	// for a node update to pass.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for until := time.Now().Add(8 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		groups, err := n.agent.Devices(ctx)
		if err != nil {
			t.Fatal(err)
		}
		healthy := 0
		for _, g := range groups {
			healthy += len(agent.Healthy(g))
		}
		if healthy != 6 {
			t.Fatalf("after the plugin was killed the node has %d healthy devices", healthy)
		}
	}
	again := n.agent.PluginProcesses(rig.PluginName)
	if len(again) != 1 || again[0] == pids[0] {
		t.Errorf("the plugin ran as %v and runs as %v", pids, again)
	}
	if after := wait(t, held, api.AllocClientStatusRunning); after.ID != before.ID {
		t.Error("the running task was replaced")
	}
	g := n.run(t, n.Task("after-kill", "exec", false, h100(1)))
	n.checkIsolated(t, g)
	if slices.Equal(g.devices, agent.Given(before)) {
		t.Errorf("the new job was given %v, which the running task holds", g.devices)
	}
	// And faults are seen by the new process.
	broken := g.devices[0]
	number, err := n.machine.Find(broken)
	do(t, err)
	do(t, n.machine.Break(number, "xid79"))
	t.Cleanup(func() { _ = n.machine.Repair(number) })
	n.health(t, broken, false)
	do(t, n.machine.Repair(number))
	n.health(t, broken, true)
}

func (n *node) testAgentRestarted(t *testing.T) {
	held := n.submit(t, n.Task("held", "exec", true, h100(1)))
	before := wait(t, held, api.AllocClientStatusRunning)
	for name, end := range map[string]func() error{"stopped": n.agent.Stop, "crashed": n.agent.Crash} {
		do(t, end())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := n.agent.Restart(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		n.allHealthy(t)
		if after := wait(t, held, api.AllocClientStatusRunning); after.ID != before.ID {
			t.Errorf("%s: the running task was replaced", name)
		}
		g := n.run(t, n.Task("after-"+name, "exec", false, h100(1)))
		n.checkIsolated(t, g)
		if slices.Equal(g.devices, agent.Given(before)) {
			t.Errorf("%s: the new job was given %v, which the running task holds", name, g.devices)
		}
		if pids := n.agent.PluginProcesses(rig.PluginName); len(pids) != 1 {
			t.Errorf("%s: the plugin runs as %v", name, pids)
		}
	}
}

// TestDriverComesLater starts the agent on a machine without a driver. It also
// is the test of access = "runtime", the default.
func TestDriverComesLater(t *testing.T) {
	b := binaries(t)
	n := newNode(t, options{machine: noLibrary})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	if groups, err := n.agent.Devices(ctx); err != nil || len(groups) > 0 {
		t.Fatalf("without a library the node has the devices %v, %v", groups, err)
	}
	job := n.submit(t, b.Task("early", "exec", false, h100(1)))
	blocked(t, job)
	if pids := n.agent.PluginProcesses(rig.PluginName); len(pids) != 1 {
		t.Errorf("the plugin runs as %v", pids)
	}

	// The library comes first, and the kernel's driver after it.
	do(t, n.machine.Unload())
	do(t, rename(n.machine.Library()+".absent", n.machine.Library()))
	time.Sleep(3 * time.Second) // three looks
	if groups, err := n.agent.Devices(ctx); err != nil || len(groups) > 0 {
		t.Fatalf("without a driver the node has the devices %v, %v", groups, err)
	}
	do(t, n.machine.Load())
	n.allHealthy(t)
	alloc := wait(t, job, api.AllocClientStatusComplete)
	g := got{devices: agent.Given(alloc), Report: n.report(t, alloc)}
	for _, key := range []string{"NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"} {
		if !slices.Equal(g.visible(key), g.devices) {
			t.Errorf("%s is %q, and the job was given %v", key, g.Env[key], g.devices)
		}
	}
	if len(g.Nodes) > 0 {
		t.Errorf(`with access = "runtime" the task sees the nodes %v`, g.nodePaths())
	}

	// A driver that goes takes no devices with it, only their health.
	do(t, n.machine.Unload())
	n.devices(t, "no healthy device", func(groups []*api.NodeDeviceResource) bool {
		healthy := 0
		for _, g := range groups {
			healthy += len(agent.Healthy(g))
		}
		return healthy == 0
	})
	do(t, n.machine.Load())
	n.allHealthy(t)
}

// TestWrongConfiguration has agents that must not start, and must say why.
func TestWrongConfiguration(t *testing.T) {
	b := binaries(t)
	for name, test := range map[string]struct {
		settings string
		want     []string
	}{
		"values": {
			settings: "fingerprint_period = \"soon\"\naccess = \"magic\"",
			want:     []string{rig.PluginName, "fingerprint_period", "soon", "access", "magic", "runtime"},
		},
		"unknown key": {settings: "colour = \"red\"", want: []string{rig.PluginName, "colour"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			dir := shortDir(t)
			machine, err := rig.Mixed(ctx, filepath.Join(dir, "machine"), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { do(t, machine.Stop()) })
			config, err := b.AgentConfig(dir, machine, test.settings)
			if err != nil {
				t.Fatal(err)
			}
			a, err := agent.Start(ctx, config)
			if err == nil {
				do(t, a.Close())
				t.Fatal("the agent started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the agent does not say %q:\n%v", want, err)
				}
			}
		})
	}
}
