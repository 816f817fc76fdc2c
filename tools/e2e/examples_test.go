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

// testExamples runs the example jobs of the NVIDIA plugin's page. What they ask
// for stays as it is written; where they name a device or a node, they get one
// that is there, and where they need an image from the network, they say
// instead what they were given.
func (n *node) testExamples(t *testing.T) {
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob(filepath.Join(root, "plugins", "nvidia", "examples", "*.nomad.hcl"))
	if err != nil || len(examples) < 5 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	here, err := n.agent.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := n.gpu(t, rig.H100GPUs[1]).UUID
	there := strings.NewReplacer(
		"GPU-fef8089b-5a1e-4b7c-9d00-0123456789ab", one,
		"gpu-node-1", here.Name,
		"1g.10gb", "3g.40gb",
	)
	given := map[string]int{ // how many devices each example is to get
		"docker": 1, "exec": 1, "mig": 1, "raw-exec": 2, "this-gpu": 1, "two-models": 2,
	}
	for _, file := range examples {
		name := strings.TrimSuffix(filepath.Base(file), ".nomad.hcl")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			job, err := n.agent.Client().Jobs().ParseHCL(there.Replace(string(text)), true)
			if err != nil {
				t.Fatalf("Nomad cannot read the example: %v", err)
			}
			withoutImage(job)
			alloc := n.runToEnd(t, job)
			devices := agent.Given(alloc)
			if len(devices) != given[name] {
				t.Errorf("the task was given %v, want %d devices", devices, given[name])
			}
			if name == "this-gpu" && !slices.Equal(devices, []string{one}) {
				t.Errorf("the task asked for %s and was given %v", one, devices)
			}
			output := n.output(t, alloc)
			for _, id := range devices {
				if !strings.Contains(output, id) {
					t.Errorf("the task was given %s and says %q", id, output)
				}
			}
		})
	}
}

// withoutImage makes a task of a driver that cannot run here say what CUDA would
// see.
func withoutImage(job *api.Job) {
	for _, group := range job.TaskGroups {
		for _, task := range group.Tasks {
			if task.Driver != "raw_exec" {
				task.Driver = "raw_exec"
				task.Config = map[string]any{"command": "/bin/sh", "args": []string{"-c", `echo "CUDA sees $CUDA_VISIBLE_DEVICES"`}}
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
