package plugin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
)

// TestSharedDevice walks the way of a shared device over the protocol: its parts
// are offered, measured and reserved, and follow its health.
func TestSharedDevice(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	h.Put("2", coretest.Device("b"))
	p := serve(t, h, map[string]any{"share": []map[string]any{{"devices": []any{"a"}, "replicas": 4}}}, "a", "b")
	stream := follow(t, p)
	groups := next(t, stream)
	for len(told(groups)) != 5 {
		groups = next(t, stream)
	}
	if len(groups) != 2 || groups[0].Type != "gpu" || groups[1].Type != "gpu-share" {
		t.Fatalf("groups %+v", groups)
	}
	want := map[string]int64{"replicas": 4, "healthy_count": 4, "memory": 1024}
	for name, value := range want {
		if a := groups[1].Attributes[name]; a == nil || a.Int == nil || *a.Int != value {
			t.Errorf("attribute %s of the parts is %v, want %d", name, a, value)
		}
	}

	statistics, err := p.Stats(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, g := range (<-statistics).Groups {
		for id, s := range g.InstanceStats {
			seen[id] = g.Type + " " + s.Summary.Unit
		}
	}
	part := "gpu-share %"
	if diff := cmp.Diff(map[string]string{"a::1": part, "a::2": part, "a::3": part, "a::4": part, "b": "gpu %"}, seen); diff != "" {
		t.Errorf("statistics -want +got\n%s", diff)
	}
	if n := h.Calls("Measure a"); n != 1 {
		t.Errorf("the device was measured %d times for its four parts", n)
	}

	for _, ids := range [][]string{{"a::1"}, {"a::2", "a::3"}} {
		r, err := p.Reserve(ids)
		if err != nil || r.Envs["ACME_VISIBLE_DEVICES"] != "a" || len(r.Devices) != 1 {
			t.Errorf("%v: %+v, %v", ids, r, err)
		}
	}

	h.Fail("1", &core.Fault{Code: "lost", Severity: core.Hard, Reason: "lost", Remedy: "reboot"})
	sick := "lost; reboot"
	wantHealth := map[string]string{"a::1": sick, "a::2": sick, "a::3": sick, "a::4": sick, "b": "ok"}
	if diff := cmp.Diff(wantHealth, told(next(t, stream))); diff != "" {
		t.Errorf("health -want +got\n%s", diff)
	}
	if _, err := p.Reserve([]string{"a::1"}); err == nil || !strings.Contains(err.Error(), "a::1 is unhealthy") {
		t.Errorf("a part of a broken device was reserved: %v", err)
	}

	h.Fail("1", nil)
	// Nothing of it survives a configuration without the block.
	if err := setConfig(t, p, map[string]any{"fingerprint_period": "1s"}); err != nil {
		t.Fatal(err)
	}
	for groups = next(t, stream); len(told(groups)) != 2; groups = next(t, stream) {
	}
	if _, ok := told(groups)["a"]; !ok {
		t.Errorf("the device is not whole again: %v", told(groups))
	}
}
