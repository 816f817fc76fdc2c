package e2e

import (
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// TestNode runs everything that can share an agent, one after the other. Each
// subtest leaves all devices healthy and free.
func TestNode(t *testing.T) {
	engine, why := engine(t)
	n := newNode(t, options{settings: `access = "devices"`, docker: engine})
	n.allHealthy(t)

	t.Run("fingerprint", n.testFingerprint)
	t.Run("statistics", func(t *testing.T) { n.testStatistics(t, n.allHealthy(t)) })
	t.Run("raw_exec", n.testRawExec)
	t.Run("exec", n.testExec)
	t.Run("docker", func(t *testing.T) {
		if engine == nil {
			t.Skip(why)
		}
		n.testDocker(t)
	})
	t.Run("constraints", n.testConstraints)
	t.Run("examples", n.testExamples)
	t.Run("occupied", n.testOccupied)
	t.Run("MIG", n.testMIG)
	t.Run("MIG layout", n.testMIGLayout)
	t.Run(rowLost, n.testFault)
	t.Run(rowAllLost, n.testBlockedUntilRecovery)
	t.Run(rowKilled, n.testPluginKilled)
	t.Run(rowAgent, n.testAgentRestarted)
	t.Run(rowUpgraded, n.testDriverUpgraded)
}

func (n *node) testFingerprint(t *testing.T) {
	groups := n.allHealthy(t)
	var names []string
	for _, g := range groups {
		names = append(names, g.Vendor+"/"+g.Type+"/"+g.Name)
	}
	slices.Sort(names)
	want := []string{"nvidia/gpu/" + rig.H100, "nvidia/gpu/" + rig.T4, "nvidia/mig/" + rig.MIG}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("groups (-want +got):\n%s", diff)
	}
	for _, g := range groups {
		wanted := map[string]map[string]string{
			rig.H100: {
				"memory": "81559 MiB", "compute_capability": "9.0", "architecture": "hopper", "healthy_count": "2",
				"driver_version": "580.65.06", "cuda_driver_version": "13.0", "power": "700 W", "mig_mode": "Disabled",
			},
			rig.T4: {
				"memory": "15360 MiB", "compute_capability": "7.5", "architecture": "turing", "healthy_count": "2",
			},
			rig.MIG: {
				"memory": "40448 MiB", "mig_profile": "3g.40gb", "healthy_count": "2", "architecture": "hopper",
			},
		}[g.Name]
		for key, value := range wanted {
			if a := g.Attributes[key]; a == nil || a.String() != value {
				t.Errorf("%s: %s is %v, want %s", g.Name, key, a, value)
			}
		}
	}

	locality := regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)
	for _, number := range slices.Concat(rig.H100GPUs, rig.T4GPUs) {
		gpu := n.gpu(t, number)
		instance := agent.Instance(groups, gpu.UUID)
		switch {
		case instance == nil:
			t.Errorf("GPU %d (%s) is not offered", number, gpu.UUID)
		case instance.Locality == nil || instance.Locality.PciBusID != gpu.BusID || !locality.MatchString(gpu.BusID):
			t.Errorf("GPU %d has the locality %+v, and is at %s", number, instance.Locality, gpu.BusID)
		}
	}
	parent := n.gpu(t, rig.MIGGPU)
	if agent.Instance(groups, parent.UUID) != nil {
		t.Error("a GPU with MIG on is offered as a whole")
	}
}

func (n *node) testStatistics(t *testing.T, groups []*api.NodeDeviceResource) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The client measures every second and starts some time after the node is
	// ready.
	var missing string
	for ctx.Err() == nil {
		stats, err := n.agent.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if missing = incomplete(groups, stats); missing == "" {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Error(missing)
}

// incomplete says what statistics lack, or hold that they must not.
func incomplete(groups []*api.NodeDeviceResource, stats []*api.DeviceGroupStats) string {
	all := map[string]*api.DeviceStats{}
	for _, g := range stats {
		maps.Copy(all, g.InstanceStats)
	}
	for _, g := range groups {
		for _, instance := range g.Instances {
			s := all[instance.ID]
			if s == nil || s.Summary == nil || s.Stats == nil {
				return instance.ID + " has no statistics"
			}
			names := []string{"Memory state"}
			switch g.Type {
			case "gpu":
				names = append(names, "Temperature", "Power usage")
			case "gpu-partition":
				names = []string{"Temperature", "Power usage"} // of the whole GPU
			case "fpga":
				names = []string{"temperature", "power"}
			}
			for _, name := range names {
				if s.Stats.Attributes[name] == nil {
					return fmt.Sprintf("%s has no %q", instance.ID, name)
				}
			}
			for name, value := range s.Stats.Attributes {
				if f := value.FloatNumeratorVal; f != nil && (math.IsNaN(*f) || math.IsInf(*f, 0)) {
					return fmt.Sprintf("%s: %s is not finite", instance.ID, name)
				}
			}
		}
	}
	return ""
}

func (n *node) testRawExec(t *testing.T) {
	g := n.run(t, n.Task("raw", "raw_exec", false, h100(2)))
	want := n.ids(t, rig.H100GPUs...)
	if diff := cmp.Diff(want, g.devices); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, g.visible("CUDA_VISIBLE_DEVICES")); diff != "" {
		t.Errorf("CUDA_VISIBLE_DEVICES (-want +got):\n%s", diff)
	}
	if _, found := g.Env["NVIDIA_VISIBLE_DEVICES"]; found {
		t.Error(`NVIDIA_VISIBLE_DEVICES is set with access = "devices"`)
	}
}

func (n *node) testExec(t *testing.T) {
	n.checkIsolated(t, n.run(t, n.Task("exec", "exec", false, h100(1))))
	n.checkIsolated(t, n.run(t, n.Task("exec-t4", "exec", false, agent.Request{
		Device: "nvidia/gpu/" + rig.T4,
	})))
}

func (n *node) testDocker(t *testing.T) {
	t.Helper()
	// It stays until it is read: Nomad removes a container that has ended, and
	// on a busy machine its log with it.
	spec := n.Task("docker", "docker", true, h100(1))
	spec.Image = image
	n.checkIsolated(t, n.run(t, spec))
}

// checkIsolated checks a task that got one whole GPU and nothing of the others.
func (n *node) checkIsolated(t *testing.T, g got) {
	t.Helper()
	if len(g.devices) != 1 {
		t.Fatalf("given %v", g.devices)
	}
	if diff := cmp.Diff(g.devices, g.visible("CUDA_VISIBLE_DEVICES")); diff != "" {
		t.Errorf("CUDA_VISIBLE_DEVICES (-want +got):\n%s", diff)
	}
	number, err := n.machine.Find(g.devices[0])
	if err != nil {
		t.Fatal(err)
	}
	paths := g.nodePaths()
	for _, path := range []string{"/dev/nvidiactl", "/dev/nvidia-uvm", fmt.Sprintf("/dev/nvidia%d", n.gpu(t, number).Minor)} {
		if !slices.Contains(paths, path) {
			t.Errorf("the task does not see %s, only %v", path, paths)
		}
	}
	whole := regexp.MustCompile(`^/dev/nvidia\d+$`)
	if others := slices.DeleteFunc(paths, func(p string) bool { return !whole.MatchString(p) }); len(others) != 1 {
		t.Errorf("the task sees the GPUs %v", others)
	}
	for _, node := range g.Nodes {
		if !node.Allowed {
			t.Errorf("the task may not open %s: %s", node.Path, node.Error)
		}
	}
}

func (n *node) testConstraints(t *testing.T) {
	for name, test := range map[string]struct {
		device     string
		constraint agent.Constraint
		group      string // "" means that no device will do
	}{
		"memory with a unit":         {"nvidia/gpu", agent.Constraint{Attribute: "memory", Operator: ">=", Value: "79 GiB"}, rig.H100},
		"memory in another unit":     {"nvidia/gpu", agent.Constraint{Attribute: "memory", Operator: "<", Value: "17 GB"}, rig.T4},
		"compute capability":         {"nvidia/gpu", agent.Constraint{Attribute: "compute_capability", Operator: "version", Value: ">= 8.0"}, rig.H100},
		"old compute capability":     {"gpu", agent.Constraint{Attribute: "compute_capability", Operator: "version", Value: "< 8.0"}, rig.T4},
		"driver":                     {"nvidia/gpu/" + rig.T4, agent.Constraint{Attribute: "driver_version", Operator: "version", Value: ">= 550.54"}, rig.T4},
		"MIG profile":                {"nvidia/mig", agent.Constraint{Attribute: "mig_profile", Value: "3g.40gb"}, rig.MIG},
		"this very GPU":              {"nvidia/gpu", agent.Constraint{Attribute: "${device.ids}", Operator: "set_contains", Value: n.gpu(t, rig.T4GPUs[0]).UUID}, rig.T4},
		"too much memory":            {"nvidia/gpu", agent.Constraint{Attribute: "memory", Operator: ">", Value: "80 GiB"}, ""},
		"a driver that is too new":   {"nvidia/gpu", agent.Constraint{Attribute: "driver_version", Operator: "version", Value: ">= 600"}, ""},
		"a whole GPU as MIG":         {"nvidia/mig", agent.Constraint{Attribute: "mig_profile", Value: "7g.80gb"}, ""},
		"a MIG instance as whole":    {"nvidia/gpu", agent.Constraint{Attribute: "mig_profile", Value: "3g.40gb"}, ""},
		"a vendor that is not there": {"amd/gpu", agent.Constraint{Attribute: "memory", Operator: ">", Value: "1 GiB"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			spec := n.Task("constraint", "raw_exec", false, agent.Request{Device: test.device, Constraints: []agent.Constraint{test.constraint}})
			if test.group == "" {
				blocked(t, n.submit(t, spec))
				return
			}
			g := n.run(t, spec)
			groups := n.allHealthy(t)
			at := slices.IndexFunc(groups, func(r *api.NodeDeviceResource) bool { return r.Name == test.group })
			if len(g.devices) != 1 || !slices.ContainsFunc(groups[at].Instances, func(i *api.NodeDevice) bool { return i.ID == g.devices[0] }) {
				t.Errorf("given %v, which is not of %q", g.devices, test.group)
			}
		})
	}
}

// testOccupied has more jobs than GPUs.
func (n *node) testOccupied(t *testing.T) {
	first := n.submit(t, n.Task("first", "raw_exec", true, h100(1)))
	a := agent.Given(wait(t, first, api.AllocClientStatusRunning))
	second := n.run(t, n.Task("second", "exec", true, h100(1)))
	if both := slices.Sorted(slices.Values(slices.Concat(a, second.devices))); !slices.Equal(both, n.ids(t, rig.H100GPUs...)) {
		t.Errorf("two jobs hold %v", both)
	}
	third := n.submit(t, n.Task("third", "raw_exec", false, h100(1)))
	blocked(t, third)
	n.stop(t, first)
	if given := agent.Given(wait(t, third, api.AllocClientStatusComplete)); !slices.Equal(given, a) {
		t.Errorf("the waiting job was given %v, and %v became free", given, a)
	}
}

func (n *node) testMIG(t *testing.T) {
	parent := n.gpu(t, rig.MIGGPU)
	request := agent.Request{Device: "nvidia/mig"}
	one := n.run(t, n.Task("mig-1", "exec", true, request))
	two := n.run(t, n.Task("mig-2", "exec", true, request))
	var want []string
	for _, instance := range parent.MIG {
		want = append(want, instance.UUID)
	}
	slices.Sort(want)
	held := slices.Sorted(slices.Values(slices.Concat(one.devices, two.devices)))
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("the two jobs hold (-want +got):\n%s", diff)
	}
	var caps []string
	for _, g := range []got{one, two} {
		if diff := cmp.Diff(g.devices, g.visible("CUDA_VISIBLE_DEVICES")); diff != "" {
			t.Errorf("CUDA_VISIBLE_DEVICES (-want +got):\n%s", diff)
		}
		own := slices.DeleteFunc(g.nodePaths(), func(p string) bool { return !regexp.MustCompile(`^/dev/nvidia-caps/`).MatchString(p) })
		if len(own) != 2 {
			t.Errorf("%v sees the capability nodes %v, want its GPU instance's and its compute instance's", g.devices, own)
		}
		caps = append(caps, own...)
		if !slices.Contains(g.nodePaths(), fmt.Sprintf("/dev/nvidia%d", parent.Minor)) {
			t.Errorf("%v does not see its parent's node, only %v", g.devices, g.nodePaths())
		}
	}
	slices.Sort(caps)
	if len(slices.Compact(caps)) != 4 {
		t.Errorf("two instances share capability nodes: %v", caps)
	}
	third := n.submit(t, n.Task("mig-3", "raw_exec", false, request))
	blocked(t, third)
}

// testMIGLayout cuts a GPU anew while the plugin runs.
func (n *node) testMIGLayout(t *testing.T) {
	do(t, n.machine.MIG(rig.MIGGPU, "1g.10gb", "2g.20gb"))
	t.Cleanup(func() {
		do(t, n.machine.MIG(rig.MIGGPU, "3g.40gb", "3g.40gb"))
		n.allHealthy(t)
	})
	// The instances that went stay listed for a while, unhealthy.
	n.devices(t, "the new MIG layout", func(groups []*api.NodeDeviceResource) bool {
		var profiles []string
		for _, g := range groups {
			if g.Type == "mig" && len(agent.Healthy(g)) > 0 {
				profiles = append(profiles, g.Attributes["mig_profile"].String())
			}
		}
		slices.Sort(profiles)
		return slices.Equal(profiles, []string{"1g.10gb", "2g.20gb"})
	})
	g := n.run(t, n.Task("new-mig", "exec", false, agent.Request{
		Device: "nvidia/mig", Constraints: []agent.Constraint{{Attribute: "memory", Operator: "<", Value: "12 GiB"}},
	}))
	want := n.gpu(t, rig.MIGGPU).MIG[0].UUID
	if !slices.Equal(g.devices, []string{want}) {
		t.Errorf("given %v, want %s", g.devices, want)
	}
}
