package share_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/health"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// picky is a vendor that shares and prepares what the test says.
type picky struct {
	*coretest.Hardware
	refused     error
	preparation time.Duration
}

func (p picky) Shareable(core.Device) error { return p.refused }

func (p picky) GrantShare(ctx context.Context, d core.Device, _ core.Share) (core.Grant, error) {
	return p.Grant(ctx, d)
}

func (p picky) Preparation(core.Device) time.Duration { return p.preparation }

func (p picky) Prepare(context.Context, core.Device) error { return nil }

func device(id, model string, pci core.PCIAddress) fingerprint.Device {
	return fingerprint.Device{
		Device: core.Device{
			ID: id, PCI: pci, Group: core.Group{Vendor: "acme", Type: "gpu", Name: model},
			Attributes: map[string]core.Value{"memory": core.Int(1024, core.MiB)},
		},
		Card:   id,
		Health: health.State{Healthy: true},
	}
}

var machine = []fingerprint.Device{
	device("GPU-a", "Acme One", "0000:3b:00.0"),
	device("GPU-b", "Acme One", "0000:86:00.0"),
	device("GPU-c", "Acme Two", ""),
}

// offered returns, by ID, the group of each device that is offered.
func offered(devices []fingerprint.Device) map[string]string {
	all := map[string]string{}
	for _, d := range devices {
		all[d.ID] = d.Group.String()
	}
	return all
}

func TestOffer(t *testing.T) {
	t.Parallel()
	const one, two, part = "acme/gpu/Acme One", "acme/gpu/Acme Two", "acme/gpu-share/Acme One"
	tests := map[string]struct {
		rules  []config.Share
		vendor core.Vendor
		want   map[string]string
	}{
		"no rule": {
			want: map[string]string{"GPU-a": one, "GPU-b": one, "GPU-c": two},
		},
		"by ID, in any case": {
			rules: []config.Share{{Devices: []string{"gpu-B"}, Replicas: 2}},
			want:  map[string]string{"GPU-a": one, "GPU-b::1": part, "GPU-b::2": part, "GPU-c": two},
		},
		"by address in another form": {
			rules: []config.Share{{Devices: []string{"3B:00.0"}, Replicas: 2}},
			want:  map[string]string{"GPU-a::1": part, "GPU-a::2": part, "GPU-b": one, "GPU-c": two},
		},
		"by model": {
			rules: []config.Share{{Devices: []string{"Acme One"}, Replicas: 2}},
			want:  map[string]string{"GPU-a::1": part, "GPU-a::2": part, "GPU-b::1": part, "GPU-b::2": part, "GPU-c": two},
		},
		"by the name of the group": {
			rules: []config.Share{{Devices: []string{two}, Replicas: 2}},
			want:  map[string]string{"GPU-a": one, "GPU-b": one, "GPU-c::1": "acme/gpu-share/Acme Two", "GPU-c::2": "acme/gpu-share/Acme Two"},
		},
		"the first rule counts, the last is for the rest": {
			rules: []config.Share{{Devices: []string{"Acme One"}, Replicas: 2, Type: "slice", NameSuffix: "-shared"}, {Replicas: 3}},
			want: map[string]string{
				"GPU-a::1": "acme/slice/Acme One-shared", "GPU-a::2": "acme/slice/Acme One-shared",
				"GPU-b::1": "acme/slice/Acme One-shared", "GPU-b::2": "acme/slice/Acme One-shared",
				"GPU-c::1": "acme/gpu-share/Acme Two", "GPU-c::2": "acme/gpu-share/Acme Two", "GPU-c::3": "acme/gpu-share/Acme Two",
			},
		},
		"the vendor refuses": {
			rules:  []config.Share{{Replicas: 2}},
			vendor: picky{refused: errors.New("it holds one tenant")},
			want:   map[string]string{"GPU-a": one, "GPU-b": one, "GPU-c": two},
		},
		"what is loaded anew is not shared": {
			rules:  []config.Share{{Replicas: 2}},
			vendor: picky{preparation: time.Second},
			want:   map[string]string{"GPU-a": one, "GPU-b": one, "GPU-c": two},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.vendor == nil {
				test.vendor = &coretest.Hardware{}
			}
			plan := share.NewPlan(test.rules, test.vendor, hclog.NewNullLogger())
			if diff := cmp.Diff(test.want, offered(plan.Offer(machine, true))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// A part is its device in all but the ID, the group and two attributes.
func TestPart(t *testing.T) {
	t.Parallel()
	sick := device("GPU-a", "Acme One", "0000:3b:00.0")
	sick.Health = health.State{Reason: "fell off the bus"}
	plan := share.NewPlan([]config.Share{{Replicas: 4, Strategy: "mps", OnePerTask: true}}, &coretest.Hardware{}, hclog.NewNullLogger())
	parts := plan.Offer([]fingerprint.Device{sick}, true)
	if len(parts) != 4 {
		t.Fatalf("%d parts, want 4", len(parts))
	}
	for i, p := range parts {
		if p.ID != share.PartID("GPU-a", i+1) || p.Health != sick.Health || p.PCI != sick.PCI || p.Card != sick.Card {
			t.Errorf("part %d: %+v", i+1, p)
		}
		if diff := cmp.Diff(fingerprint.Part{Of: sick.Device, Replicas: 4, Alone: true}, *p.Part, cmp.AllowUnexported(core.Value{})); diff != "" {
			t.Errorf("part of -want +got\n%s", diff)
		}
		want := map[string]core.Value{"memory": core.Int(1024, core.MiB), share.Sharing: core.String("mps"), share.Replicas: core.Count(4)}
		if diff := cmp.Diff(want, p.Attributes, cmp.AllowUnexported(core.Value{})); diff != "" {
			t.Errorf("attributes -want +got\n%s", diff)
		}
		if id, ok := share.CutID(p.ID); !ok || id != "GPU-a" {
			t.Errorf("%s is cut into %q, %v", p.ID, id, ok)
		}
	}
	if len(sick.Attributes) != 1 {
		t.Errorf("sharing changed the attributes of the device: %v", sick.Attributes)
	}
}

func TestCutID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"a::1": "a", "a::b::12": "a::b", "a": "", "a::": "", "a::b": "", "a::-1": "", "0000:3b:00.0": ""} {
		if got, ok := share.CutID(id); got != want || ok != (want != "") {
			t.Errorf("%q is cut into %q, %v; want %q", id, got, ok, want)
		}
	}
}

// What cannot be shared, and a name that means nothing, are told once, and again
// when they come back.
func TestPlanSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := hclog.New(&hclog.LoggerOptions{Output: &text, DisableTime: true})
	count := func(words string) int { return strings.Count(text.String(), words) }

	vendor := &picky{Hardware: &coretest.Hardware{}, refused: errors.New("it holds one tenant")}
	plan := share.NewPlan([]config.Share{{Devices: []string{"GPU-a", "Acme Tow"}, Replicas: 2}}, vendor, log)
	plan.Offer(nil, false)
	if text.Len() > 0 {
		t.Errorf("before all devices are known: %s", text.String())
	}
	for range 3 {
		plan.Offer(machine, true)
	}
	if count("it holds one tenant") != 1 || count("Acme Tow") != 1 || count("Acme Two") != 1 {
		t.Errorf("not one line each with the models there are:\n%s", text.String())
	}
	vendor.refused = nil
	plan.Offer(machine, true)
	vendor.refused = errors.New("it holds one tenant")
	plan.Offer(machine, true)
	if count("it holds one tenant") != 2 {
		t.Errorf("not told again:\n%s", text.String())
	}
}
