package reservation_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/reservation"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// sharing is hardware that tells a task what it has of a device.
type sharing struct {
	*coretest.Hardware
	asked chan map[string]core.Share
}

func (s sharing) Shareable(core.Device) error { return nil }

func (s sharing) GrantShare(ctx context.Context, d core.Device, of core.Share) (core.Grant, error) {
	s.asked <- map[string]core.Share{d.ID: of}
	return s.Grant(ctx, d)
}

// shared returns a snapshot of devices a, b and c, of which c is whole and the
// others are offered by the rule.
func shared(t *testing.T, h *coretest.Hardware, rule config.Share) *fingerprint.Snapshot {
	t.Helper()
	rule.Devices = []string{"a", "b"}
	plan := share.NewPlan([]config.Share{rule}, h, hclog.NewNullLogger())
	for _, id := range []string{"a", "b", "c"} {
		h.Put(id, coretest.Device(id))
	}
	return offered(t, h, plan.Offer)
}

func TestPartsOfOneDeviceAreMerged(t *testing.T) {
	t.Parallel()
	fs := host(t, map[string]string{"dev/acme/a": "", "dev/acme/b": "", "dev/acme/c": ""})
	tests := map[string]struct {
		ids  []string
		want map[string]core.Share // of the shared devices
		env  string
	}{
		"one part":                {[]string{"a::2"}, map[string]core.Share{"a": {Replicas: 4, Held: 1}}, "a"},
		"two parts of one":        {[]string{"a::4", "a::1"}, map[string]core.Share{"a": {Replicas: 4, Held: 2}}, "a"},
		"unlike numbers of parts": {[]string{"b::1", "a::3", "b::2"}, map[string]core.Share{"a": {Replicas: 4, Held: 1}, "b": {Replicas: 4, Held: 1, Place: 1}}, "a,b"},
		"with a whole one":        {[]string{"c", "b::1"}, map[string]core.Share{"b": {Replicas: 4, Held: 1}}, "b,c"},
		"a whole one alone":       {[]string{"c"}, map[string]core.Share{}, "c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &coretest.Hardware{}
			vendor := sharing{h, make(chan map[string]core.Share, 8)}
			s := shared(t, h, config.Share{Replicas: 4})
			for _, v := range []core.Vendor{h, vendor} { // one with a say in it, and one without
				got, err := reservation.Assemble(t.Context(), v, s, test.ids, reservation.Options{Host: fs, Calls: guard.NewGroup(nil), Timeout: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if got.Env["ACME_VISIBLE_DEVICES"] != test.env || len(got.Nodes) != strings.Count(test.env, ",")+1 {
					t.Errorf("%T: got %+v, want each device once: %s", v, got, test.env)
				}
			}
			close(vendor.asked)
			asked := map[string]core.Share{}
			for one := range vendor.asked {
				maps.Copy(asked, one)
			}
			if diff := cmp.Diff(test.want, asked); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestTwoPartsInOneTaskAreRefusedIfConfigured(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	s := shared(t, h, config.Share{Replicas: 2, OnePerTask: true})
	options := reservation.Options{
		Host: host(t, map[string]string{"dev/acme/a": "", "dev/acme/b": ""}), Calls: guard.NewGroup(nil), Timeout: time.Second,
	}
	if _, err := reservation.Assemble(t.Context(), h, s, []string{"a::1", "b::1"}, options); err != nil {
		t.Errorf("parts of two devices: %v", err)
	}
	_, err := reservation.Assemble(t.Context(), h, s, []string{"a::1", "a::2", "b::1"}, options)
	for _, words := range []string{"device a", "a::1, a::2", "one_per_task", "count = 1"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v does not say %q", err, words)
		}
	}
	if n := h.Calls("Grant a") + h.Calls("Grant b"); n != 2 {
		t.Errorf("%d grants were asked for, want the two of the first reservation", n)
	}
}

// An ID from before the configuration changed is explained.
func TestPartThatIsNoMore(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	s := shared(t, h, config.Share{Replicas: 2})
	for id, words := range map[string]string{
		"a":    "is offered as a::1 to a::2",
		"a::3": "is offered as a::1 to a::2",
		"c::1": "is offered as a whole",
		"d::1": "was never there",
	} {
		_, err := reservation.Assemble(t.Context(), h, s, []string{id}, reservation.Options{Host: host(t, nil), Calls: guard.NewGroup(nil), Timeout: time.Second})
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: error %v does not say %q", id, err, words)
		}
	}
	if ids := slices.Sorted(maps.Keys(s.Wholes())); !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("whole devices %v", ids)
	}
}
