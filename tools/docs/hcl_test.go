package docs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/jobspec2"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// fragment is HCL that is shown somewhere.
type fragment struct {
	where, text string
}

// fragments returns the HCL blocks of all pages and all examples.
func fragments(t *testing.T) []fragment {
	t.Helper()
	var all []fragment
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language == "hcl" {
				all = append(all, fragment{b.name(), b.text})
			}
		}
	}
	examples, err := filepath.Glob(filepath.Join(root(t), "plugins", "*", "examples", "*.hcl"))
	if err != nil || len(examples) < 10 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, file := range examples {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root(t), file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fragment{name, string(source)})
	}
	return all
}

// TestHCL gives agents' configurations to Nomad and to the plugins they are for,
// and reads jobs as Nomad does.
func TestHCL(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	for _, f := range fragments(t) {
		t.Run(f.where, func(t *testing.T) {
			if err := c.check(t, f.text); err != nil {
				t.Error(err)
			}
		})
	}
}

// checker knows what configurations and jobs may say.
type checker struct {
	programs
	plugins map[string]*pluginclient.Plugin
	devices map[string]attributes // by the name of the plugin
	drivers map[string][]string   // settings of Nomad's own task drivers
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	c := &checker{programs: built(t), plugins: map[string]*pluginclient.Plugin{}, devices: attributeTables(t), drivers: driverSettings(t)}
	for name, path := range c.programs.plugins {
		plugin, err := pluginclient.Start(t.Context(), path, pluginclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(plugin.Close)
		c.plugins[name] = plugin
	}
	return c
}

// Where a fragment of a job belongs, from the inside to the outside.
var around = []struct{ inner, open, shut string }{
	{"device", "resources {\n", "\n}"},
	{"resources", "task \"t\" {\n driver = \"raw_exec\"\n", "\n}"},
	{"task", "group \"g\" {\n", "\n}"},
	{"group", "job \"j\" {\n", "\n}"},
}

func (c *checker) check(t *testing.T, text string) error {
	t.Helper()
	file, diags := hclsyntax.ParseConfig([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	body := file.Body.(*hclsyntax.Body)
	first := ""
	if len(body.Blocks) > 0 {
		first = body.Blocks[0].Type
	}
	switch {
	case first == "constraint" || first == "affinity":
		text = "device \"gpu\" {\n" + text + "\n}"
		first = "device"
	case first == "plugin" || first == "client" || first == "telemetry" || first == "" && len(body.Attributes) > 0:
		return c.agent(t, text, body)
	}
	for _, wrapping := range around {
		if first == wrapping.inner {
			text = wrapping.open + text + wrapping.shut
			first, _, _ = strings.Cut(wrapping.open, " ")
		}
	}
	if first != "job" && first != "variable" {
		return fmt.Errorf("a block %q belongs neither into an agent's configuration nor into a job", first)
	}
	return c.job(text)
}

// agent checks a part of an agent's configuration.
func (c *checker) agent(t *testing.T, text string, body *hclsyntax.Body) error {
	t.Helper()
	dir := t.TempDir()
	base := filepath.Join(dir, "base.hcl")
	shown := filepath.Join(dir, "shown.hcl")
	whole := "data_dir = \"" + dir + "\"\nclient {\n enabled = true\n}\n"
	if err := errors.Join(os.WriteFile(base, []byte(whole), 0o600), os.WriteFile(shown, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.CommandContext(t.Context(), c.nomad.Path, "config", "validate", base, shown).CombinedOutput(); err != nil {
		return fmt.Errorf("nomad config validate: %w\n%s", err, output)
	}
	for _, b := range body.Blocks {
		if b.Type != "plugin" {
			continue
		}
		name := b.Labels[0]
		config, err := pluginclient.ParseConfig(text, name)
		if err != nil {
			return err
		}
		if settings, ok := c.drivers[name]; ok {
			for key := range config {
				if !slices.Contains(settings, key) {
					return fmt.Errorf("Nomad's driver %s has no setting %q", name, key)
				}
			}
			continue
		}
		plugin, ok := c.plugins[name]
		if !ok {
			return fmt.Errorf("there is no plugin %q", name)
		}
		if err := plugin.Configure(t.Context(), config); err != nil {
			return err
		}
	}
	return nil
}

// job reads a job, and checks what it asks for.
func (c *checker) job(text string) error {
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{Path: "job.nomad.hcl", Body: []byte(text), Strict: true})
	if err != nil {
		return err
	}
	for _, group := range job.TaskGroups {
		for _, task := range group.Tasks {
			if task.Resources == nil {
				continue
			}
			for _, request := range task.Resources.Devices {
				if err := c.request(request); err != nil {
					return fmt.Errorf("device %q: %w", request.Name, err)
				}
			}
		}
	}
	return nil
}

// request checks the name of a device and its constraints.
func (c *checker) request(request *api.RequestedDevice) error {
	vendor, kind, _ := splitName(request.Name)
	var may []attributes
	for plugin, of := range c.devices {
		if (vendor == "" || slices.Contains(vendors[plugin], vendor)) && slices.Contains(types[plugin], strings.TrimSuffix(kind, "-share")) {
			may = append(may, of)
		}
	}
	if len(may) == 0 {
		return errors.New("no plugin has such devices")
	}
	for _, constraint := range request.Constraints {
		if err := fits(may, constraint.LTarget, constraint.Operand, constraint.RTarget); err != nil {
			return err
		}
	}
	for _, affinity := range request.Affinities {
		if err := fits(may, affinity.LTarget, affinity.Operand, affinity.RTarget); err != nil {
			return err
		}
	}
	return nil
}

func splitName(name string) (vendor, kind, model string) {
	parts := strings.SplitN(name, "/", 3)
	switch len(parts) {
	case 1:
		return "", parts[0], ""
	case 2:
		return parts[0], parts[1], ""
	default:
		return parts[0], parts[1], parts[2]
	}
}

// TestHCLWrong sees that what is wrong is found to be wrong.
func TestHCLWrong(t *testing.T) {
	t.Parallel()
	c := newChecker(t)
	plugin := func(label, setting string) string {
		return "plugin \"" + label + "\" {\n config {\n" + setting + "\n}\n}"
	}
	for name, test := range map[string]struct{ text, says string }{
		"a setting that there is not":      {plugin("nomad-device-amd", `acess = "devices"`), "acess"},
		"a value that is refused":          {plugin("nomad-device-amd", `access = "nodes"`), "access"},
		"a plugin that there is not":       {plugin("amd", ""), `there is no plugin "amd"`},
		"a setting of the agent":           {"plugins_dir = \"/opt\"", "plugins_dir"},
		"a setting of a task driver":       {plugin("docker", `allow_runtime = ["amd"]`), "allow_runtime"},
		"no HCL":                           {`plugin "x {`, ""},
		"a vendor that there is not":       {`device "intel/gpu" {}`, "no plugin"},
		"a type that there is not":         {`device "nvidia/gpus" {}`, "no plugin"},
		"a key that there is not":          {"device \"gpu\" {\n counts = 1\n}", "counts"},
		"an attribute that there is not":   {"device \"amd/gpu\" {\n constraint {\n attribute = \"${device.attr.mem}\"\n value = \"1 GiB\"\n}\n}", "mem"},
		"an attribute of one vendor alone": {"device \"gpu\" {\n constraint {\n attribute = \"${device.attr.gfx_target}\"\n value = \"gfx942\"\n}\n}", "gfx_target"},
		"no unit":                          {"device \"gpu\" {\n constraint {\n attribute = \"${device.attr.memory}\"\n operator = \">=\"\n value = \"40\"\n}\n}", "unit"},
		"another unit":                     {"device \"gpu\" {\n constraint {\n attribute = \"${device.attr.memory}\"\n operator = \">=\"\n value = \"40 W\"\n}\n}", "unit"},
		"a version that is a number":       {"device \"gpu\" {\n constraint {\n attribute = \"${device.attr.driver_version}\"\n operator = \">=\"\n value = \"550.54\"\n}\n}", "version"},
		"a block of nothing":               {`share {}`, "belongs"},
	} {
		err := c.check(t, test.text)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got the error %v, want one with %q", name, err, test.says)
		}
	}
}
