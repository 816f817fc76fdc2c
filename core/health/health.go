// Package health decides what a device's faults mean over time.
//
// A [Tracker] holds the state of one device: it takes the faults of each look
// and of each event, and says whether new work may be placed on the device. It
// is pure: it reads no clock, starts nothing, and knows no hardware.
//
// # States
//
//	           hard fault, or soft fault for unhealthy_after
//	healthy ───────────────────────────────────────────────► unhealthy
//	   ▲                                                        │
//	   │  clean for recover_after                               │ no fault stands
//	   └───────────────────────── recovering ◄──────────────────┘
//	                                  │  any fault
//	                                  └────────────────────► unhealthy
//
// Nomad sees recovering as unhealthy, with the text of the fault that was. A
// device that fell [flapLimit] times within [flapWindow] must stay clean for
// the whole of flapWindow: every change of health is a write to Nomad's servers.
package health

import (
	"slices"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
)

const (
	flapLimit  = 3
	flapWindow = 10 * time.Minute
)

// Policy says how much evidence a change of health needs.
type Policy struct {
	// UnhealthyAfter is how long a soft fault must be seen.
	UnhealthyAfter config.Span
	// RecoverAfter is how long a device must be clean.
	RecoverAfter config.Span
}

// State is what Nomad is told about the health of a device.
type State struct {
	// Healthy says that new work may be placed on the device.
	Healthy bool
	// Reason says why not, or what an operator should know although the device
	// is healthy. Empty if there is nothing to say.
	Reason string
}

// Tracker follows the health of one device. It must not be used concurrently.
type Tracker struct {
	policy   Policy
	looked   bool
	state    State
	standing []standing // sorted, worst first
	clean    span       // since the last look or event that showed a fault
	falls    []time.Time
}

// standing is a fault that was seen and has not gone since.
type standing struct {
	core.Fault
	span
}

// span counts looks in a row and remembers the first.
type span struct {
	looks int
	since time.Time
}

func (s *span) look(now time.Time) {
	if s.looks == 0 {
		s.since = now
	}
	s.looks++
}

// reached returns whether the span is as long as the threshold asks.
func (s *span) reached(now time.Time, threshold config.Span) bool {
	if threshold.Time > 0 {
		return s.looks > 0 && now.Sub(s.since) >= threshold.Time
	}
	return s.looks >= threshold.Looks
}

// NewTracker returns the tracker of a device that nothing is known about.
func NewTracker(policy Policy) *Tracker {
	return &Tracker{policy: policy, state: State{Healthy: true}}
}

// State returns the device's health.
func (t *Tracker) State() State { return t.state }

// Settled returns whether the state stays as it is if the next look shows what
// the last one showed. While it is false, looking often pays.
func (t *Tracker) Settled() bool {
	bad := slices.ContainsFunc(t.standing, func(s standing) bool { return s.Severity > core.Notice })
	return bad != t.state.Healthy
}

// Look takes what a scan showed: the faults of the device, and the codes of
// latched faults that it disproves ("*" for all).
func (t *Tracker) Look(now time.Time, faults []core.Fault, cleared []string) {
	t.standing = slices.DeleteFunc(t.standing, func(s standing) bool {
		if s.Latched {
			return slices.Contains(cleared, s.Code) || slices.Contains(cleared, "*")
		}
		return !slices.ContainsFunc(faults, func(f core.Fault) bool { return f.Code == s.Code })
	})
	for _, f := range faults {
		t.stand(now, f)
	}
	t.decide(now, true)
	t.looked = true
}

// Event takes a fault that the driver told of between two looks. Unless it is
// latched, it stands until the next look.
func (t *Tracker) Event(now time.Time, fault core.Fault) {
	t.stand(now, fault)
	t.decide(now, false)
}

// Returned says that the device was gone and is back, as after a reset or a
// reload of its driver: latched faults are over. It is to be called before the
// look that shows the device again.
func (t *Tracker) Returned() {
	t.standing = slices.DeleteFunc(t.standing, func(s standing) bool { return s.Latched })
}

func (t *Tracker) stand(now time.Time, f core.Fault) {
	i := slices.IndexFunc(t.standing, func(s standing) bool { return s.Code == f.Code })
	if i < 0 {
		t.standing = append(t.standing, standing{Fault: f})
		i = len(t.standing) - 1
	}
	t.standing[i].Fault = f
	t.standing[i].look(now)
}

// decide makes the new state from the standing faults. Only a look is evidence
// of a device that is well; an event is not.
func (t *Tracker) decide(now time.Time, look bool) {
	slices.SortStableFunc(t.standing, func(a, b standing) int {
		if a.Severity != b.Severity {
			return int(b.Severity) - int(a.Severity)
		}
		return strings.Compare(a.Code, b.Code)
	})
	var faulty, bad bool
	for _, s := range t.standing {
		faulty = faulty || s.Severity > core.Notice
		bad = bad || s.Severity == core.Hard ||
			s.Severity == core.Soft && (!t.looked || !t.state.Healthy || s.reached(now, t.policy.UnhealthyAfter))
	}
	switch {
	case faulty:
		t.clean = span{}
	case look:
		t.clean.look(now)
	}
	switch {
	case bad && t.state.Healthy:
		t.fall(now)
		fallthrough
	case bad:
		t.state = State{Reason: t.text(core.Soft, core.Hard) + t.heldText()}
	case t.state.Healthy:
		t.state.Reason = t.text(core.Notice, core.Notice)
	case !faulty && t.recovered(now):
		t.state = State{Healthy: true, Reason: t.text(core.Notice, core.Notice)}
	}
}

func (t *Tracker) fall(now time.Time) {
	t.falls = slices.DeleteFunc(t.falls, func(f time.Time) bool { return now.Sub(f) > flapWindow })
	t.falls = append(t.falls, now)
}

func (t *Tracker) flapping() bool { return len(t.falls) >= flapLimit }

func (t *Tracker) recovered(now time.Time) bool {
	if t.flapping() && now.Sub(t.clean.since) < flapWindow {
		return false
	}
	return t.clean.reached(now, t.policy.RecoverAfter)
}

func (t *Tracker) heldText() string {
	if !t.flapping() {
		return ""
	}
	return "; it failed again and again and is held back until it was well for 10 minutes"
}

// text joins the faults of the severities from least to most, worst first. What
// is to be done about several of them is said once.
func (t *Tracker) text(least, most core.Severity) string {
	var texts []string
	said := map[string]bool{"": true}
	for _, s := range t.standing {
		if s.Severity < least || s.Severity > most {
			continue
		}
		text := s.Reason
		if !said[s.Remedy] {
			said[s.Remedy] = true
			text = s.Error()
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; also: ")
}
