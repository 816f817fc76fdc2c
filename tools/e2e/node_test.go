package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/docker"
	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// patience is how long one thing may take. It is generous, because a machine
// that runs tests is a busy one.
const patience = 90 * time.Second

// image is the container image that the tests make.
const image = "nomad-devices-probe:e2e"

var (
	buildDir  string
	buildOnce = sync.OnceValues(func() (rig.Binaries, error) {
		return rig.Build(context.Background(), buildDir, os.Stderr)
	})
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "nomad-devices-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(buildDir) }()
		return m.Run()
	}())
}

// binaries returns the built programs, or skips where they are of no use.
func binaries(t *testing.T) rig.Binaries {
	t.Helper()
	if err := rig.Requirements(); err != nil {
		t.Skipf("this machine cannot run the plugin under an agent, it needs %v", err)
	}
	b, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shortDir returns a directory with a path that is short enough for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// node is an agent with the plugin on a simulated machine.
type node struct {
	rig.Binaries
	machine *nvidia.Machine
	agent   *agent.Agent
}

// options are what tests want different about a node.
type options struct {
	machine  func(*nvidia.Machine) error // before the agent starts
	settings string                      // the plugin's
	docker   *docker.Engine
	beside   []agent.Plugin // other vendors' plugins
}

// newNode starts a node with the mixed machine.
func newNode(t *testing.T, opts options) *node {
	t.Helper()
	b := binaries(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := shortDir(t)
	machine, err := rig.Mixed(ctx, filepath.Join(dir, "machine"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Stop(); err != nil {
			t.Error(err)
		}
	})
	if opts.machine != nil {
		if err := opts.machine(machine); err != nil {
			t.Fatal(err)
		}
	}
	config, err := b.AgentConfig(dir, machine, rig.Quick, opts.settings)
	if err != nil {
		t.Fatal(err)
	}
	config.Plugins = append(config.Plugins, opts.beside...)
	if opts.docker != nil {
		config.Docker = opts.docker.Endpoint()
	}
	a, err := agent.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "agent.log"), []byte(a.Log()), 0o600); err != nil {
				t.Error(err)
			}
			t.Logf("the agent's warnings and errors:\n%s", troubles(a.Log()))
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return &node{Binaries: b, machine: machine, agent: a}
}

// troubles picks the lines of a log that may say why a test failed.
func troubles(log string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, "[WARN]") || strings.Contains(line, "[ERROR]") || strings.Contains(line, rig.PluginName) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-60):], "")
}

// engine returns a Docker engine with the probe's image: the machine's, or one
// that is started for the test. nil means that there is none, and why says it.
func engine(t *testing.T) (found *docker.Engine, why string) {
	t.Helper()
	b := binaries(t)
	found, err := docker.Find(t.Context())
	if err != nil {
		daemon, startErr := docker.StartDaemon(t.Context(), shortDir(t))
		if errors.Is(startErr, exec.ErrNotFound) {
			return nil, fmt.Sprintf("%v, and no dockerd on PATH to start", err)
		}
		if startErr != nil {
			return nil, fmt.Sprintf("%v, and one cannot be started: %v", err, startErr)
		}
		t.Cleanup(func() {
			if err := daemon.Close(); err != nil {
				t.Error(err)
			}
		})
		found = daemon.Engine
	}
	if err := found.Import(t.Context(), image, b.Probe, "probe"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := found.Remove(context.Background(), image); err != nil {
			t.Error(err)
		}
	})
	return found, ""
}

// devices waits for the node's devices to be as ok wants them.
func (n *node) devices(t *testing.T, what string, ok func([]*api.NodeDeviceResource) bool) []*api.NodeDeviceResource {
	t.Helper()
	// Clean-ups wait, too, and the test's own context has ended by then.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	groups, err := n.agent.WaitDevices(ctx, what, ok)
	if err != nil {
		t.Fatal(err)
	}
	return groups
}

// allHealthy waits for every device of the mixed machine to be healthy.
func (n *node) allHealthy(t *testing.T) []*api.NodeDeviceResource {
	t.Helper()
	return n.healthy(t, 6)
}

// healthy waits for so many healthy devices.
func (n *node) healthy(t *testing.T, want int) []*api.NodeDeviceResource {
	t.Helper()
	return n.devices(t, fmt.Sprintf("%d healthy devices", want), func(groups []*api.NodeDeviceResource) bool {
		healthy := 0
		for _, g := range groups {
			healthy += len(agent.Healthy(g))
		}
		return healthy == want
	})
}

// health waits for a device to be healthy or not, and returns it.
func (n *node) health(t *testing.T, id string, healthy bool) *api.NodeDevice {
	t.Helper()
	groups := n.devices(t, fmt.Sprintf("device %s with healthy=%v", id, healthy), func(groups []*api.NodeDeviceResource) bool {
		instance := agent.Instance(groups, id)
		return instance != nil && instance.Healthy == healthy
	})
	return agent.Instance(groups, id)
}

// submit hands a job to the agent and stops it when the test ends.
func (n *node) submit(t *testing.T, spec agent.Spec) *agent.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	job, err := n.agent.Submit(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop(t, job) })
	return job
}

// stop ends a job; one that has ended already stays so.
func (n *node) stop(t *testing.T, job *agent.Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := job.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// wait waits for a job's allocation to have a status.
func wait(t *testing.T, job *agent.Job, status string) *api.Allocation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	alloc, err := job.Wait(ctx, status)
	if err != nil {
		t.Fatal(err)
	}
	return alloc
}

// blocked waits until the scheduler has found no place for a job.
func blocked(t *testing.T, job *agent.Job) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := job.WaitBlocked(ctx); err != nil {
		t.Fatal(err)
	}
}

// got is what a task was given and saw.
type got struct {
	devices []string
	report.Report
}

// run runs a job to its end, or with a holding task until it has reported.
func (n *node) run(t *testing.T, spec agent.Spec) got {
	t.Helper()
	job := n.submit(t, spec)
	status := api.AllocClientStatusComplete
	if slices.Contains(spec.Args, "-hold") {
		status = api.AllocClientStatusRunning
	}
	alloc := wait(t, job, status)
	return got{devices: agent.Given(alloc), Report: n.report(t, alloc)}
}

func (n *node) report(t *testing.T, alloc *api.Allocation) report.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := n.agent.Report(ctx, alloc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// gpu returns a GPU of the machine by its number.
func (n *node) gpu(t *testing.T, number int) nvidia.GPU {
	t.Helper()
	gpus, err := n.machine.GPUs()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(gpus, func(g nvidia.GPU) bool { return g.Number == number })
	if at < 0 {
		t.Fatalf("there is no GPU %d", number)
	}
	return gpus[at]
}

// ids returns the UUIDs of GPUs, sorted.
func (n *node) ids(t *testing.T, numbers ...int) []string {
	t.Helper()
	var all []string
	for _, number := range numbers {
		all = append(all, n.gpu(t, number).UUID)
	}
	slices.Sort(all)
	return all
}

// do makes a change to the simulated machine.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// h100 asks for H100 GPUs by what they can do.
func h100(count int) agent.Request {
	return agent.Request{Device: "nvidia/gpu", Count: count, Constraints: []agent.Constraint{
		{Attribute: "memory", Operator: ">=", Value: "40 GiB"},
		{Attribute: "compute_capability", Operator: "version", Value: ">= 9.0"},
	}}
}

// nodePaths returns the paths of the nodes that a task saw.
func (g got) nodePaths() []string {
	var paths []string
	for _, node := range g.Nodes {
		paths = append(paths, node.Path)
	}
	slices.Sort(paths)
	return paths
}

// visible returns a variable that lists devices, sorted.
func (g got) visible(key string) []string {
	value, found := g.Env[key]
	if !found {
		return nil
	}
	ids := strings.Split(value, ",")
	slices.Sort(ids)
	return ids
}

// noLibrary takes the driver's library away.
func noLibrary(m *nvidia.Machine) error { return rename(m.Library(), m.Library()+".absent") }

func rename(from, to string) error { return os.Rename(from, to) }
