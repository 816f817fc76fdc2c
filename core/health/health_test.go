package health_test

import (
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/health"
)

var (
	policy = health.Policy{UnhealthyAfter: config.Span{Looks: 3}, RecoverAfter: config.Span{Time: 30 * time.Second}}

	soft    = core.Fault{Code: "slow", Severity: core.Soft, Reason: "slow", Remedy: "wait"}
	hard    = core.Fault{Code: "lost", Severity: core.Hard, Reason: "lost", Remedy: "reboot the node"}
	latched = core.Fault{Code: "xid-79", Severity: core.Hard, Latched: true, Reason: "XID 79"}
	notice  = core.Fault{Code: "pending", Severity: core.Notice, Reason: "remap pending"}
)

// step is one thing that happens to a device, and what Nomad is to be told then.
type step struct {
	at      time.Duration
	look    []core.Fault // a look, unless event or returned is set
	cleared []string
	event   *core.Fault
	back    bool // the device was away and is back, then the look
	healthy bool
	reason  string
	settled bool
}

func TestTracker(t *testing.T) {
	t.Parallel()
	const s = time.Second
	tests := map[string]struct {
		policy health.Policy
		steps  []step
	}{
		"a device that is well is healthy at first sight": {policy, []step{
			{at: 0, healthy: true, settled: true},
		}},
		"a soft fault at first sight counts at once": {policy, []step{
			{at: 0, look: []core.Fault{soft}, reason: "slow; wait", settled: true},
		}},
		"a soft fault needs three looks in a row": {policy, []step{
			{at: 0, healthy: true, settled: true},
			{at: 1 * s, look: []core.Fault{soft}, healthy: true},
			{at: 2 * s, look: []core.Fault{soft}, healthy: true},
			{at: 3 * s, healthy: true, settled: true},
			{at: 4 * s, look: []core.Fault{soft}, healthy: true},
			{at: 5 * s, look: []core.Fault{soft}, healthy: true},
			{at: 6 * s, look: []core.Fault{soft}, reason: "slow; wait", settled: true},
		}},
		"a soft fault for a time": {health.Policy{UnhealthyAfter: config.Span{Time: 5 * s}, RecoverAfter: config.Span{Looks: 2}}, []step{
			{at: 0, healthy: true, settled: true},
			{at: 10 * s, look: []core.Fault{soft}, healthy: true},
			{at: 14 * s, look: []core.Fault{soft}, healthy: true},
			{at: 15 * s, look: []core.Fault{soft}, reason: "slow; wait", settled: true},
			{at: 16 * s, reason: "slow; wait"},
			{at: 17 * s, healthy: true, settled: true},
		}},
		"a hard fault counts at once, recovery takes its time": {policy, []step{
			{at: 0, healthy: true, settled: true},
			{at: 10 * s, look: []core.Fault{hard}, reason: "lost; reboot the node", settled: true},
			{at: 20 * s, reason: "lost; reboot the node"},
			{at: 49 * s, reason: "lost; reboot the node"},
			{at: 50 * s, healthy: true, settled: true},
		}},
		"a fault while recovering starts the wait again": {policy, []step{
			{at: 0, look: []core.Fault{hard}, reason: "lost; reboot the node", settled: true},
			{at: 10 * s, reason: "lost; reboot the node"},
			{at: 30 * s, look: []core.Fault{soft}, reason: "slow; wait", settled: true},
			{at: 45 * s, reason: "slow; wait"},
			{at: 74 * s, reason: "slow; wait"},
			{at: 75 * s, healthy: true, settled: true},
		}},
		"a notice is shown and changes nothing": {policy, []step{
			{at: 0, look: []core.Fault{notice}, healthy: true, reason: "remap pending", settled: true},
			{at: 1 * s, healthy: true, settled: true},
		}},
		"what to do about two faults is said once": {policy, []step{
			{at: 0, look: []core.Fault{hard, {Code: "xid", Severity: core.Hard, Reason: "XID 79", Remedy: "reboot the node"}}, reason: "lost; reboot the node; also: XID 79", settled: true},
		}},
		"the worst fault comes first": {policy, []step{
			{at: 0, look: []core.Fault{notice, soft, hard}, reason: "lost; reboot the node; also: slow; wait", settled: true},
		}},
		"a latched fault stands though looks are clean, until it is disproved": {policy, []step{
			{at: 0, healthy: true, settled: true},
			{at: 1 * s, event: &latched, reason: "XID 79", settled: true},
			{at: 2 * s, reason: "XID 79", settled: true},
			{at: 600 * s, cleared: []string{"xid-31"}, reason: "XID 79", settled: true},
			{at: 601 * s, cleared: []string{"xid-79"}, reason: "XID 79"},
			{at: 631 * s, healthy: true, settled: true},
		}},
		"a latched fault is over when the device went away and came back": {policy, []step{
			{at: 0, event: &latched, reason: "XID 79", settled: true},
			{at: 1 * s, look: []core.Fault{hard}, reason: "lost; reboot the node; also: XID 79", settled: true},
			{at: 2 * s, back: true, reason: "lost; reboot the node; also: XID 79"},
			{at: 32 * s, healthy: true, settled: true},
		}},
		"an event that is not latched stands until the next look": {policy, []step{
			{at: 0, healthy: true, settled: true},
			{at: 1 * s, event: &hard, reason: "lost; reboot the node", settled: true},
			{at: 2 * s, reason: "lost; reboot the node"},
			{at: 32 * s, healthy: true, settled: true},
		}},
		"the third fall in ten minutes is held back": {health.Policy{UnhealthyAfter: config.Span{Looks: 1}, RecoverAfter: config.Span{Looks: 1}}, []step{
			{at: 0, healthy: true, settled: true},
			{at: 1 * s, look: []core.Fault{hard}, reason: "lost; reboot the node", settled: true},
			{at: 2 * s, healthy: true, settled: true},
			{at: 3 * s, look: []core.Fault{hard}, reason: "lost; reboot the node", settled: true},
			{at: 4 * s, healthy: true, settled: true},
			{at: 5 * s, look: []core.Fault{hard}, reason: "lost; reboot the node" + held, settled: true},
			{at: 6 * s, reason: "lost; reboot the node" + held},
			{at: 605 * s, reason: "lost; reboot the node" + held},
			{at: 606 * s, healthy: true, settled: true},
			{at: 1300 * s, look: []core.Fault{hard}, reason: "lost; reboot the node", settled: true},
			{at: 1301 * s, healthy: true, settled: true},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Unix(1e9, 0)
			tracker := health.NewTracker(test.policy)
			for _, step := range test.steps {
				now := start.Add(step.at)
				switch {
				case step.event != nil:
					tracker.Event(now, *step.event)
				default:
					if step.back {
						tracker.Returned()
					}
					tracker.Look(now, step.look, step.cleared)
				}
				want := health.State{Healthy: step.healthy, Reason: step.reason}
				if got := tracker.State(); got != want {
					t.Errorf("after %v: %+v, want %+v", step.at, got, want)
				}
				if got := tracker.Settled(); got != step.settled {
					t.Errorf("after %v: settled %v, want %v", step.at, got, step.settled)
				}
			}
		})
	}
}

const held = "; it failed again and again and is held back until it was well for 10 minutes"

func BenchmarkLook(b *testing.B) {
	tracker := health.NewTracker(policy)
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for b.Loop() {
		tracker.Look(now, nil, nil)
	}
}
