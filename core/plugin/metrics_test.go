package plugin

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/core/coretest"
)

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get returns what is served at an address, or "".
func get(address string) string {
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 20 s: %s", what)
		}
	}
}

// TestMetrics walks the endpoint's way: no port before there is a stream (a
// plugin is launched three times for each start of an agent), what was reserved
// is counted, and another configuration moves it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	first, second := freeAddress(t), freeAddress(t)
	p := serve(t, h, map[string]any{"metrics": []map[string]any{{"address": first}}}, "a")
	if _, err := p.PluginInfo(); err != nil {
		t.Fatal(err)
	}
	if text := get(first); text != "" {
		t.Fatalf("served before a stream was opened:\n%s", text)
	}
	stream := follow(t, p)
	for groups := next(t, stream); len(told(groups)) != 1; groups = next(t, stream) {
	}
	eventually(t, "metrics are served", func() bool { return strings.Contains(get(first), "nomad_device_load_ratio{") })
	if _, err := p.Reserve([]string{"a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reserve([]string{"b"}); err == nil {
		t.Fatal("a device that is not there was reserved")
	}
	text := get(first)
	for _, line := range []string{
		`nomad_device_plugin_info{plugin="nomad-device-acme",version="` + Version + `"} 1`,
		`nomad_device_plugin_reservations_total{outcome="granted"} 1`,
		`nomad_device_plugin_reservations_total{outcome="refused"} 1`,
		`nomad_device_plugin_call_duration_seconds_count{call="grant"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}

	if err := setConfig(t, p, map[string]any{"metrics": []map[string]any{{"address": second}}, "fingerprint_period": "1s"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "metrics moved", func() bool { return get(first) == "" && strings.Contains(get(second), "nomad_device_healthy{") })
	if err := setConfig(t, p, map[string]any{"fingerprint_period": "1s"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "metrics ended", func() bool { return get(second) == "" })
}

// A taken port costs the metrics and nothing else.
func TestMetricsOnATakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	p := serve(t, h, map[string]any{"metrics": []map[string]any{{"address": taken.Addr().String()}}}, "a")
	stream := follow(t, p)
	for groups := next(t, stream); len(told(groups)) != 1; groups = next(t, stream) {
	}
	if _, err := p.Reserve([]string{"a"}); err != nil {
		t.Error(err)
	}
	h.Put("2", coretest.Device("b"))
	for groups := next(t, stream); len(told(groups)) != 2; groups = next(t, stream) {
	}
}
