package conformance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// checkFirstMessage: the first message comes promptly.
func checkFirstMessage(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	moments, end := b.session.fingerprints.played()
	if len(moments) > 0 {
		b.note("it came %s", after(moments[0].at))
	}
	return judgeFirst(b, b.session.instance, moments, end)
}

func judgeFirst(b *bench, i *instance, moments []moment[*device.FingerprintResponse], end *ending) error {
	var p problems
	switch {
	case len(moments) == 0 && end != nil:
		if err := b.trouble(i, end, "C12"); err != nil {
			return err
		}
		p.add("no first message: %v", end)
	case len(moments) == 0:
		p.add("no first message within %v", b.answer)
	case moments[0].at > b.promptly+b.leeway:
		p.add("the first message came %s; want it within %v", after(moments[0].at), b.promptly)
	}
	return p.err()
}

// checkStreamStays: nothing ends a fingerprint stream but its context.
func checkStreamStays(_ context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var p problems
	if _, end := b.session.fingerprints.played(); end != nil {
		if rule, _ := blame(b.session.instance, end); rule != "C13" {
			return b.trouble(b.session.instance, end, "C13")
		}
		p.add("%v", end)
	}
	for _, what := range b.troubles.of("C13") {
		p.add("%s", what)
	}
	return p.err()
}

// longWatch is how many times longer the long cases watch.
const longWatch = 20

// checkStreamStaysLong: the same over a long time.
func checkStreamStaysLong(ctx context.Context, b *bench) error {
	i, err := b.started(ctx)
	if err != nil {
		return skip("it does not start and take its configuration: %v", err)
	}
	t := i.fingerprint()
	defer t.stop()
	t.until(ctx, longWatch*b.options.Watch, func([]moment[*device.FingerprintResponse]) bool { return false })
	_, end := t.played()
	if err := b.trouble(i, end, "C13"); err != nil {
		return err
	}
	if end != nil {
		return (&problems{}).with("%v", end)
	}
	return nil
}

// checkSecondStream: each stream begins with the whole state, whatever others
// were told before, and ends without the others.
func checkSecondStream(ctx context.Context, b *bench) error {
	if _, err := b.session.groups(); err != nil {
		return err
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	first := i.fingerprint()
	defer first.stop()
	if _, err := b.settledLike(ctx, first); err != nil {
		return err
	}
	var p problems
	for _, which := range []string{"a second stream", "a third stream, after the second had ended"} {
		t := i.fingerprint()
		came := t.until(ctx, b.answer, some)
		moments, end := t.played()
		t.stop()
		if err := b.trouble(i, end, "C15"); err != nil {
			return err
		}
		if !came {
			p.add("%s got no message", which)
			continue
		}
		want, _ := first.last()
		for _, line := range difference(render(want.message.Devices), render(moments[0].message.Devices)) {
			p.add("the first message of %s differs from the state: %s", which, line)
		}
	}
	_, end := first.played()
	if err := b.trouble(i, end, "C15"); err != nil {
		return err
	}
	return p.err()
}

// checkNoRepeats: a message is sent only when something changed.
func checkNoRepeats(_ context.Context, b *bench) error {
	moments, err := b.session.messages()
	if err != nil {
		return err
	}
	var p problems
	for n := 1; n < len(moments); n++ {
		if slices.Equal(sorted(render(moments[n-1].message.Devices)), sorted(render(moments[n].message.Devices))) {
			p.add("the message %s says nothing new", after(moments[n].at))
		}
	}
	b.note("%d messages within %v", len(moments), round(b.session.watched))
	return p.err()
}

// checkNothingVolatile: what measures something is no attribute.
func checkNothingVolatile(_ context.Context, b *bench) error {
	moments, err := b.session.messages()
	if err != nil {
		return err
	}
	return judgeVolatile(moments)
}

func judgeVolatile(moments []moment[*device.FingerprintResponse]) error {
	var p problems
	for n := 1; n < len(moments); n++ {
		before, now := moments[n-1].message.Devices, moments[n].message.Devices
		if !slices.Equal(healthOf(before), healthOf(now)) {
			continue // a change of health may bring others
		}
		for _, line := range difference(render(before), render(now)) {
			p.add("%s, while no device came, went, or changed its health: %s", after(moments[n].at), line)
		}
	}
	return p.err()
}

// healthOf lists each device with its health, sorted.
func healthOf(groups []*device.DeviceGroup) []string {
	var lines []string
	for _, g := range groups {
		for _, d := range devicesOf(g) {
			lines = append(lines, fmt.Sprintf("%s %t", d.ID, d.Healthy))
		}
	}
	return sorted(lines)
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}

// checkRestart: a fresh process after a crash shows the same.
func checkRestart(what func(before, now []*device.DeviceGroup) []string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		before, err := b.session.groups()
		if err != nil {
			return err
		}
		i, err := b.started(ctx)
		if err != nil {
			return err
		}
		t := i.fingerprint()
		_, err = b.settledLike(ctx, t)
		t.stop()
		if err != nil {
			return err
		}
		i.crash()
		if i, err = b.started(ctx); err != nil {
			return err
		}
		t = i.fingerprint()
		defer t.stop()
		now, err := b.settledLike(ctx, t)
		_, end := t.played()
		if trouble := b.trouble(i, end, ""); trouble != nil {
			return trouble
		}
		if err != nil {
			return err
		}
		var p problems
		for _, line := range what(before, now) {
			p.add("in a process after a crash: %s", line)
		}
		return p.err()
	}
}

// differentIDs compares the IDs.
func differentIDs(before, now []*device.DeviceGroup) []string {
	return difference(idsOf(before), idsOf(now))
}

// differentGroups compares the groups' names.
func differentGroups(before, now []*device.DeviceGroup) []string {
	names := func(groups []*device.DeviceGroup) (all []string) {
		for _, g := range groups {
			all = append(all, "the group "+groupName(g))
		}
		return all
	}
	return difference(names(before), names(now))
}

// differentRest compares what is the same hardware in the same groups: the order
// and the attributes.
func differentRest(before, now []*device.DeviceGroup) []string {
	if len(differentIDs(before, now)) > 0 || len(differentGroups(before, now)) > 0 {
		return nil // other cases' matter
	}
	was, is := render(before), render(now)
	lines := difference(was, is)
	if len(lines) == 0 && !slices.Equal(was, is) {
		for n := range was {
			if was[n] != is[n] {
				return []string{fmt.Sprintf("the order changed: %s where there was %s", is[n], was[n])}
			}
		}
	}
	return lines
}

// render writes a fingerprint down, line by line and in its order.
func render(groups []*device.DeviceGroup) []string {
	var lines []string
	for _, g := range groups {
		if g == nil {
			continue
		}
		name := groupName(g)
		lines = append(lines, "group "+name)
		for _, key := range slices.Sorted(maps.Keys(g.Attributes)) {
			lines = append(lines, fmt.Sprintf("%s: %s = %s", name, key, renderAttribute(g.Attributes[key])))
		}
		for _, d := range devicesOf(g) {
			line := fmt.Sprintf("%s: device %s, healthy: %t", name, d.ID, d.Healthy)
			if d.HealthDesc != "" {
				line += fmt.Sprintf(" (%s)", d.HealthDesc)
			}
			if d.HwLocality != nil {
				line += " at " + d.HwLocality.PciBusID
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// renderAttribute writes an attribute with its type.
func renderAttribute(a *structs.Attribute) string {
	switch {
	case a == nil:
		return "nothing"
	case a.Int != nil:
		return strings.TrimSpace(fmt.Sprintf("%d %s", *a.Int, a.Unit))
	case a.Float != nil:
		return strings.TrimSpace(fmt.Sprintf("%g %s (float)", *a.Float, a.Unit))
	case a.Bool != nil:
		return fmt.Sprint(*a.Bool)
	case a.String != nil:
		return fmt.Sprintf("%q", *a.String)
	default:
		return "nothing"
	}
}

// of returns what was noted under a rule.
func (t *troubles) of(rule string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[rule]
}

// checkSurvives: nothing that was done to the plugin brought it down.
func checkSurvives(_ context.Context, b *bench) error {
	var p problems
	if died := b.session.instance.died(); died != "" {
		p.add("%s", died)
	}
	for _, what := range b.troubles.of("C18") {
		p.add("%s", what)
	}
	if moments, err := b.session.messages(); err == nil {
		for _, m := range moments {
			for _, g := range m.message.Devices {
				if g == nil || g.Vendor == "" && g.Type == "" && g.Name == "" && len(g.Devices) == 0 {
					p.add("a group %s is nil: it arrives as one without a name", after(m.at))
					continue
				}
				if slices.ContainsFunc(g.Devices, isNothing) {
					p.add("a device of group %s is nil: it arrives as one without an ID", groupName(g))
				}
			}
		}
	}
	return p.err()
}

// isNothing returns whether a device is what a nil one arrives as.
func isNothing(d *device.Device) bool {
	return d == nil || d.ID == "" && !d.Healthy && d.HealthDesc == "" && d.HwLocality == nil
}
