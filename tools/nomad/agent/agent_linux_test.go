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
