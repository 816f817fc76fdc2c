package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// cluster is a server with three nodes: twins with two T4 each, which Nomad puts
// into one class, and a node with eight H100, which other jobs do not fit.
type cluster struct {
	*agent.Cluster
	server *node // for jobs; it has no machine
	twins  [2]*node
	full   *node
}

// TestCluster has Nomad choose between nodes. What a plugin costs the server is
// measured on the third node at the same time, since that is mostly waiting.
func TestCluster(t *testing.T) {
	c := newCluster(t)
	t.Run("side by side", func(t *testing.T) {
		t.Run("placement", func(t *testing.T) {
			t.Parallel()
			t.Run("one GPU broken", c.testOneBroken)
			t.Run("all broken, one heals", c.testAllBroken)
			t.Run("twins", c.testTwins)
			t.Run("plugin lost", c.testPluginLost)
		})
		t.Run("node updates", c.testNodeUpdates)
	})
	c.logRegistrations(t)
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	b := binaries(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := shortDir(t)
	var nodes []*node
	var configs []agent.Config
	for _, one := range []struct {
		name, profile string
		set           map[string]string
	}{
		{"twin-1", "2xt4", nil},
		{"twin-2", "2xt4", map[string]string{
			"gpu.0.uuid": "GPU-0b5a1c52-7c0e-4f53-9d0a-6d3f5f0c2a01", "gpu.1.uuid": "GPU-0b5a1c52-7c0e-4f53-9d0a-6d3f5f0c2a02",
		}},
		{"full", "8xh100", nil},
	} {
		home := filepath.Join(dir, one.name)
		machine, err := nvidia.Start(ctx, filepath.Join(home, "machine"), one.profile, nvidia.Options{Set: one.set})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := machine.Stop(); err != nil {
				t.Error(err)
			}
		})
		config, err := b.AgentConfig(home, machine, rig.Quick)
		if err != nil {
			t.Fatal(err)
		}
		config.Name = one.name
		// It lists the system's signals in random order in an attribute, which
		// alone puts each node into a class of its own.
		config.Deny = []string{"signal"}
		configs = append(configs, config)
		nodes = append(nodes, &node{Binaries: b, machine: machine})
	}
	home := filepath.Join(dir, "server")
	do(t, os.Mkdir(home, 0o755))
	running, err := agent.StartCluster(ctx, agent.Config{Nomad: b.Nomad, Dir: home}, configs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for i, a := range slices.Insert(slices.Clone(running.Nodes), 0, running.Server) {
			if t.Failed() {
				name := slices.Insert([]string{"twin-1", "twin-2", "full"}, 0, "server")[i]
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".log"), []byte(a.Log()), 0o600); err != nil {
					t.Error(err)
				}
				t.Logf("the warnings and errors of %s:\n%s", name, troubles(a.Log()))
			}
		}
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, a := range running.Nodes {
		nodes[i].agent = a
	}
	c := &cluster{Cluster: running, server: &node{Binaries: b, agent: running.Server}, twins: [2]*node(nodes[:2]), full: nodes[2]}
	for i, n := range nodes {
		n.healthyCount(t, []int{2, 2, 8}[i])
	}
	return c
}

// healthyCount waits for the node to have as many healthy devices.
func (n *node) healthyCount(t *testing.T, want int) {
	t.Helper()
	n.devices(t, fmt.Sprintf("%d healthy devices", want), func(groups []*api.NodeDeviceResource) bool {
		healthy := 0
		for _, g := range groups {
			healthy += len(agent.Healthy(g))
		}
		return healthy == want
	})
}

// t4 asks for a GPU that only the twins have.
var t4 = agent.Request{Device: "nvidia/gpu/" + rig.T4}

// class returns the class into which Nomad puts a node by its attributes and
// device groups.
func (n *node) class(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	own, err := n.agent.Node(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var node struct{ ComputedClass string }
	if _, err := n.agent.Client().Raw().Query("/v1/node/"+own.ID, &node, new(api.QueryOptions).WithContext(ctx)); err != nil {
		t.Fatal(err)
	}
	if node.ComputedClass == "" {
		t.Fatalf("the node %s has no class", own.Name)
	}
	return node.ComputedClass
}

// place says where an allocation went: the UUIDs of the cluster are unique.
func place(alloc *api.Allocation) string { return fmt.Sprint(alloc.NodeName, agent.Given(alloc)) }

// at is the place that is a node's GPU.
func (n *node) at(t *testing.T, gpu int) string {
	t.Helper()
	return fmt.Sprint(n.name(t), []string{n.gpu(t, gpu).UUID})
}

func (n *node) name(t *testing.T) string {
	t.Helper()
	own, err := n.agent.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return own.Name
}

// breaks breaks GPUs of a node and waits until the server knows.
func (n *node) breaks(t *testing.T, gpus ...int) {
	t.Helper()
	for _, gpu := range gpus {
		n.fall(t, gpu)
	}
	for _, gpu := range gpus {
		n.health(t, n.gpu(t, gpu).UUID, false)
	}
}

// fall breaks a GPU, until the end of the test at most.
func (n *node) fall(t *testing.T, gpu int) {
	t.Helper()
	do(t, n.machine.Break(gpu, "xid79"))
	t.Cleanup(func() { _ = n.machine.Repair(gpu) })
}

func (n *node) repairs(t *testing.T, gpus ...int) {
	t.Helper()
	for _, gpu := range gpus {
		do(t, n.machine.Repair(gpu))
	}
	for _, gpu := range gpus {
		n.health(t, n.gpu(t, gpu).UUID, true)
	}
}

func (c *cluster) testOneBroken(t *testing.T) {
	a, b := c.twins[0], c.twins[1]
	a.breaks(t, 0)
	var jobs []*agent.Job
	var places []string
	for i := range 3 {
		jobs = append(jobs, c.server.submit(t, c.server.Task(fmt.Sprintf("one-%d", i), "raw_exec", true, t4)))
	}
	for _, job := range jobs {
		places = append(places, place(wait(t, job, api.AllocClientStatusRunning)))
	}
	slices.Sort(places)
	want := []string{a.at(t, 1), b.at(t, 0), b.at(t, 1)}
	slices.Sort(want)
	if diff := cmp.Diff(want, places); diff != "" {
		t.Errorf("three jobs beside a broken GPU (-want +got):\n%s", diff)
	}
	fourth := c.server.submit(t, c.server.Task("one-more", "raw_exec", false, t4))
	blocked(t, fourth)
	a.repairs(t, 0)
	if got := place(wait(t, fourth, api.AllocClientStatusComplete)); got != a.at(t, 0) {
		t.Errorf("after the repair the waiting job ran on %s, and %s had become free", got, a.at(t, 0))
	}
}

// testAllBroken has a job wait while no node has a healthy GPU for it.
func (c *cluster) testAllBroken(t *testing.T) {
	a, b := c.twins[0], c.twins[1]
	for _, n := range c.twins {
		for gpu := range 2 {
			n.fall(t, gpu)
		}
	}
	a.healthyCount(t, 0)
	b.healthyCount(t, 0)
	job := c.server.submit(t, c.server.Task("patient", "raw_exec", false, t4))
	blocked(t, job)
	do(t, b.machine.Repair(1))
	if got := place(wait(t, job, api.AllocClientStatusComplete)); got != b.at(t, 1) {
		t.Errorf("the job ran on %s, and only %s had healed", got, b.at(t, 1))
	}
	do(t, b.machine.Repair(0))
	a.repairs(t, 0, 1)
	b.healthyCount(t, 2)
}

// testTwins has nodes that differ in nothing but the health of their devices.
// Within one evaluation Nomad concludes from one node to all of its class, and
// in random order: without healthy_count, each of these jobs would stay blocked
// as often as the sick twin is looked at first.
func (c *cluster) testTwins(t *testing.T) {
	well, sick := c.twins[0], c.twins[1]
	if a, b := well.class(t), sick.class(t); a != b {
		t.Fatalf("the nodes are no twins: their classes are %s and %s", a, b)
	}
	sick.breaks(t, 0, 1)
	if well.class(t) == sick.class(t) {
		t.Error("the sick node is of the same class as its healthy twin")
	}
	for i := range 8 {
		job := c.server.submit(t, c.server.Task(fmt.Sprintf("twin-%d", i), "raw_exec", false, t4))
		got := place(wait(t, job, api.AllocClientStatusComplete))
		if got != well.at(t, 0) && got != well.at(t, 1) {
			t.Errorf("job %d ran on %s", i, got)
		}
	}
	sick.repairs(t, 0, 1)
	if a, b := well.class(t), sick.class(t); a != b {
		t.Errorf("after the repair the twins' classes are %s and %s", a, b)
	}
}

// testPluginLost takes the plugin's file away, as when a package is removed or
// an upgrade fails half-way, and then the process, and then restarts the agent.
func (c *cluster) testPluginLost(t *testing.T) {
	bare, other := c.twins[0], c.twins[1]
	file := bare.agent.PluginFile(rig.PluginName)
	away := filepath.Join(filepath.Dir(filepath.Dir(file)), "away")
	restart := func() {
		t.Helper()
		do(t, bare.agent.Stop())
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		do(t, bare.agent.Restart(ctx))
	}

	// The process runs without its file, and when it ends Nomad cannot start it
	// again. Nomad keeps the devices that it knew; a task that it gives them to
	// must fail at once and say why, and must not run without its GPU.
	pids := bare.agent.PluginProcesses(rig.PluginName)
	if len(pids) != 1 {
		t.Fatalf("the plugin runs as %v", pids)
	}
	do(t, rename(file, away))
	for _, pid := range pids {
		do(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	failed := 0
	var jobs []*agent.Job
	for i := range 3 { // one more than the other node can have
		job := c.server.submit(t, c.server.Task(fmt.Sprintf("no-plugin-%d", i), "raw_exec", true, t4))
		alloc, err := job.Wait(ctx, api.AllocClientStatusRunning)
		switch {
		case err != nil && strings.Contains(err.Error(), rig.PluginName):
			failed++
			t.Logf("on the node whose plugin cannot start: %v", err)
		case err != nil:
			t.Error(err)
		case alloc.NodeName != other.name(t):
			t.Errorf("job %d runs on %s, whose plugin cannot start", i, place(alloc))
		}
		jobs = append(jobs, job)
	}
	if failed == 0 {
		t.Error("no job was given to the node whose plugin cannot start")
	}
	for _, job := range jobs {
		c.server.stop(t, job)
	}

	restart()
	bare.devices(t, "no devices", func(groups []*api.NodeDeviceResource) bool { return len(groups) == 0 })
	for i := range 2 {
		job := c.server.submit(t, c.server.Task(fmt.Sprintf("elsewhere-%d", i), "raw_exec", true, t4))
		if alloc := wait(t, job, api.AllocClientStatusRunning); alloc.NodeName != other.name(t) {
			t.Errorf("job %d runs on %s, which has no plugin", i, place(alloc))
		}
	}
	third := c.server.submit(t, c.server.Task("elsewhere-2", "raw_exec", false, t4))
	blocked(t, third)
	do(t, rename(away, file))
	restart()
	if alloc := wait(t, third, api.AllocClientStatusComplete); alloc.NodeName != bare.name(t) {
		t.Errorf("the waiting job ran on %s", place(alloc))
	}
}
