package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// mpsDir is the MPS daemon's directory on the simulated machine, and in tasks.
const mpsDir = "/run/nvidia-mps"

// daemon puts the files of a running MPS daemon on the machine.
func daemon(m *nvidia.Machine) error {
	for path, content := range map[string]string{
		mpsDir + "/control":                     "",
		mpsDir + "/nvidia-cuda-mps-control.pid": "4711\n",
		"/run/mps-shm/segment":                  "",
		"/proc/4711/comm":                       "nvidia-cuda-mps\n",
	} {
		full := filepath.Join(m.Root(), path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// TestShare has one T4 shared in turns, the H100 shared through MPS, and the other
// T4 whole, on one node with metrics.
func TestShare(t *testing.T) {
	engine, why := engine(t)
	metrics := freeAddress(t)
	n := newNode(t, options{
		docker:  engine,
		machine: daemon,
		settings: fmt.Sprintf(`access = "devices"
share {
  devices     = [%q]
  replicas    = 4
  name_suffix = "-shared"
}
share {
  devices      = [%q]
  replicas     = 2
  strategy     = "mps"
  one_per_task = true
}
mps {
  pipe_directory = %q
  shm_directory  = "/run/mps-shm"
}
metrics {
  address = %q
}
`, firstT4, rig.H100, mpsDir, metrics),
	})
	s := sharing{node: n, shared: n.gpu(t, rig.T4GPUs[0]).UUID, whole: n.gpu(t, rig.T4GPUs[1]).UUID}
	s.healthy(t, 4+1+2*2+2)

	t.Run("groups", s.testGroups)
	t.Run("four jobs on one GPU", s.testFourJobs)
	t.Run("example", s.testExample)
	t.Run("two parts in one task", s.testTwoParts)
	t.Run("MPS", func(t *testing.T) { s.testMPS(t, "exec") })
	t.Run("MPS in a container", func(t *testing.T) {
		if engine == nil {
			t.Skip(why)
		}
		s.testMPS(t, "docker")
	})
	t.Run("one part for each task", s.testOnePerTask)
	t.Run("metrics", func(t *testing.T) { s.testMetrics(t, metrics) })
	t.Run("the agent is restarted", func(t *testing.T) { s.testRestart(t, metrics) })
	t.Run("the daemon ends", s.testDaemonEnds)
	t.Run("the shared GPU breaks", s.testBreak)
}

// firstT4 is the address of the mixed machine's first T4.
const firstT4 = "0000:52:00.0"

// sharing is a node with a GPU that is shared, and one of its model that is whole.
type sharing struct {
	*node
	shared, whole string
}

const sharedT4 = "nvidia/gpu-share/" + rig.T4 + "-shared"

func (s sharing) parts() []string {
	var ids []string
	for i := range 4 {
		ids = append(ids, share.PartID(s.shared, i+1))
	}
	return ids
}

func (s sharing) testGroups(t *testing.T) {
	got := map[string]string{}
	for _, g := range s.healthy(t, 11) {
		var line strings.Builder
		line.WriteString(strconv.Itoa(len(g.Instances)))
		for _, name := range []string{"sharing", "replicas", "healthy_count"} {
			if a := g.Attributes[name]; a != nil {
				line.WriteString(" " + a.String())
			}
		}
		got[g.Vendor+"/"+g.Type+"/"+g.Name] = line.String()
	}
	want := map[string]string{
		"nvidia/gpu/" + rig.T4:         "1 1",
		sharedT4:                       "4 time-slicing 4 4",
		"nvidia/gpu-share/" + rig.H100: "4 mps 2 4",
		"nvidia/mig/" + rig.MIG:        "2 2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// testFourJobs runs four jobs on one GPU at a time, a fifth that has to wait for
// one of them, and one that asks for a whole GPU and gets one.
func (s sharing) testFourJobs(t *testing.T) {
	request := agent.Request{Device: sharedT4}
	var held []string
	var jobs []*agent.Job
	for i := range 4 {
		job := s.submit(t, s.Task(fmt.Sprintf("share-%d", i+1), []string{"exec", "raw_exec"}[i%2], true, request))
		alloc := wait(t, job, api.AllocClientStatusRunning)
		g := got{devices: agent.Given(alloc), Report: s.report(t, alloc)}
		held = append(held, g.devices...)
		jobs = append(jobs, job)
		if diff := cmp.Diff([]string{s.shared}, g.visible("CUDA_VISIBLE_DEVICES")); diff != "" {
			t.Errorf("job %d: CUDA_VISIBLE_DEVICES -want +got\n%s", i+1, diff)
		}
	}
	slices.Sort(held)
	if diff := cmp.Diff(s.parts(), held); diff != "" {
		t.Errorf("the four jobs hold -want +got\n%s", diff)
	}
	whole := s.run(t, s.Task("whole", "exec", false, agent.Request{Device: "nvidia/gpu"}))
	if diff := cmp.Diff([]string{s.whole}, whole.devices); diff != "" {
		t.Errorf("a job that asks for a GPU -want +got\n%s", diff)
	}
	fifth := s.submit(t, s.Task("share-5", "exec", false, request))
	blocked(t, fifth)
	s.stop(t, jobs[2])
	wait(t, fifth, api.AllocClientStatusComplete)
}

// testExample runs the example of the plugin's page, whose four tasks fit on the
// one GPU.
func (s sharing) testExample(t *testing.T) {
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "plugins/nvidia/examples/shared.nomad.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := s.agent.Client().Jobs().ParseHCL(string(text), true)
	if err != nil {
		t.Fatal(err)
	}
	alloc := s.runToEnd(t, parsed)
	if output := s.output(t, alloc); !strings.Contains(output, s.shared) {
		t.Errorf("a task says %q", output)
	}
}

// testTwoParts gives one task two parts of one GPU, which it has once.
func (s sharing) testTwoParts(t *testing.T) {
	g := s.run(t, s.Task("two-parts", "exec", false, agent.Request{Device: sharedT4, Count: 2}))
	if len(g.devices) != 2 || g.Env["CUDA_VISIBLE_DEVICES"] != s.shared {
		t.Errorf("given %v, sees %q", g.devices, g.Env["CUDA_VISIBLE_DEVICES"])
	}
	own := fmt.Sprintf("/dev/nvidia%d", s.gpu(t, rig.T4GPUs[0]).Minor)
	if !slices.Contains(g.nodePaths(), own) {
		t.Errorf("the task does not see %s, only %v", own, g.nodePaths())
	}
}

func (s sharing) testMPS(t *testing.T, driver string) {
	t.Helper()
	spec := s.Task("mps-"+driver, driver, driver == "docker", agent.Request{Device: "nvidia/gpu-share", Constraints: []agent.Constraint{
		{Attribute: "sharing", Value: "mps"},
	}})
	spec.Image = image
	spec.Args = append([]string{"-files", mpsDir + "/*,/dev/shm/*"}, spec.Args...)
	g := s.run(t, spec)
	want := map[string]string{
		"CUDA_MPS_PIPE_DIRECTORY": mpsDir, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "0=40779M",
	}
	for name, value := range want {
		if g.Env[name] != value {
			t.Errorf("%s is %q, want %q", name, g.Env[name], value)
		}
	}
	if diff := cmp.Diff([]string{mpsDir + "/control", mpsDir + "/nvidia-cuda-mps-control.pid", "/dev/shm/segment"}, g.Files); diff != "" {
		t.Errorf("files -want +got\n%s", diff)
	}
}

// testOnePerTask has a task that would get two parts of one GPU: four parts of two
// GPUs in one task must have some.
func (s sharing) testOnePerTask(t *testing.T) {
	job := s.submit(t, s.Task("greedy", "exec", false, agent.Request{Device: "nvidia/gpu-share/" + rig.H100, Count: 4}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := job.Wait(ctx, api.AllocClientStatusComplete)
	for _, words := range []string{"one_per_task", "count = 1"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the task says %v, want %q", err, words)
		}
	}
}

// testMetrics reads what a scraper would, beside what Nomad shows.
func (s sharing) testMetrics(t *testing.T, address string) {
	t.Helper()
	text := scrape(t, address)
	labels := func(id string, number int, name string) string {
		return fmt.Sprintf(`{id=%q,name=%q,pci=%q,type="gpu",vendor="nvidia"}`, id, name, s.gpu(t, number).BusID)
	}
	for _, line := range []string{
		"nomad_device_instances" + labels(s.shared, rig.T4GPUs[0], rig.T4) + " 4",
		"nomad_device_instances" + labels(s.whole, rig.T4GPUs[1], rig.T4) + " 1",
		"nomad_device_healthy" + labels(s.shared, rig.T4GPUs[0], rig.T4) + " 1",
		"nomad_device_memory_state_limit_bytes" + labels(s.whole, rig.T4GPUs[1], rig.T4) + " 1.610612736e+10",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	for _, prefix := range []string{`nomad_device_plugin_reservations_total{outcome="granted"} `, `nomad_device_plugin_reservations_total{outcome="refused"} `} {
		_, rest, _ := strings.Cut(text, prefix)
		value, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.ParseFloat(value, 64); err != nil || n < 1 {
			t.Errorf("%s%q", prefix, value)
		}
	}
	s.testStatisticsOfParts(t)
}

func (s sharing) testStatisticsOfParts(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		groups, err := s.agent.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		measured := 0
		for _, g := range groups {
			for _, id := range s.parts() {
				if one := g.InstanceStats[id]; one != nil && one.Stats.Attributes["Memory state"] != nil {
					measured++
				}
			}
		}
		if measured == 4 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of 4 parts have statistics", measured)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// testRestart ends the agent under a task that has a part. The parts are the same
// afterwards, the one is still taken, and the metrics are served by the new process.
func (s sharing) testRestart(t *testing.T, metrics string) {
	t.Helper()
	held := s.submit(t, s.Task("held", "exec", true, agent.Request{Device: sharedT4}))
	before := wait(t, held, api.AllocClientStatusRunning)
	do(t, s.agent.Crash())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	do(t, s.agent.Restart(ctx))
	groups := s.healthy(t, 11)
	for _, id := range s.parts() {
		if agent.Instance(groups, id) == nil {
			t.Errorf("after a restart of the agent there is no %s", id)
		}
	}
	if after := wait(t, held, api.AllocClientStatusRunning); after.ID != before.ID {
		t.Error("the running task was replaced")
	}
	rest := s.run(t, s.Task("rest", "exec", false, agent.Request{Device: sharedT4, Count: 3}))
	if slices.Contains(rest.devices, agent.Given(before)[0]) {
		t.Errorf("a new task was given %v, and %v is held", rest.devices, agent.Given(before))
	}
	if text := scrape(t, metrics); !strings.Contains(text, "nomad_device_plugin_info{") {
		t.Errorf("the new process serves %q", text)
	}
}

// testDaemonEnds takes the MPS daemon away and brings it back.
func (s sharing) testDaemonEnds(t *testing.T) {
	part := share.PartID(s.gpu(t, rig.H100GPUs[0]).UUID, 1)
	do(t, os.RemoveAll(filepath.Join(s.machine.Root(), "proc/4711")))
	if d := s.health(t, part, false); !strings.Contains(d.HealthDescription, "MPS daemon has ended") {
		t.Errorf("the parts are unhealthy because of %q", d.HealthDescription)
	}
	s.health(t, s.parts()[0], true)
	do(t, daemon(s.machine))
	s.healthy(t, 11)
}

func (s sharing) testBreak(t *testing.T) {
	number := rig.T4GPUs[0]
	do(t, s.machine.Lose(number))
	for _, id := range s.parts() {
		s.health(t, id, false)
	}
	s.health(t, s.whole, true)
	do(t, s.machine.Return(number))
	do(t, daemon(s.machine))
	s.healthy(t, 11)
}

// freeAddress returns an address on loopback that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape waits for a plugin's metrics and returns them.
func scrape(t *testing.T, address string) string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		text, err := get("http://" + address + "/metrics")
		if err == nil && strings.Contains(text, "nomad_device_healthy{") {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("no metrics at %s: %v", address, err)
		}
	}
}

func get(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}
