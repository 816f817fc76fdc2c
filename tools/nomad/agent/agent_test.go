package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Main()
	os.Exit(m.Run())
}

func TestConfigText(t *testing.T) {
	t.Parallel()
	c := Config{
		Dir:    "/d",
		Chroot: map[string]string{"/x/probe": "/bin/probe"},
		Docker: "unix:///run/d.sock",
		Plugins: []Plugin{
			{Binary: "/p/nomad-device-x", Config: "a = 1\n\nb {\n  c = true\n}\n"},
		},
	}
	got := c.text(ports{http: 1, rpc: 2, serf: 3})
	for _, want := range []string{
		"plugin_dir           = \"/d/plugins\"\n",
		"  http = 1\n  rpc  = 2\n  serf = 3\n",
		"    \"driver.allowlist\"     = \"raw_exec,exec,docker\"\n",
		"  chroot_env {\n    \"/x/probe\" = \"/bin/probe\"\n  }\n",
		"    endpoint = \"unix:///run/d.sock\"\n",
		"plugin \"nomad-device-x\" {\n  config {\n    a = 1\n\n    b {\n      c = true\n    }\n  }\n}\n",
	} {
		if !strings.Contains(got, strings.ReplaceAll(want, "\n\n", "\n    \n")) && !strings.Contains(got, want) {
			t.Errorf("the configuration does not say\n%s\nbut\n%s", want, got)
		}
	}
}

func TestSpecHCL(t *testing.T) {
	t.Parallel()
	spec := Spec{
		Name: "j", Driver: "raw_exec", Command: "/bin/x", Args: []string{"-a", `"b"`}, Env: map[string]string{"K": "v"},
		Devices: []Request{{Device: "acme/sensor", Count: 2, Constraints: []Constraint{
			{Attribute: "memory", Operator: ">=", Value: "8 MiB"},
			{Attribute: "${device.ids}", Operator: "set_contains", Value: "a"},
		}}},
	}
	want := `      resources {
        cpu    = 20
        memory = 32

        device "acme/sensor" {
          count = 2
          constraint {
            attribute = "${device.attr.memory}"
            operator = ">="
            value = "8 MiB"
          }
          constraint {
            attribute = "${device.ids}"
            operator = "set_contains"
            value = "a"
          }
        }
      }
`
	if got := spec.HCL(); !strings.Contains(got, want) || !strings.Contains(got, `args = ["-a","\"b\""]`) {
		t.Errorf("the job is\n%s", got)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ output, want string }{
		"said": {
			output: "==> Starting Nomad agent...\n==> Error starting agent: 1 error:\n\n* plugin: not right:\n  a: b\n\n" +
				"    2026-01-01T00:00:00.000Z [ERROR] agent.docker: no docker\n",
			want: "==> Error starting agent: 1 error:|* plugin: not right:|  a: b",
		},
		"logged only": {
			output: "    2026-01-01T00:00:00.000Z [INFO]  agent: x\n    2026-01-01T00:00:00.000Z [ERROR] agent: y\n",
			want:   "2026-01-01T00:00:00.000Z [ERROR] agent: y",
		},
	} {
		if got := strings.Join(reasons(test.output), "|"); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestPinnedVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"require (\n\tgithub.com/hashicorp/nomad v1.2.3 // indirect\n)": "v1.2.3",
		"require github.com/hashicorp/nomad v1.2.3\n":                   "v1.2.3",
		"require github.com/hashicorp/nomad/api v1.2.3\n":               "",
	} {
		file := filepath.Join(t.TempDir(), "go.mod")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := pinnedVersion(file)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	if version, err := pinnedVersion(filepath.Join(root, "build", "nomad", "go.mod")); err != nil || version == "" {
		t.Errorf("the pinned version is %q, %v", version, err)
	}
}

// TestAgent lives one life of an agent with a plugin that needs no hardware.
func TestAgent(t *testing.T) {
	if err := Requirements(); err != nil {
		t.Skipf("this machine cannot run an agent: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	nomad, err := FindNomad(ctx, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(t.TempDir(), "probe")
	if err := Build(ctx, Program{Module: "tools", Package: "./nomad/probe", Output: probe, Env: []string{"CGO_ENABLED=0"}}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "agent")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := Start(ctx, Config{
		Nomad: nomad, Dir: dir, Chroot: map[string]string{probe: "/bin/probe"},
		Plugins: []Plugin{{Binary: plugintest.Binary(t), Config: "count = 3"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
		for _, pid := range processes() {
			if livesIn(pid, dir) {
				t.Errorf("process %d lives on", pid)
			}
		}
		if mounts, err := mountsBelow(dir); err != nil || len(mounts) > 0 {
			t.Errorf("mounts are left: %v, %v", mounts, err)
		}
	})
	groups, err := a.WaitDevices(ctx, "two groups", func(g []*api.NodeDeviceResource) bool { return len(g) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	if Instance(groups, "SN-2") == nil || Instance(groups, "SN-2").Healthy || Instance(groups, "SN-9") != nil {
		t.Errorf("groups: %s", describe(groups))
	}

	for driver, command := range map[string]string{"raw_exec": probe, "exec": "/bin/probe"} {
		job, err := a.Submit(ctx, Spec{
			Name: driver, Driver: driver, Command: command, Args: []string{"-env", "ACME_*,OWN", "-nodes", "/dev/sensor*"},
			Env:     map[string]string{"OWN": "mine"},
			Devices: []Request{{Device: "acme/sensor", Count: 2, Constraints: []Constraint{{Attribute: "memory", Operator: ">", Value: "8 MiB"}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		alloc, err := job.Wait(ctx, api.AllocClientStatusComplete)
		if err != nil {
			t.Fatal(err)
		}
		if got := Given(alloc); !slices.Equal(got, []string{"SN-0", "SN-1"}) {
			t.Errorf("%s was given %v", driver, got)
		}
		r, err := a.Report(ctx, alloc)
		if err != nil {
			t.Fatal(err)
		}
		sensors := strings.Split(r.Env["ACME_SENSORS"], ",")
		slices.Sort(sensors)
		if diff := cmp.Diff([]string{"SN-0", "SN-1"}, sensors); diff != "" || r.Env["OWN"] != "mine" {
			t.Errorf("%s sees %v", driver, r.Env)
		}
		// raw_exec sees the host's nodes, and so none of these.
		if want := map[string]int{"raw_exec": 0, "exec": 2}[driver]; len(r.Nodes) != want {
			t.Errorf("%s sees the nodes %v", driver, r.Nodes)
		}
	}

	blocked, err := a.Submit(ctx, Spec{Name: "blocked", Driver: "raw_exec", Command: probe, Devices: []Request{{Device: "acme/sensor", Count: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if why, err := blocked.WaitBlocked(ctx); err != nil || !strings.Contains(why, "missing devices") {
		t.Errorf("blocked over %q, %v", why, err)
	}

	held, err := a.Submit(ctx, Spec{Name: "held", Driver: "exec", Command: "/bin/probe", Args: []string{"-hold"}})
	if err != nil {
		t.Fatal(err)
	}
	before, err := held.Wait(ctx, api.AllocClientStatusRunning)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := a.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	after, err := held.Wait(ctx, api.AllocClientStatusRunning)
	if err != nil || after.ID != before.ID {
		t.Errorf("after a crash of the agent the task runs in %v, %v", after, err)
	}
	if got := len(a.PluginProcesses(plugintest.Name)); got == 0 {
		t.Error("no process of the plugin is found")
	}
	// Leave the held task to Close.
}

func TestAgentRefusesConfig(t *testing.T) {
	if err := Requirements(); err != nil {
		t.Skipf("this machine cannot run an agent: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	nomad, err := FindNomad(ctx, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = Start(ctx, Config{Nomad: nomad, Dir: dir, Plugins: []Plugin{{Binary: plugintest.Binary(t), Config: `period = "soon"`}}})
	if err == nil || !strings.Contains(err.Error(), `"soon" is no duration`) {
		t.Errorf("error: %v", err)
	}
	if _, err := os.Lstat(dir); err == nil {
		t.Errorf("%s is still there", dir)
	}
}
