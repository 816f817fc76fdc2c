package doctor

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files and the table in docs/doctor.md anew")

// golden compares a text with a golden file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// healthy is a node on which all is well, with an agent and a job.
func healthy(t *testing.T) *stand {
	t.Helper()
	s := newStand(t, "nvidia/2xt4")
	s.requireNodes()
	s.agent()
	s.self = map[string]any{"PluginDir": s.plugins, "Plugins": []any{map[string]any{
		"Name": s.name, "Config": map[string]any{"script": filepath.Join(s.dir, "script.json"), "nvml_library": s.library},
	}}}
	s.job("exec", "", "device \"nvidia/gpu\" {\n  count = 2\n}")
	return s
}

// ill is the same node with much that is wrong with it.
func ill(t *testing.T) *stand {
	t.Helper()
	s := healthy(t)
	s.unbind(firstT4, "nouveau")
	s.remove(filepath.Join(s.root, "dev/nvidia-uvm"))
	s.library = filepath.Join(s.dir, "libnvidia-ml.so.550.54.15")
	s.write(s.library, minimalELF(machineHere), 0o644)
	s.write(filepath.Join(s.plugins, "nomad-device-fpga.zip"), "PK", 0o644)
	s.chmod(s.plugins, 0o777)
	s.label = "nvidia"
	s.script.Warn = "the fan of a card is loud"
	s.unhealthy(0)
	s.node.SchedulingEligibility = "ineligible"
	s.job("raw_exec", "", `device "nvidia/gpu" {
  count = 2
  constraint {
    attribute = "${device.attr.memory}"
    operator  = ">="
    value     = "40 GiB"
  }
  constraint {
    attribute = "${device.attr.driver_version}"
    operator  = ">="
    value     = "550"
  }
}`)
	return s
}

// TestText holds the whole text of a report for people.
func TestText(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(*testing.T) *stand{"healthy": healthy, "ill": ill} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := make(t)
			report := s.redacted(s.examine())
			checkFindings(t, report)
			golden(t, name+".txt", text(t, report))
		})
	}
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	r := &Report{}
	r.find(pluginAnswers, "nomad-device-amd", values{"version": "1", "api": "v0.1.0"})
	r.find(moduleMissing, firstAMD, values{"count": "1 AMD GPU", "module": "amdgpu"}, "a detail\nof two lines")
	r.find(clientDisabled, "agent.hcl", nil)
	for _, test := range []struct {
		name        string
		options     TextOptions
		has, hasNot []string
	}{
		{
			"plain",
			TextOptions{},
			[]string{
				"  problem  " + firstAMD + "  (module-missing)\n", "    mend  modprobe amdgpu\n", "      - a detail\n      - of two lines\n",
				"    mend  client {\n            enabled = true\n          }\n", "2 problems, 0 warnings, 0 notes, 1 check fine (--all shows them).\n", "systemctl restart nomad",
			},
			[]string{"\x1b", "plugin-answers"},
		},
		{"all", TextOptions{All: true}, []string{"(plugin-answers)", "1 check fine.\n"}, []string{"\x1b"}},
		{"colour", TextOptions{Colour: true}, []string{"  \x1b[1;31mproblem\x1b[0m  "}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			if err := r.WriteText(&b, test.options); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.has {
				if !strings.Contains(b.String(), want) {
					t.Errorf("it does not have %q:\n%s", want, b.String())
				}
			}
			for _, not := range test.hasNot {
				if strings.Contains(b.String(), not) {
					t.Errorf("it has %q:\n%s", not, b.String())
				}
			}
			for line := range strings.Lines(b.String()) {
				if n := len([]rune(line)); n > width+1 && !strings.HasPrefix(line, "Nomad looks") {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// TestJSON has what a program reads say the same as what was found.
func TestJSON(t *testing.T) {
	t.Parallel()
	r := &Report{}
	r.find(pluginAnswers, "nomad-device-amd", values{"version": "1", "api": "v0.1.0"})
	r.find(moduleMissing, firstAMD, values{"count": "1 AMD GPU", "module": "amdgpu"}, "a detail")
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"code":"plugin-answers","severity":"ok","link":"plugin","subject":"nomad-device-amd","what":"version 1 starts`
	if !strings.Contains(string(encoded), want) {
		t.Errorf("%s\ndoes not have\n%s", encoded, want)
	}
	var back Report
	if err := json.Unmarshal(encoded, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Errorf("-written +read\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"findings":[{"severity":"bad"}]}`), &back); err == nil || !strings.Contains(err.Error(), "ok, note, warning, problem") {
		t.Errorf("an unknown severity: %v", err)
	}
}
