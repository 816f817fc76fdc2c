package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
)

// patience is how long a busy machine may take for one thing.
const patience = 2 * time.Minute

// TestTopOfNomad shows who holds the GPUs of a real agent: one of them whole, and
// one in parts. It is not run beside the tests of check, which watch the clock.
func TestTopOfNomad(t *testing.T) {
	if err := agent.Requirements(); err != nil {
		t.Skipf("this machine cannot run a plugin under an agent, it needs %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	nomad, err := agent.FindNomad(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "top-") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	plugin, err := rig.BuildStatic(ctx, dir, "amd")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := amd.Start(filepath.Join(dir, "machine"), "4xmi210", nil)
	if err != nil {
		t.Fatal(err)
	}
	cards, err := machine.Cards()
	if err != nil {
		t.Fatal(err)
	}
	shared := cards[0].Devices[0]
	home := filepath.Join(dir, "agent")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := agent.Start(ctx, agent.Config{Nomad: nomad, Dir: home, Plugins: []agent.Plugin{{
		Binary: plugin,
		Config: rig.Quick + machine.Config() + "share {\n  devices = [\"" + shared + "\"]\n  replicas = 3\n}\n",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := a.WaitDevices(ctx, "6 devices", func(groups []*api.NodeDeviceResource) bool {
		devices := 0
		for _, g := range groups {
			devices += len(agent.Healthy(g))
		}
		return devices == 6
	}); err != nil {
		t.Fatal(err)
	}
	hold := func(name, device string) *api.Allocation {
		job, err := a.Submit(ctx, agent.Spec{
			Name: name, Driver: "raw_exec", Command: "/bin/sleep", Args: []string{"600"}, Devices: []agent.Request{{Device: device}},
		})
		if err != nil {
			t.Fatal(err)
		}
		alloc, err := job.Wait(ctx, api.AllocClientStatusRunning)
		if err != nil {
			t.Fatal(err)
		}
		return alloc
	}
	train, one, two := hold("train", "amd/gpu"), hold("notebook-1", "amd/gpu-share"), hold("notebook-2", "amd/gpu-share")

	d := topOnce(t, 0, "-nomad", "-address", a.Address())
	held := map[string][]string{}
	for _, device := range d.Devices {
		if device.Memory == nil || device.Heat == nil || !device.Healthy {
			t.Errorf("%s has no statistics or is not well: %+v", device.ID, device)
		}
		for _, h := range device.Holders {
			held[device.ID] = append(held[device.ID], strings.Join([]string{h.Namespace, h.Job, h.Group, h.Task, h.AllocID, h.Device}, " "))
		}
	}
	whole := agent.Given(train)[0]
	line := func(job string, alloc *api.Allocation) string {
		return "default " + job + " task task " + alloc.ID + " " + agent.Given(alloc)[0]
	}
	parts := []string{line("notebook-1", one), line("notebook-2", two)}
	slices.Sort(held[shared])
	want := map[string][]string{whole: {line("train", train)}, shared: parts}
	if diff := cmp.Diff(want, held); diff != "" || len(d.Devices) != 4 {
		t.Errorf("%d devices, held by (-want +got):\n%s", len(d.Devices), diff)
	}

	self, err := a.Node(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"top", "-nomad", "-once", "-address", a.Address(), "-node", self.ID[:6], "-filter", "train"}
	if code := run(ctx, args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d, stderr %q", code, stderr.String())
	}
	if text := stdout.String(); !strings.Contains(text, "train/task "+train.ID[:8]) || strings.Contains(text, shared) {
		t.Errorf("the table is\n%s", text)
	}
	for _, device := range topOnce(t, 0, "-nomad", "-address", a.Address(), "-namespace", "other", "-node", self.Name).Devices {
		for _, h := range device.Holders {
			if h.Namespace != "default" || h.Job != "" || h.AllocID != "" {
				t.Errorf("of another namespace it tells %+v", h)
			}
		}
	}
	if d := topOnce(t, 1, "-nomad", "-address", a.Address(), "-node", "nobody"); !strings.Contains(d.Sources[0].Trouble, `no node with the name or ID "nobody"`) {
		t.Errorf("of a node that is none: %+v", d.Sources)
	}
}

// TestTopOfNomadInTrouble says in words what an agent does not tell.
func TestTopOfNomadInTrouble(t *testing.T) {
	t.Parallel()
	answer := func(code int, text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Nomad-Token") != "secret" || r.URL.Query().Get("region") != "west" {
				code, text = http.StatusTeapot, "neither token nor region"
			}
			http.Error(w, text, code)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, test := range map[string]struct {
		address string
		args    []string
		want    string
	}{
		"no agent":  {closed.URL, nil, "asking the agent at " + closed.URL},
		"forbidden": {answer(http.StatusForbidden, "Permission denied"), nil, "the token needs agent:read"},
		"nodes":     {answer(http.StatusForbidden, "Permission denied"), []string{"-node", "x"}, "the token needs node:read"},
		"error":     {answer(http.StatusInternalServerError, "no leader"), nil, "Internal Server Error: no leader"},
		"server":    {answer(http.StatusOK, `{"stats": {"nomad": {}}}`), nil, "is no client and has no node"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := topOnce(t, 1, append([]string{"-nomad", "-address", test.address, "-token", "secret", "-region", "west"}, test.args...)...)
			if got := d.Sources[0].Trouble; !strings.Contains(got, test.want) {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"top", "-nomad", "-once", "-ca-cert", "no-such-file"}, &stderr, &stderr); code != 1 ||
		!strings.Contains(stderr.String(), "no-such-file") {
		t.Errorf("with a CA that is missing: exit %d, %s", code, stderr.String())
	}
}
