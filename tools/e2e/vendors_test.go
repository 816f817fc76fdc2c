package e2e

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/fpga"
	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// TestVendors has the plugins of several vendors in one agent, each on a machine
// of its own. Each subtest leaves all devices healthy and free.
func TestVendors(t *testing.T) {
	b := binaries(t)
	engine, why := engine(t)
	gpus, err := amd.Start(filepath.Join(shortDir(t), "amd"), "mixed-instinct", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, gpus.Stop()) })
	// The U250 tells its memory, as cards with a shell of one stage do.
	fpgas, err := fpga.Start(filepath.Join(shortDir(t), "fpga"), "mixed-fpga", map[string]string{
		"kind.u250.memory.banks": "4", "kind.u250.memory.bank_size": "16",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, fpgas.Stop()) })
	n := newNode(t, options{settings: `access = "devices"`, docker: engine, beside: []agent.Plugin{
		b.Beside("amd", gpus, rig.Quick, `ras_period = "1s"`), b.Beside("fpga", fpgas, rig.Quick),
	}})
	m := mixed{node: n, amd: gpus, fpga: fpgas, all: 6 + 12 + 5}
	m.healthy(t, m.all)

	t.Run("fingerprint", m.testFingerprint)
	t.Run("statistics", func(t *testing.T) { n.testStatistics(t, m.healthy(t, m.all)) })
	t.Run("exec", func(t *testing.T) { m.testWholeGPU(t, "exec") })
	t.Run("docker", func(t *testing.T) {
		if engine == nil {
			t.Skip(why)
		}
		m.testWholeGPU(t, "docker")
		m.testPartitions(t, "docker")
		m.testFPGAs(t, "docker")
	})
	t.Run("partitions", func(t *testing.T) { m.testPartitions(t, "exec") })
	t.Run("FPGAs", func(t *testing.T) { m.testFPGAs(t, "exec") })
	t.Run("one constraint for all vendors", m.testAnyVendor)
	t.Run("two vendors in one task", m.testBothVendors)
	t.Run("examples", m.testExamples)
	t.Run("a GPU breaks", m.testBreak)
	t.Run("an FPGA breaks", m.testBreakFPGA)
	t.Run("a GPU is divided anew", m.testDivide)
	t.Run("the driver goes and comes", m.testReload)
}

// mixed is a node with GPUs of two vendors, and FPGAs.
type mixed struct {
	*node
	amd  *amd.Machine
	fpga *fpga.Machine
	all  int // devices of all vendors
}

const (
	mi300x    = "AMD Instinct MI300X"
	mi300xCPX = "AMD Instinct MI300X CPX-NPS1"
	mi210     = "AMD Instinct MI210"
)

// The GPUs of the simulated machine by their numbers.
var (
	mi300xGPUs = []int{0, 1}
	mi210GPUs  = []int{3, 4}
)

// cardOf returns a card of a simulated machine by its number.
func cardOf(t *testing.T, m interface {
	Cards() ([]machine.Card, error)
}, number int,
) machine.Card {
	t.Helper()
	cards, err := m.Cards()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(cards, func(c machine.Card) bool { return c.Number == number })
	if at < 0 {
		t.Fatalf("there is no card %d", number)
	}
	return cards[at]
}

// card returns one of AMD's GPUs.
func (m mixed) card(t *testing.T, number int) machine.Card {
	t.Helper()
	return cardOf(t, m.amd, number)
}

// nodesOf returns the device nodes of devices, as the simulators have them, sorted
// and each once.
func (m mixed) nodesOf(t *testing.T, ids ...string) []string {
	t.Helper()
	gpus, err := m.amd.Cards()
	if err != nil {
		t.Fatal(err)
	}
	fpgas, err := m.fpga.Cards()
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for _, id := range ids {
		for _, c := range slices.Concat(gpus, fpgas) {
			nodes = append(nodes, c.Nodes[id]...)
		}
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

func (m mixed) testFingerprint(t *testing.T) {
	groups := m.healthy(t, m.all)
	got := map[string]int{}
	for _, g := range groups {
		got[g.Vendor+"/"+g.Type+"/"+g.Name] = len(g.Instances)
	}
	want := map[string]int{
		"nvidia/gpu/" + rig.H100: 2, "nvidia/gpu/" + rig.T4: 2, "nvidia/mig/" + rig.MIG: 2,
		"amd/gpu/" + mi300x: 2, "amd/gpu-partition/" + mi300xCPX: 8, "amd/gpu/" + mi210: 2,
		"intel/fpga/" + n6001: 1, "intel/fpga/" + d5005NLB0: 1, "intel/fpga/" + d5005NLB3: 1, "amd/fpga/" + u250: 1, "amd/fpga/" + v70: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("groups (-want +got):\n%s", diff)
	}
	attributes := map[string]map[string]string{
		mi300x:    {"memory": "196592 MiB", "gfx_target": "gfx942", "compute_units": "304", "healthy_count": "2", "compute_partition": "spx", "xgmi": "false", "apu": "false"},
		mi300xCPX: {"compute_units": "38", "partitions": "8", "compute_partition": "cpx", "memory_partition": "nps1", "healthy_count": "8"},
		n6001:     {"model": "n6001", "family": "dfl", "interface_uuid": "4c71d90e-3ab2-586f-9d04-e1b7c25a8f36", "pci_id": "8086:bcce"},
		d5005NLB3: {"model": "d5005", "afu_uuid": "f7df405c-bd7a-cf72-22f1-44b0b93acd18"},
		u250:      {"board": "u250", "family": "xrt", "dma": "xdma", "platform_uuid": "6e0a4d17-b93f-4582-a7c1-d58e20f9b36c"},
		mi210:     {"memory": "65520 MiB", "gfx_target": "gfx90a", "compute_units": "104", "healthy_count": "2", "ecc": "true"},
	}
	for _, g := range groups {
		for key, value := range attributes[g.Name] {
			if a := g.Attributes[key]; a == nil || a.String() != value {
				t.Errorf("%s: %s is %v, want %s", g.Name, key, a, value)
			}
		}
	}
	var cards []machine.Card
	for _, number := range slices.Concat(mi300xGPUs, mi210GPUs) {
		cards = append(cards, m.card(t, number))
	}
	for number := range 4 {
		cards = append(cards, cardOf(t, m.fpga, number))
	}
	for _, c := range cards {
		for _, id := range c.Devices {
			instance := agent.Instance(groups, id)
			if instance == nil || instance.Locality == nil || instance.Locality.PciBusID != c.Address {
				t.Errorf("card %d (%v) is offered as %+v", c.Number, c, instance)
			}
		}
	}
}

// task is a job with the probe, in a container if the driver wants one.
func (m mixed) task(name, driver string, hold bool, requests ...agent.Request) agent.Spec {
	spec := m.Task(name, driver, hold || driver == "docker", requests...)
	if driver == "docker" {
		spec.Image = image
	}
	return spec
}

// checkNodes checks that a task sees the nodes of its devices, may use them, and
// sees no other.
func (m mixed) checkNodes(t *testing.T, g got) {
	t.Helper()
	if diff := cmp.Diff(m.nodesOf(t, g.devices...), g.nodePaths()); diff != "" {
		t.Errorf("device nodes (-want +got):\n%s", diff)
	}
	for _, node := range g.Nodes {
		if !node.Allowed {
			t.Errorf("the task may not open %s: %s", node.Path, node.Error)
		}
	}
}

func (m mixed) testWholeGPU(t *testing.T, driver string) {
	t.Helper()
	g := m.run(t, m.task("whole-"+driver, driver, false, agent.Request{Device: "amd/gpu", Count: 2, Constraints: []agent.Constraint{
		{Attribute: "gfx_target", Value: "gfx942"},
	}}))
	want := slices.Sorted(slices.Values([]string{m.card(t, 0).Devices[0], m.card(t, 1).Devices[0]}))
	if diff := cmp.Diff(want, g.devices); diff != "" {
		t.Errorf("given (-want +got):\n%s", diff)
	}
	// A whole GPU has the name that ROCr knows it by.
	if diff := cmp.Diff(want, g.visible("ROCR_VISIBLE_DEVICES")); diff != "" {
		t.Errorf("ROCR_VISIBLE_DEVICES (-want +got):\n%s", diff)
	}
	for _, trap := range []string{"HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "AMD_VISIBLE_DEVICES"} {
		if value, found := g.Env[trap]; found {
			t.Errorf("%s=%s", trap, value)
		}
	}
	m.checkNodes(t, g)
}

func (m mixed) testPartitions(t *testing.T, driver string) {
	t.Helper()
	request := agent.Request{Device: "amd/gpu-partition", Count: 3}
	one := m.run(t, m.task("parts-1-"+driver, driver, true, request))
	two := m.run(t, m.task("parts-2-"+driver, driver, true, request))
	for _, g := range []got{one, two} {
		m.checkNodes(t, g)
	}
	held := slices.Sorted(slices.Values(slices.Concat(one.devices, two.devices)))
	if len(slices.Compact(held)) != 6 {
		t.Errorf("two jobs hold %v", held)
	}
	blocked(t, m.submit(t, m.task("parts-3-"+driver, driver, false, request)))
}

// testAnyVendor asks for memory, in a device block that names no vendor.
func (m mixed) testAnyVendor(t *testing.T) {
	for name, test := range map[string]struct {
		constraints []agent.Constraint
		vendor      string
	}{
		"more memory than an H100 has": {[]agent.Constraint{{Attribute: "memory", Operator: ">=", Value: "100 GiB"}}, "amd"},
		"an instruction set of AMD's":  {[]agent.Constraint{{Attribute: "gfx_target", Value: "gfx90a"}}, "amd"},
		"a capability of NVIDIA's":     {[]agent.Constraint{{Attribute: "compute_capability", Operator: "version", Value: ">= 7.0"}}, "nvidia"},
		"little memory":                {[]agent.Constraint{{Attribute: "memory", Operator: "<", Value: "20 GB"}}, "nvidia"},
	} {
		t.Run(name, func(t *testing.T) {
			g := m.run(t, m.task("any", "exec", false, agent.Request{Device: "gpu", Constraints: test.constraints}))
			nodes := strings.Join(g.nodePaths(), " ")
			if strings.Contains(nodes, "/dev/kfd") != (test.vendor == "amd") || strings.Contains(nodes, "/dev/nvidiactl") != (test.vendor == "nvidia") {
				t.Errorf("given %v with %s, want one of %s", g.devices, nodes, test.vendor)
			}
		})
	}
}

// testExamples runs the example jobs of the other plugins' pages.
func (m mixed) testExamples(t *testing.T) {
	one := m.card(t, mi210GPUs[1]).Devices[0]
	m.runExamples(t, examples{
		module:  "amd",
		there:   strings.NewReplacer("GPU-e3a94b17c02d5f86", one, "gpu-node-1", m.nodeName(t)),
		given:   map[string]int{"docker": 1, "exec": 1, "partition": 1, "raw-exec": 2, "this-gpu": 1},
		exactly: map[string]string{"this-gpu": one},
	})
	const port = "dfl:0000:31:00.0/port0"
	m.runExamples(t, examples{
		module:  "fpga",
		there:   strings.NewReplacer("dfl:0000:b1:00.0/port0", port, "ls -l $FPGA_DFL_0000_B1_00_0_PORT0", "env | grep FPGA_DFL"),
		given:   map[string]int{"alveo": 1, "intel": 1, "this-fpga": 1},
		exactly: map[string]string{"this-fpga": port},
	})
}

func (m mixed) testBothVendors(t *testing.T) {
	g := m.run(t, m.task("both", "exec", false, agent.Request{Device: "nvidia/gpu/" + rig.T4}, agent.Request{Device: "amd/gpu/" + mi210}))
	if len(g.devices) != 2 || len(g.visible("CUDA_VISIBLE_DEVICES")) != 1 || len(g.visible("ROCR_VISIBLE_DEVICES")) != 1 {
		t.Errorf("given %v, env %v", g.devices, g.Env)
	}
	for _, node := range append(m.nodesOf(t, g.devices...), "/dev/nvidiactl") {
		if !slices.Contains(g.nodePaths(), node) {
			t.Errorf("the task does not see %s, only %v", node, g.nodePaths())
		}
	}
}

func (m mixed) testBreak(t *testing.T) {
	broken, whole := m.card(t, mi210GPUs[0]).Devices[0], m.card(t, mi210GPUs[1]).Devices[0]
	do(t, m.amd.Break(mi210GPUs[0], "ecc-ue"))
	reason := m.health(t, broken, false).HealthDescription
	if !strings.Contains(reason, "umc") || !strings.Contains(reason, "reset the GPU") {
		t.Errorf("the reason is %q", reason)
	}
	if !m.health(t, whole, true).Healthy {
		t.Error("the other GPU is unhealthy")
	}
	request := agent.Request{Device: "amd/gpu/" + mi210}
	for range 2 {
		if g := m.run(t, m.task("beside", "exec", false, request)); !slices.Equal(g.devices, []string{whole}) {
			t.Errorf("given %v, and only %s is whole", g.devices, whole)
		}
	}
	request.Count = 2
	waiting := m.submit(t, m.task("both-mi210", "exec", false, request))
	blocked(t, waiting)
	do(t, m.amd.Repair(mi210GPUs[0]))
	m.health(t, broken, true)
	if given := agent.Given(wait(t, waiting, api.AllocClientStatusComplete)); len(given) != 2 {
		t.Errorf("the waiting job was given %v", given)
	}
}

// testDivide divides a GPU while the plugin runs, and makes it whole again.
func (m mixed) testDivide(t *testing.T) {
	number := mi300xGPUs[1]
	was := m.card(t, number).Devices[0]
	do(t, m.amd.Partition(number, "DPX", "NPS1"))
	parts := m.card(t, number).Devices
	groups := m.devices(t, "two partitions", func(groups []*api.NodeDeviceResource) bool {
		return !slices.ContainsFunc(parts, func(id string) bool {
			instance := agent.Instance(groups, id)
			return instance == nil || !instance.Healthy
		})
	})
	if whole := agent.Instance(groups, was); len(parts) != 2 || whole != nil && whole.Healthy {
		t.Errorf("%v beside %+v", parts, whole)
	}
	g := m.run(t, m.task("half", "exec", false, agent.Request{Device: "amd/gpu-partition", Constraints: []agent.Constraint{
		{Attribute: "compute_partition", Value: "dpx"},
	}}))
	if len(g.devices) != 1 || !slices.Contains(parts, g.devices[0]) {
		t.Errorf("given %v, want one of %v", g.devices, parts)
	}
	m.checkNodes(t, g)
	do(t, m.amd.Partition(number, "SPX", "NPS1"))
	m.health(t, was, true)
	m.healthy(t, m.all)
}

// testReload unloads the driver of AMD's GPUs: the others do not notice.
func (m mixed) testReload(t *testing.T) {
	do(t, m.amd.Unload())
	groups := m.healthy(t, m.all-12)
	kinds := map[string]bool{}
	for _, g := range groups {
		if len(agent.Healthy(g)) > 0 {
			kinds[g.Vendor+"/"+g.Type] = true
		}
	}
	if diff := cmp.Diff([]string{"amd/fpga", "intel/fpga", "nvidia/gpu", "nvidia/mig"}, slices.Sorted(maps.Keys(kinds))); diff != "" {
		t.Errorf("healthy devices (-want +got):\n%s", diff)
	}
	do(t, m.amd.Load())
	m.healthy(t, m.all)
}
