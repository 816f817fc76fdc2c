package pluginclient

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

// start starts the stub, configured with settings.
func start(t *testing.T, opts Options, settings ...string) *Plugin {
	t.Helper()
	p, err := Start(t.Context(), plugintest.Binary(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		select {
		case <-p.Exited():
		default:
			t.Error("the plugin is alive after Close")
		}
	})
	config := Config{}
	for _, s := range settings {
		if err := config.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Configure(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	return p
}

// first returns the first message of a stream.
func first[V any](t *testing.T, messages func(func(V, error) bool)) (V, error) {
	t.Helper()
	for v, err := range messages {
		return v, err
	}
	var none V
	t.Fatal("the stream ended without a message")
	return none, nil
}

func TestGoodPlugin(t *testing.T) {
	t.Parallel()
	p := start(t, Options{}, "count=3")
	if p.Name() != plugintest.Name || p.PID() == os.Getpid() {
		t.Errorf("name %q, PID %d", p.Name(), p.PID())
	}
	info, err := p.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != plugintest.Name || info.PluginVersion != "1.2.3" {
		t.Errorf("info: %+v", info)
	}
	groups, err := first(t, p.Fingerprints(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || len(groups[0].Devices)+len(groups[1].Devices) != 4 {
		t.Errorf("fingerprint: %v", groups)
	}
	timings := p.Timings()
	if timings.Handshake <= 0 || timings.FirstFingerprint <= timings.Handshake {
		t.Errorf("timings: %+v", timings)
	}

	messages := 0
	for stats, err := range p.Stats(t.Context(), time.Millisecond) {
		if err != nil || len(stats) != 2 {
			t.Fatal(stats, err)
		}
		if messages++; messages == 3 {
			break
		}
	}

	got, err := p.Reserve(t.Context(), []string{"SN-0", "PR-0"})
	if err != nil {
		t.Fatal(err)
	}
	want := &device.ContainerReservation{
		Envs: map[string]string{"ACME_MODE": "shared", "ACME_SENSORS": "SN-0,PR-0"},
		Devices: []*device.DeviceSpec{
			{HostPath: "/dev/null", TaskPath: "/dev/sensor-SN-0", CgroupPerms: "rw"},
			{HostPath: "/dev/null", TaskPath: "/dev/sensor-PR-0", CgroupPerms: "rw"},
		},
		Mounts: []*device.Mount{{HostPath: "/usr", TaskPath: "/opt/acme", ReadOnly: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reservation (-want +got):\n%s", diff)
	}
	if _, err := p.Reserve(t.Context(), []string{"SN-9"}); err == nil || err.Error() != `Reserve: no device "SN-9"; there are ["PR-0" "SN-0" "SN-1" "SN-2"]` {
		t.Errorf("unknown device: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// It stays for a moment: of a process that ends while it is started, go-plugin
	// v1.7.0 has a data race (client.go:771 and 794).
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nsleep 0.3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		path string
		opts Options
		want []string
	}{
		"missing":        {path: filepath.Join(dir, "none"), want: []string{"plugin binary", "no such file"}},
		"directory":      {path: dir, want: []string{"is a directory"}},
		"not executable": {path: plain, want: []string{"not executable", "chmod +x"}},
		"not a plugin":   {path: script, want: []string{"ended without a handshake"}},
		"dies": {
			opts: Options{Env: []string{plugintest.StartVariable + "=exit"}},
			want: []string{"ended without a handshake", "[ERROR] the sensor bus is on fire: bus=7"},
		},
		"talks": {
			opts: Options{Env: []string{plugintest.StartVariable + "=talk"}},
			want: []string{`"hello, I am a sensor"`, "must write nothing else"},
		},
		"hangs": {
			opts: Options{Env: []string{plugintest.StartVariable + "=hang"}, StartTimeout: 200 * time.Millisecond},
			want: []string{"no handshake on stdout in time"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := test.path
			if path == "" {
				path = plugintest.Binary(t)
			}
			p, err := Start(t.Context(), path, test.opts)
			if err == nil {
				p.Close()
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestStartEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("enough"))
	defer cancel()
	begun := time.Now()
	_, err := Start(ctx, plugintest.Binary(t), Options{Env: []string{plugintest.StartVariable + "=hang"}})
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error: %v", err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestStreamFaults(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"end":     "Fingerprint: the plugin ended the stream",
		"error":   "the bus is on fire",
		"invalid": "group acme/sensor/ would make Nomad drop the plugin",
		"exit":    "Fingerprint: the plugin died (exit status 4); its log says:",
		"panic":   "panic: runtime error: invalid memory address",
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			p := start(t, Options{}, "behaviour="+behaviour)
			var last error
			for _, err := range p.Fingerprints(t.Context()) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), want) {
				t.Errorf("error %v does not say %q", last, want)
			}
		})
	}
}

func TestStreamEndsWithContext(t *testing.T) {
	t.Parallel()
	p := start(t, Options{}, "behaviour=silent")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for groups, err := range p.Fingerprints(ctx) {
		t.Errorf("got %v, %v", groups, err)
	}
}

func TestStatsError(t *testing.T) {
	t.Parallel()
	p := start(t, Options{}, "behaviour=stats-error")
	_, err := first(t, p.Stats(t.Context(), time.Second))
	if err == nil || !strings.Contains(err.Error(), "nothing to count with") {
		t.Errorf("error: %v", err)
	}
}

func TestReserveFaults(t *testing.T) {
	t.Parallel()
	hangs := start(t, Options{}, "behaviour=hang")
	hangs.limit = 100 * time.Millisecond // only now: the calls before it may take longer
	if _, err := hangs.Reserve(t.Context(), []string{"SN-0"}); err == nil || !strings.Contains(err.Error(), "no answer from stub-device within 100ms") {
		t.Errorf("hang: %v", err)
	}
	dies := start(t, Options{}, "behaviour=exit-reserve")
	_, err := dies.Reserve(t.Context(), []string{"SN-0"})
	for _, want := range []string{"the plugin died (exit status 5)", "giving up: reason="} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("death: %v does not say %q", err, want)
		}
	}
}

func TestKillIsSeen(t *testing.T) {
	t.Parallel()
	p := start(t, Options{})
	if s := p.ExitStatus(); s != "" {
		t.Errorf("alive and %q", s)
	}
	p.Kill()
	if s := p.ExitStatus(); s != "signal: killed" {
		t.Errorf("status %q", s)
	}
	if err := syscall.Kill(p.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	lines := make(chan LogLine, 100)
	p := start(t, Options{OnLog: func(l LogLine) { lines <- l }}, "period=90s", `ignored=["a","b"]`, "health.after=7")
	for {
		select {
		case l := <-lines:
			if l.Message != "configured" {
				continue
			}
			if want := `[INFO] configured: after=7 count=2 ignored="[a b]" period=90s`; l.String() != want || l.Module != plugintest.Name {
				t.Errorf("got %q of %q, want %q", l, l.Module, want)
			}
			if len(p.Logs()) == 0 {
				t.Error("no line was kept")
			}
			return
		case <-time.After(10 * time.Second):
			t.Fatal("no log line")
		}
	}
}
