package conformance

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// checkStatsInTime: the first message at once, then one per interval.
func checkStatsInTime(_ context.Context, b *bench) error {
	s := b.session
	if err := s.unready(); err != nil {
		return err
	}
	moments, end := s.statistics.played()
	if end != nil {
		return skip("the stream ended (C59): %v", end)
	}
	var p problems
	if len(moments) == 0 {
		return p.with("no statistics within %v", b.answer)
	}
	if first := moments[0].at; first > b.promptly+b.leeway {
		p.add("the first statistics came %s; want them within %v", after(first), b.promptly)
	}
	// As many ticks as fitted between the first message and the end, give or
	// take one, and a machine with other work.
	rest := s.watched - moments[0].at
	want := int(rest / s.interval)
	got := len(moments) - 1
	if least := want*2/3 - 1; got < least {
		p.add("%d statistics within %v at an interval of %v; want about %d", got+1, round(s.watched), s.interval, want+1)
	}
	if most := want*4/3 + 2; got > most {
		p.add("%d statistics within %v at an interval of %v; want about %d", got+1, round(s.watched), s.interval, want+1)
	}
	b.note("%d messages within %v, the first %s", got+1, round(s.watched), after(moments[0].at))
	return p.err()
}

// checkStatsOfAll: every device, under its group.
func checkStatsOfAll(_ context.Context, b *bench) error {
	groups, err := b.session.groups()
	if err != nil {
		return err
	}
	moments, err := b.session.stats()
	if err != nil {
		return err
	}
	var p problems
	newest := moments[len(moments)-1]
	for _, line := range difference(fingerprinted(groups), measured(newest.message.Groups)) {
		p.add("in the statistics %s: %s", after(newest.at), line)
	}
	return p.err()
}

// fingerprinted lists each device under its group.
func fingerprinted(groups []*device.DeviceGroup) []string {
	var lines []string
	for _, g := range groups {
		if g == nil {
			continue
		}
		for _, d := range g.Devices {
			if d != nil && d.ID != "" {
				lines = append(lines, fmt.Sprintf("%s of %s", d.ID, groupName(g)))
			}
		}
	}
	return lines
}

// measured lists each measured device under its group.
func measured(groups []*device.DeviceGroupStats) []string {
	var lines []string
	for _, g := range groups {
		if g == nil {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(g.InstanceStats)) {
			lines = append(lines, fmt.Sprintf("%s of %s/%s/%s", id, g.Vendor, g.Type, g.Name))
		}
	}
	return lines
}

// everyStats makes a case of a look at the statistics of each device.
func everyStats(look func(id string, s *device.DeviceStats, p *problems)) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		moments, err := b.session.stats()
		if err != nil {
			return err
		}
		var p problems
		seen := false
		for _, m := range moments {
			for _, g := range m.message.Groups {
				if g == nil {
					p.add("a group of the statistics is nil")
					continue
				}
				for _, id := range slices.Sorted(maps.Keys(g.InstanceStats)) {
					seen = true
					look(id, g.InstanceStats[id], &p)
				}
			}
		}
		if !seen && len(p) == 0 {
			return skip("there are no statistics to judge: they name no device")
		}
		return p.err()
	}
}

func lookStatsThere(id string, s *device.DeviceStats, p *problems) {
	switch {
	case s == nil:
		p.add("the statistics of %s are nil, or their time cannot be told", id)
	case s.Summary == nil:
		p.add("the summary of %s is nil", id)
	case s.Stats == nil:
		p.add("the values of %s are nil", id)
	case s.Timestamp.Unix() <= 0 || time.Since(s.Timestamp).Abs() > 24*time.Hour:
		p.add("the time of the statistics of %s is %v", id, s.Timestamp.UTC())
	}
}

// values calls look for the summary and each value of a device's statistics.
func values(s *device.DeviceStats, look func(name string, v *structs.StatValue)) {
	if s == nil {
		return
	}
	if s.Summary != nil {
		look("the summary", s.Summary)
	}
	var walk func(path string, o *structs.StatObject)
	walk = func(path string, o *structs.StatObject) {
		if o == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
			look(path+name, o.Attributes[name])
		}
		for _, name := range slices.Sorted(maps.Keys(o.Nested)) {
			walk(path+name+"/", o.Nested[name])
		}
	}
	walk("", s.Stats)
}

func lookStatsFinite(id string, s *device.DeviceStats, p *problems) {
	values(s, func(name string, v *structs.StatValue) {
		if v == nil {
			return
		}
		for _, f := range []*float64{v.FloatNumeratorVal, v.FloatDenominatorVal} {
			if f != nil && (math.IsNaN(*f) || math.IsInf(*f, 0)) {
				p.add("%s of %s is %v", name, id, *f)
			}
		}
	})
}

func lookStatsKind(id string, s *device.DeviceStats, p *problems) {
	values(s, func(name string, v *structs.StatValue) {
		if v == nil {
			p.add("%s of %s is nil", name, id)
			return
		}
		var kinds []string
		for kind, set := range map[string]bool{
			"a float": v.FloatNumeratorVal != nil, "a whole number": v.IntNumeratorVal != nil,
			"a text": v.StringVal != nil, "a truth value": v.BoolVal != nil,
		} {
			if set {
				kinds = append(kinds, kind)
			}
		}
		slices.Sort(kinds)
		switch {
		case len(kinds) == 0:
			p.add("%s of %s has no value", name, id)
		case len(kinds) > 1:
			p.add("%s of %s is %s at once", name, id, strings.Join(kinds, " and "))
		case v.StringVal != nil && strings.TrimSpace(*v.StringVal) == "":
			p.add("%s of %s is an empty text", name, id)
		case v.FloatDenominatorVal != nil && v.FloatNumeratorVal == nil, v.IntDenominatorVal != nil && v.IntNumeratorVal == nil:
			p.add("%s of %s has a denominator of another kind", name, id)
		}
	})
}

// checkStatsStay: nothing ends a statistics stream but its context.
func checkStatsStay(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	if _, end := b.session.statistics.played(); end != nil {
		if rule, _ := blame(b.session.instance, end); rule != "C59" {
			return b.trouble(b.session.instance, end, "C59")
		}
		p.add("%v", end)
	}
	for _, what := range b.troubles.of("C59") {
		p.add("%s", what)
	}
	return p.err()
}

// checkStatsFirst: statistics need no fingerprint stream.
func checkStatsFirst(ctx context.Context, b *bench) error {
	groups, err := b.session.groups()
	if err != nil {
		return err
	}
	if _, err := b.session.stats(); err != nil {
		return err
	}
	moments, _ := b.session.statistics.played()
	if len(measured(moments[len(moments)-1].message.Groups)) == 0 {
		return skip("the statistics name no device (C56)")
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	t := i.stats(b.session.interval)
	defer t.stop()
	want := len(idsOf(groups))
	if t.until(ctx, b.settle, func(m []moment[*device.StatsResponse]) bool {
		return len(m) > 0 && len(measured(m[len(m)-1].message.Groups)) >= min(want, 1)
	}) {
		return nil
	}
	_, end := t.played()
	if trouble := b.trouble(i, end, "C59"); trouble != nil {
		return trouble
	}
	if end != nil {
		return (&problems{}).with("without a fingerprint stream %v", end)
	}
	return (&problems{}).with("without a fingerprint stream no statistics of any device came within %v", b.settle)
}
