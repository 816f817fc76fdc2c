package demo

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

func TestShowDevices(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &stage{say: &narrator{out: &out, acts: 2}}
	s.say.act("Look")
	s.showDevices([]*api.NodeDeviceResource{
		{
			Vendor: "acme", Type: "gpu", Name: "Big One",
			Attributes: map[string]*api.Attribute{"memory": {IntVal: new(int64(40)), Unit: "GiB"}},
			Instances: []*api.NodeDevice{
				{ID: "GPU-1234567890", Healthy: true},
				{ID: "GPU-2", HealthDescription: "it smokes"},
			},
		},
		{Vendor: "acme", Type: "gpu", Name: "Small", Instances: []*api.NodeDevice{{ID: "GPU-3", Healthy: true}}},
	}, "memory")
	want := `
[1/2] Look
      GROUP             DEVICE         HEALTH     MEMORY
      acme/gpu/Big One  GPU-12345678…  healthy    40 GiB
                        GPU-2          UNHEALTHY  40 GiB
      acme/gpu/Small    GPU-3          healthy    -
      GPU-2: it smokes
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWishes(t *testing.T) {
	t.Parallel()
	got := wishes(agent.Spec{Devices: []agent.Request{
		bigGPU(2),
		{Device: "acme/sensor", Constraints: []agent.Constraint{{Attribute: "kind", Value: "hot"}}},
	}})
	want := `2 nvidia/gpu with memory >= "40 GiB" and compute_capability version ">= 9.0", 1 acme/sensor with kind = "hot"`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb", 5, "a\nb"},
		{"", 5, ""},
	} {
		if got := lastLines(test.text, test.most); got != test.want {
			t.Errorf("lastLines(%q, %d) = %q, want %q", test.text, test.most, got, test.want)
		}
	}
}
