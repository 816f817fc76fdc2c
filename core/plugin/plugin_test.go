package plugin

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
)

// testConfig is the configuration of the plugin under test.
type testConfig struct {
	config.Common
	Colour string `hcl:"colour" default:"red" oneof:"red,green" doc:"The colour of the devices."`
}

// definition is a plugin over hardware that the test holds in its hand.
func definition(h *coretest.Hardware) Definition[*testConfig] {
	return Definition[*testConfig]{
		Name:     "nomad-device-acme",
		Defaults: config.Defaults[testConfig],
		New:      func(*testConfig, Env) core.Vendor { return h },
	}
}

// serve connects to the plugin as Nomad does, over gRPC. Nodes of the devices
// named exist below the host root that it configures.
func serve(t *testing.T, h *coretest.Hardware, settings map[string]any, nodes ...string) device.DevicePlugin {
	t.Helper()
	root := t.TempDir()
	for _, id := range nodes {
		path := filepath.Join(root, coretest.Node(id))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := hclog.New(&hclog.LoggerOptions{Output: t.Output(), Level: hclog.Debug})
	a := newAdapter(definition(h), log, newLifetime(log, func(int) {}))
	client, _ := goplugin.TestPluginGRPCConn(t, true, map[string]goplugin.Plugin{
		base.PluginTypeBase:   &base.PluginBase{Impl: a},
		base.PluginTypeDevice: &device.PluginDevice{Impl: a},
	})
	t.Cleanup(func() {
		_ = client.Close()
		a.close()
	})
	raw, err := client.Dispense(base.PluginTypeDevice)
	if err != nil {
		t.Fatal(err)
	}
	p := raw.(device.DevicePlugin)
	all := map[string]any{"host_root": root, "fingerprint_period": "1s", "driver_timeout": "300ms", "stats_timeout": "200ms", "health": []map[string]any{{"recover_after": "1"}}}
	maps.Copy(all, settings)
	if err := setConfig(t, p, all); err != nil {
		t.Fatalf("SetConfig: %v", err)
	}
	return p
}

func setConfig(t *testing.T, p device.DevicePlugin, settings map[string]any) error {
	t.Helper()
	var packed []byte
	if err := base.MsgPackEncode(&packed, settings); err != nil {
		t.Fatal(err)
	}
	return p.SetConfig(&base.Config{ApiVersion: device.ApiVersion010, PluginConfig: packed})
}

// next returns the next message of a fingerprint stream.
func next(t *testing.T, stream <-chan *device.FingerprintResponse) []*device.DeviceGroup {
	t.Helper()
	select {
	case m, ok := <-stream:
		if !ok || m.Error != nil {
			t.Fatalf("the stream ended: %+v", m)
		}
		for _, g := range m.Devices {
			if err := g.Validate(); err != nil {
				t.Errorf("Nomad refuses the group: %v", err)
			}
		}
		return m.Devices
	case <-time.After(10 * time.Second):
		t.Fatal("no message in 10 s")
		return nil
	}
}

// silent fails the test if there is a message within the time.
func silent(t *testing.T, stream <-chan *device.FingerprintResponse, d time.Duration) {
	t.Helper()
	select {
	case m, ok := <-stream:
		t.Fatalf("a message although nothing changed (open %v): %+v", ok, m)
	case <-time.After(d):
	}
}

// told returns the health that a message tells, "ok" or the reason.
func told(groups []*device.DeviceGroup) map[string]string {
	all := map[string]string{}
	for _, g := range groups {
		for _, d := range g.Devices {
			all[d.ID] = "ok"
			if !d.Healthy {
				all[d.ID] = d.HealthDesc
			}
		}
	}
	return all
}

func follow(t *testing.T, p device.DevicePlugin) <-chan *device.FingerprintResponse {
	t.Helper()
	stream, err := p.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestPluginInfo(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	info, err := serve(t, h, nil).PluginInfo()
	if err != nil {
		t.Fatal(err)
	}
	want := &base.PluginInfoResponse{Type: "device", PluginApiVersions: []string{"v0.1.0"}, PluginVersion: Version, Name: "nomad-device-acme"}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if h.Calls("Discover") != 0 {
		t.Error("telling who it is touched the hardware")
	}
}

func TestFingerprintFollowsTheHardware(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	stream := follow(t, serve(t, h, nil))
	if got := next(t, stream); len(got) != 0 {
		t.Fatalf("no hardware, but groups %v", got)
	}

	d := coretest.Device("a")
	d.PCI = "0000:3b:00.0"
	h.Put("1", d)
	groups := next(t, stream)
	if len(groups) != 1 {
		t.Fatalf("%d groups, want one", len(groups))
	}
	g := groups[0]
	if g.Vendor != "acme" || g.Type != "gpu" || g.Name != "Acme One" {
		t.Errorf("group %s/%s/%s", g.Vendor, g.Type, g.Name)
	}
	want := []*device.Device{{ID: "a", Healthy: true, HwLocality: &device.DeviceLocality{PciBusID: "0000:3b:00.0"}}}
	if diff := cmp.Diff(want, g.Devices); diff != "" {
		t.Errorf("devices -want +got\n%s", diff)
	}
	if m := g.Attributes["memory"]; m == nil || m.Int == nil || *m.Int != 1024 || m.Unit != "MiB" {
		t.Errorf("memory is %v", m)
	}
	if n := g.Attributes["healthy_count"]; n == nil || n.Int == nil || *n.Int != 1 {
		t.Errorf("healthy_count is %v", n)
	}
	silent(t, stream, 2500*time.Millisecond)

	h.Fail("1", &core.Fault{Code: "lost", Severity: core.Hard, Reason: "lost", Remedy: "reboot"})
	if diff := cmp.Diff(map[string]string{"a": "lost; reboot"}, told(next(t, stream))); diff != "" {
		t.Errorf("broken -want +got\n%s", diff)
	}
	h.Fail("1", nil)
	if diff := cmp.Diff(map[string]string{"a": "ok"}, told(next(t, stream))); diff != "" {
		t.Errorf("mended -want +got\n%s", diff)
	}
}

func TestFirstMessageIsInTime(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings map[string]any
		hardware func(*coretest.Hardware) (release func())
		want     map[string]string
	}{
		"nothing there": {want: map[string]string{}},
		"disabled": {
			settings: map[string]any{"enabled": false},
			hardware: func(h *coretest.Hardware) func() { h.Put("1", coretest.Device("a")); return func() {} },
			want:     map[string]string{},
		},
		"everything hangs": {
			settings: map[string]any{"driver_timeout": "1m"},
			hardware: func(h *coretest.Hardware) func() { return h.HangDiscover() },
			want:     map[string]string{},
		},
		"looking fails": {
			hardware: func(h *coretest.Hardware) func() { h.FailDiscover(errors.New("no")); return func() {} },
			want:     map[string]string{},
		},
		"one card of two hangs": {
			settings: map[string]any{"driver_timeout": "1m"},
			hardware: func(h *coretest.Hardware) func() {
				h.Put("1", coretest.Device("a"))
				h.Put("2", coretest.Device("b"))
				return h.Hang("2")
			},
			want: map[string]string{"a": "ok"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &coretest.Hardware{}
			if test.hardware != nil {
				t.Cleanup(test.hardware(h))
			}
			p := serve(t, h, test.settings)
			start := time.Now()
			got := next(t, follow(t, p))
			if took := time.Since(start); took > 5*time.Second { // it would be for ever
				t.Errorf("the first message took %v", took)
			}
			if diff := cmp.Diff(test.want, told(got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestEachStreamStartsWithEverything(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"), coretest.Device("b"))
	p := serve(t, h, nil)
	first := next(t, follow(t, p))
	for range 3 {
		if diff := cmp.Diff(first, next(t, follow(t, p))); diff != "" {
			t.Errorf("another stream -want +got\n%s", diff)
		}
	}
}

// It looks at the plugin without gRPC, since Nomad's own client leaks.
func TestClosedStreamsLeaveNothingBehind(t *testing.T) {
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	p, closePlugin := New(definition(h), hclog.NewNullLogger())
	defer closePlugin()
	next(t, follow(t, p))
	before := runtime.NumGoroutine()
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		f, err := p.Fingerprint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s, err := p.Stats(ctx, time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		next(t, f)
		<-s
		cancel()
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+5 {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before the streams\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestSetConfig(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"), coretest.Device("b"))
	p := serve(t, h, nil)

	err := setConfig(t, p, map[string]any{
		"fingerprint_period": "10ms", "colour": "blue", "health": []map[string]any{{"recover_after": "soon"}},
	})
	if err == nil {
		t.Fatal("a bad configuration was taken")
	}
	for _, key := range []string{"fingerprint_period", "colour", "health.recover_after"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("the error does not name %s: %v", key, err)
		}
	}
	if h.Calls("Discover") != 0 {
		t.Error("SetConfig touched the hardware")
	}

	stream := follow(t, p)
	if diff := cmp.Diff(map[string]string{"a": "ok", "b": "ok"}, told(next(t, stream))); diff != "" {
		t.Errorf("the bad configuration replaced the good one: -want +got\n%s", diff)
	}
	// Another configuration takes effect in the open stream and replaces all of
	// the one before.
	if err := setConfig(t, p, map[string]any{"ignored_ids": []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"b": "ok"}, told(next(t, stream))); diff != "" {
		t.Errorf("a is ignored: -want +got\n%s", diff)
	}
	if err := setConfig(t, p, map[string]any{"ignored_ids": []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "ok"}, told(next(t, stream))); diff != "" {
		t.Errorf("b is ignored: -want +got\n%s", diff)
	}
	if err := setConfig(t, p, map[string]any{"enabled": false}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, stream); len(got) != 0 {
		t.Errorf("disabled, but groups %v", got)
	}
	if h.Closed() == 0 {
		t.Error("the vendor of the configuration before was not given back")
	}
}

func TestNoConfigIsTheDefaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*base.Config{"nil": nil, "empty": {}, "no keys": {PluginConfig: []byte{0x80}}, "null": {PluginConfig: []byte{0xc0}}} {
		a := newAdapter(definition(&coretest.Hardware{}), hclog.NewNullLogger(), newLifetime(hclog.NewNullLogger(), func(int) {}))
		if err := a.SetConfig(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(a.config, config.Defaults[testConfig]()) {
			t.Errorf("%s: config %+v", name, a.config)
		}
	}
}

func TestReserve(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"), coretest.Device("b"), coretest.Device("nodeless"))
	sick := coretest.Device("sick")
	sick.Faults = []core.Fault{{Code: "x", Severity: core.Hard, Reason: "broken"}}
	h.Put("2", sick)
	p := serve(t, h, nil, "a", "b")

	// The first call is made before anything was looked at.
	got, err := p.Reserve([]string{"b", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Envs["ACME_VISIBLE_DEVICES"] != "a,b" || len(got.Devices) != 2 || len(got.Mounts) != 0 ||
		got.Devices[0].TaskPath != coretest.Node("a") || got.Devices[0].CgroupPerms != "rw" {
		t.Errorf("reservation %+v", got)
	}
	for _, d := range got.Devices {
		if _, err := os.Lstat(d.HostPath); err != nil {
			t.Errorf("the node does not exist: %v", err)
		}
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			again, err := p.Reserve([]string{"a", "b"})
			if err != nil || !reflect.DeepEqual(got, again) {
				t.Errorf("the same devices again: %+v, %v", again, err)
			}
		})
	}
	wg.Wait()
	if got, err := p.Reserve(nil); err != nil || got == nil {
		t.Errorf("no devices: %v, %v", got, err)
	}
	for id, want := range map[string]string{"zzz": `"zzz" is not known`, "sick": "broken", "nodeless": "does not exist"} {
		if got, err := p.Reserve([]string{"a", id}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want %q", id, got, err, want)
		}
	}
}

func TestReserveAnswersWhileTheDriverHangs(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	h.Put("2", coretest.Device("b"))
	t.Cleanup(h.Hang("2"))
	p := serve(t, h, nil, "a")
	if _, err := p.Reserve([]string{"a"}); err != nil {
		t.Errorf("a device beside the one that hangs: %v", err)
	}
	start := time.Now()
	if _, err := p.Reserve([]string{"b"}); err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("the device that hangs: %v after %v", err, time.Since(start))
	}
}

// A fresh process that cannot know a device yet must not say that there is none.
func TestReserveBeforeTheDriverAnswers(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*coretest.Hardware) (release func()){
		"hangs": (*coretest.Hardware).HangDiscover,
		"fails": func(h *coretest.Hardware) func() { h.FailDiscover(errors.New("no")); return func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &coretest.Hardware{}
			h.Put("1", coretest.Device("a"))
			t.Cleanup(breakIt(h))
			p := serve(t, h, nil, "a")
			start := time.Now()
			_, err := p.Reserve([]string{"a"})
			if err == nil || !strings.Contains(err.Error(), "the driver has not answered") || time.Since(start) > 10*time.Second {
				t.Errorf("error %v after %v", err, time.Since(start))
			}
		})
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	h.Put("2", coretest.Device("b"))
	sick := coretest.Device("sick")
	sick.Faults = []core.Fault{{Code: "x", Severity: core.Hard, Reason: "broken"}}
	h.Put("3", sick)
	p := serve(t, h, nil)
	stream, err := p.Stats(t.Context(), 600*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	read := func() map[string]*device.DeviceStats {
		t.Helper()
		select {
		case m, ok := <-stream:
			if !ok || m.Error != nil || len(m.Groups) != 1 {
				t.Fatalf("message %+v, open %v", m, ok)
			}
			return m.Groups[0].InstanceStats
		case <-time.After(5 * time.Second):
			t.Fatal("no statistics in 5 s")
			return nil
		}
	}
	got := read()
	if len(got) != 3 {
		t.Fatalf("statistics of %d devices, want all three", len(got))
	}
	s := got["a"]
	if s.Summary == nil || s.Summary.IntNumeratorVal == nil || *s.Summary.IntNumeratorVal != 50 || *s.Summary.IntDenominatorVal != 100 || s.Summary.Unit != "%" {
		t.Errorf("summary %+v, want 50 of 100 %%", s.Summary)
	}
	if v := s.Stats.Attributes["Heat"]; v == nil || v.FloatNumeratorVal == nil || *v.FloatNumeratorVal != 40.5 {
		t.Errorf("heat %+v", v)
	}
	if v := got["sick"].Summary.StringVal; v == nil || *v != "unhealthy: broken" {
		t.Errorf("summary of a sick device %+v", got["sick"].Summary)
	}

	release := h.Hang("2")
	t.Cleanup(release)
	var last map[string]*device.DeviceStats
	for range 4 {
		start := time.Now()
		last = read()
		if took := time.Since(start); took > 5*time.Second { // it would be for ever
			t.Errorf("a message took %v beside a device that hangs", took)
		}
		if len(last) != 3 || len(last["a"].Stats.Attributes) != 2 {
			t.Errorf("the others lost their statistics: %v", last)
		}
	}
	if v := last["b"]; len(v.Stats.Attributes) != 0 || v.Summary.StringVal == nil {
		t.Errorf("the device that hangs: %+v", v)
	}
	h.Remove("1")
	deadline := time.Now().Add(5 * time.Second)
	for *orEmpty(read()["a"].Summary.StringVal) == "" {
		if time.Now().After(deadline) {
			t.Fatal("a device that is gone still has numbers as its summary")
		}
	}
}

func orEmpty(s *string) *string {
	if s == nil {
		return new("")
	}
	return s
}
