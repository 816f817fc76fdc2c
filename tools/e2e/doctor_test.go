package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/doctor"
	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
)

// patients are the GPUs of the machine that the doctor looks at.
const patients = 4

// TestDoctor has the doctor look at a real agent: at a healthy node, at jobs that
// cannot be placed, and at a block whose label is no plugin's.
func TestDoctor(t *testing.T) {
	t.Parallel()
	if err := agent.Requirements(); err != nil {
		t.Skipf("this machine cannot run a plugin under an agent, it needs %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	nomad, err := agent.FindNomad(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	plugin, err := rig.BuildStatic(ctx, dir, "amd")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := amd.Start(filepath.Join(dir, "machine"), "4xmi210", nil)
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "agent")
	do(t, os.Mkdir(home, 0o755))
	a, err := agent.Start(ctx, agent.Config{
		Nomad: nomad, Dir: home, Plugins: []agent.Plugin{{Binary: plugin, Config: rig.Quick + machine.Config()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, a.Close()) })
	p := patient{node: &node{agent: a}, dir: dir, config: filepath.Join(home, "agent.hcl")}
	p.devices(t, "the simulated GPUs", func(groups []*api.NodeDeviceResource) bool {
		return len(groups) == 1 && len(agent.Healthy(groups[0])) == patients
	})

	t.Run("healthy", p.testHealthy)
	t.Run("constraint", p.testConstraint)
	t.Run("taken", p.testTaken)
	t.Run("wrong block", p.testWrongBlock)
}

// patient is a node that the doctor looks at.
type patient struct {
	*node
	dir, config string
}

// examine has the doctor look at the node, and at a job if there is one.
func (p patient) examine(t *testing.T, spec *agent.Spec, config ...string) *doctor.Report {
	t.Helper()
	options := doctor.Options{Nomad: p.agent.Client(), AgentConfig: config}
	if spec != nil {
		options.Job = filepath.Join(p.dir, spec.Name+".nomad.hcl")
		do(t, os.WriteFile(options.Job, []byte(spec.HCL()), 0o644))
	}
	return doctor.Examine(t.Context(), options)
}

// expect checks that the problems and warnings that were found are these.
func expect(t *testing.T, report *doctor.Report, codes ...string) {
	t.Helper()
	var got []string
	for _, f := range report.Findings {
		if f.Severity >= doctor.Warning {
			got = append(got, f.Code)
		}
	}
	if !slices.Equal(got, codes) {
		var text strings.Builder
		do(t, report.WriteText(&text, doctor.TextOptions{All: true}))
		t.Errorf("found %v, want %v:\n%s", got, codes, &text)
	}
}

// finding returns what was found under a code.
func finding(t *testing.T, report *doctor.Report, code string) doctor.Finding {
	t.Helper()
	i := slices.IndexFunc(report.Findings, func(f doctor.Finding) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("there is no %s", code)
	}
	return report.Findings[i]
}

// sleeper is a job that holds its devices.
func sleeper(name string, request agent.Request) agent.Spec {
	return agent.Spec{Name: name, Driver: "raw_exec", Command: "/bin/sleep", Args: []string{"600"}, Devices: []agent.Request{request}}
}

// testHealthy finds nothing wrong, with the running agent's configuration and with
// its file.
func (p patient) testHealthy(t *testing.T) {
	spec := sleeper("fits", agent.Request{Device: "amd/gpu", Count: patients})
	for _, config := range [][]string{nil, {p.config}} {
		report := p.examine(t, &spec, config...)
		expect(t, report)
		finding(t, report, "agent-agrees")
		finding(t, report, "job-fits")
	}
}

// testConstraint explains a job that Nomad does not place. What the doctor offers
// in place of the constraint is placed.
func (p patient) testConstraint(t *testing.T) {
	spec := sleeper("constraint", agent.Request{
		Device: "amd/gpu", Constraints: []agent.Constraint{{Attribute: "memory", Operator: ">", Value: "1 TiB"}},
	})
	job := p.submit(t, spec)
	blocked(t, job)
	report := p.examine(t, &spec)
	expect(t, report, "constraint-fails")

	mend := finding(t, report, "constraint-fails").Mend
	offered := mended.FindStringSubmatch(mend)
	if offered == nil {
		t.Fatalf("it offers\n%s", mend)
	}
	spec.Name = "mended"
	spec.Devices[0].Constraints[0].Operator, spec.Devices[0].Constraints[0].Value = offered[1], offered[2]
	wait(t, p.submit(t, spec), api.AllocClientStatusRunning)
}

// mended is a constraint that the doctor offers.
var mended = regexp.MustCompile(`operator\s*= "(.*)"\s*value\s*= "(.*)"`)

// testTaken names the allocation that has the devices.
func (p patient) testTaken(t *testing.T) {
	first := sleeper("first", agent.Request{Device: "amd/gpu", Count: patients - 1})
	alloc := wait(t, p.submit(t, first), api.AllocClientStatusRunning)
	spec := sleeper("second", agent.Request{Device: "gpu", Count: 2})
	blocked(t, p.submit(t, spec))
	report := p.examine(t, &spec)
	expect(t, report, "devices-taken")
	details := strings.Join(finding(t, report, "devices-taken").Details, "\n")
	if !strings.Contains(details, "allocation "+alloc.ID[:8]+" of job first") || !strings.Contains(details, "4 of 4 healthy, 1 free") {
		t.Errorf("it says\n%s", details)
	}
}

// testWrongBlock gives the block the name of the vendor, as HashiCorp's own
// documentation has it.
func (p patient) testWrongBlock(t *testing.T) {
	text, err := os.ReadFile(p.config)
	do(t, err)
	wrong := strings.Replace(string(text), `plugin "nomad-device-amd"`, `plugin "amd"`, 1)
	do(t, os.WriteFile(p.config, []byte(wrong), 0o600))
	do(t, p.agent.Stop())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	do(t, p.agent.Restart(ctx))
	p.devices(t, "no device", func(groups []*api.NodeDeviceResource) bool { return len(groups) == 0 })

	for _, config := range [][]string{nil, {p.config}} {
		report := p.examine(t, nil, config...)
		expect(t, report, "block-misspelt", "agent-lacks-group")
		if mend := finding(t, report, "block-misspelt").Mend; !strings.Contains(mend, `plugin "nomad-device-amd" {`) {
			t.Errorf("it is mended by %q", mend)
		}
	}
}
