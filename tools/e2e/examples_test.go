package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// examples are the example jobs of a plugin's page.
type examples struct {
	module string // of the plugin: "nvidia"
	// there puts what is on the node in the place of devices and nodes that an
	// example names.
	there *strings.Replacer
	// given is how many devices each example is to get, and exactly the one with a
	// name that it must get.
	given   map[string]int
	exactly map[string]string
	// elsewhere are those that need another node; their own tests run them.
	elsewhere []string
}

// testExamples runs the example jobs of the NVIDIA plugin's page.
func (n *node) testExamples(t *testing.T) {
	one := n.gpu(t, rig.H100GPUs[1]).UUID
	n.runExamples(t, examples{
		module: "nvidia",
		there: strings.NewReplacer(
			"GPU-fef8089b-5a1e-4b7c-9d00-0123456789ab", one,
			"gpu-node-1", n.nodeName(t),
			"1g.10gb", "3g.40gb",
		),
		given:     map[string]int{"docker": 1, "exec": 1, "mig": 1, "raw-exec": 2, "this-gpu": 1, "two-models": 2},
		exactly:   map[string]string{"this-gpu": one},
		elsewhere: []string{"shared"},
	})
}

// runExamples runs example jobs. What they ask for stays as it is written; where
// they name a device or a node, they get one that is there, and where they need an
// image from the network, they say instead what they were given.
func (n *node) runExamples(t *testing.T, e examples) {
	t.Helper()
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "plugins", e.module, "examples", "*.nomad.hcl"))
	if err != nil || len(files) != len(e.given)+len(e.elsewhere) {
		t.Fatalf("%d examples, %v, want %d", len(files), err, len(e.given)+len(e.elsewhere))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".nomad.hcl")
		if slices.Contains(e.elsewhere, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			job, err := n.agent.Client().Jobs().ParseHCL(e.there.Replace(string(text)), true)
			if err != nil {
				t.Fatalf("Nomad cannot read the example: %v", err)
			}
			withoutImage(job)
			alloc := n.runToEnd(t, job)
			devices := agent.Given(alloc)
			if len(devices) != e.given[name] {
				t.Errorf("the task was given %v, want %d devices", devices, e.given[name])
			}
			if one := e.exactly[name]; one != "" && !slices.Equal(devices, []string{one}) {
				t.Errorf("the task asked for %s and was given %v", one, devices)
			}
			output := n.output(t, alloc)
			for _, id := range devices {
				if !strings.Contains(output, id) && !strings.Contains(output, variable(id)) {
					t.Errorf("the task was given %s and says %q", id, output)
				}
			}
		})
	}
}

// nodeName returns the name of the agent's node.
func (n *node) nodeName(t *testing.T) string {
	t.Helper()
	here, err := n.agent.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return here.Name
}

// variable returns the part of a variable's name that stands for a device.
func variable(id string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", "/", "_", ":", "_", ".", "_").Replace(id))
}

// withoutImage makes a task of a driver that cannot run here say what it was given.
func withoutImage(job *api.Job) {
	for _, group := range job.TaskGroups {
		for _, task := range group.Tasks {
			if task.Driver != "raw_exec" {
				task.Driver = "raw_exec"
				task.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", `echo $(env | grep -e CUDA_ -e ROCR_ -e AMD_GPU_ -e FPGA_)`}}
			}
		}
	}
}

// runToEnd runs a job that was not made from a spec.
func (n *node) runToEnd(t *testing.T, job *api.Job) *api.Allocation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	registered, err := n.agent.Register(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stop(t, registered) })
	return wait(t, registered, api.AllocClientStatusComplete)
}

// output waits for a task's line, which Nomad's log collector passes on with a
// little delay.
func (n *node) output(t *testing.T, alloc *api.Allocation) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		text, err := n.agent.Output(ctx, alloc)
		if err == nil && strings.Contains(text, "\n") {
			return text
		}
		if ctx.Err() != nil {
			t.Fatalf("the task has written %q (%v)", text, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
