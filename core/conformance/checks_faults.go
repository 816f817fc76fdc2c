package conformance

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/share"
)

// judged makes a case of a look at a trial.
func judged(which trial, look func(b *bench, r *recording) error) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		r, err := b.trials.get(ctx, b, which)
		if err != nil {
			return err
		}
		if r.configErr != nil {
			return skip("the plugin takes no configuration (C6)")
		}
		for _, end := range r.endings() {
			if rule, what := blame(r.instance, end); rule != "" {
				return skip("when %v: %s (%s)", which, what, rule)
			}
		}
		return look(b, r)
	}
}

// checkConfigOnBroken: SetConfig does not ask the hardware.
func checkConfigOnBroken(ctx context.Context, b *bench) error {
	var p problems
	for _, which := range []trial{startHung, startEmpty} {
		r, err := b.trials.get(ctx, b, which)
		if err != nil {
			return err
		}
		if r.configErr != nil {
			p.add("when %v: SetConfig: %w", which, r.configErr)
		}
	}
	return p.err()
}

func lookFirst(b *bench, r *recording) error {
	moments, end := r.fingerprints.played()
	if len(moments) > 0 {
		b.note("it came %s", after(moments[0].at))
	}
	return judgeFirst(b, r.instance, moments, end)
}

// lookEmpty: no hardware is an empty list, and hardware that comes is found.
func lookEmpty(b *bench, r *recording) error {
	if moments, _ := r.fingerprints.played(); len(moments) == 0 {
		return skip("no first message came (C12)")
	}
	var p problems
	if ids := idsOf(r.during); len(ids) > 0 {
		p.add("when %v it offers %s", r.trial, list(ids))
	}
	if !r.healed {
		p.add("the hardware came, and was not offered within %v", b.heal)
	}
	return p.err()
}

// lookAlone: what happens to one card happens to its devices alone.
func lookAlone(b *bench, r *recording) error {
	if len(r.others) == 0 {
		return skip("all devices are on one card")
	}
	var p problems
	_, end := r.fingerprints.played()
	for _, id := range r.others {
		if _, d := find(r.during, id); d == nil {
			p.add("when %v the device %s, which is on another, is gone", r.trial, id)
		} else if !d.Healthy {
			p.add("when %v the device %s, which is on another, is unhealthy: %s", r.trial, id, d.HealthDesc)
		}
	}
	if end != nil || r.fault == Remove {
		return p.err()
	}
	if !r.showed {
		p.add("when %v the device %s is still healthy after %v", r.trial, r.card[0], b.fault)
	}
	for _, id := range r.card {
		if _, d := find(r.during, id); d == nil {
			p.add("when %v its device %s is gone; want it listed and unhealthy", r.trial, id)
		}
	}
	return p.err()
}

// lookHealed: a device that works again is offered again, under its name.
func lookHealed(b *bench, r *recording) error {
	var p problems
	if !r.healed {
		last, _ := r.fingerprints.last()
		for _, id := range r.card {
			switch _, d := find(last.message.Devices, id); {
			case d == nil:
				p.add("%v after %v ended, the device %s is not there", b.heal, r.trial, id)
			case !d.Healthy:
				p.add("%v after %v ended, the device %s is unhealthy: %s", b.heal, r.trial, id, d.HealthDesc)
			}
		}
		if len(p) == 0 {
			p.add("%v after %v ended, the healthy devices are %s", b.heal, r.trial, list(healthyOf(last.message.Devices)))
		}
	}
	return p.err()
}

// lookNotAbsence: a driver that cannot list its devices has not lost them.
func lookNotAbsence(b *bench, r *recording) error {
	var p problems
	moments, _ := r.fingerprints.played()
	want := idsOf(r.before)
	for _, m := range moments {
		if m.at < r.broken || m.at > r.mended {
			continue
		}
		for _, line := range difference(want, idsOf(m.message.Devices)) {
			p.add("when %v: device %s", r.trial, line)
		}
	}
	if !r.showed {
		p.add("when %v the devices are still healthy after %v", r.trial, b.fault)
	}
	return p.err()
}

// lookSickReserve: a broken device is refused by name, the others are not.
func lookSickReserve(_ *bench, r *recording) error {
	if !r.showed {
		return skip("the fault does not show (C22)")
	}
	var p problems
	switch id := r.card[0]; {
	case errors.Is(r.sick.err, errNoAnswer):
		return skip("Reserve does not answer (C42)")
	case r.sick.err == nil:
		p.add("the device %s is unhealthy, and Reserve grants it", id)
	case !strings.Contains(r.sick.err.Error(), id):
		p.add("the error of Reserve for the unhealthy device %s does not name it: %w", id, r.sick.err)
	}
	if len(r.others) > 0 && r.well.err != nil {
		p.add("the device %s is on another card, and Reserve refuses it: %w", r.others[0], r.well.err)
	}
	return p.err()
}

// lookHungReserve: Reserve answers while the driver hangs.
func lookHungReserve(b *bench, r *recording) error {
	if errors.Is(r.sick.err, errNoAnswer) || r.sick.took > b.answer {
		return (&problems{}).with("when %v, Reserve gave no answer within %v", r.trial, round(r.sick.took))
	}
	b.note("it answered %s: %v", after(r.sick.took), r.sick.err)
	return nil
}

// lookHungExit: the plugin ends while the driver hangs.
func lookHungExit(_ *bench, r *recording) error {
	if r.instance.process == nil {
		return skip("it needs a binary, and the plugin runs in process")
	}
	return judgeExit(r.exit, r.exitNote, r.left)
}

// lookHungStats: the other devices have their statistics at each interval while
// one card hangs.
func lookHungStats(b *bench, r *recording) error {
	if len(r.others) == 0 {
		return skip("all devices are on one card")
	}
	moments, _ := r.statistics.played()
	offset := r.statistics.opened.Sub(r.fingerprints.opened)
	var p problems
	var during []moment[*device.StatsResponse]
	for _, m := range moments {
		if at := m.at + offset; at > r.broken+r.interval && at < r.mended {
			during = append(during, m)
		}
	}
	span := r.mended - r.broken - r.interval
	// A device that hangs may cost its own numbers and the deadline of one
	// call, which is no more than a second for a plugin that is up to it.
	if want := int((span-b.promptly)/r.interval)/2 - 1; len(during) < want {
		p.add("when %v, %d statistics came within %v at an interval of %v", r.trial, len(during), round(span), r.interval)
	}
	for _, m := range during {
		for _, id := range r.others {
			if s := statsOf(m.message.Groups, id); s == nil || s.Stats == nil || len(s.Stats.Attributes)+len(s.Stats.Nested) == 0 {
				p.add("when %v, the statistics %s have nothing about %s, which is on another", r.trial, after(m.at), id)
			}
		}
	}
	return p.err()
}

func statsOf(groups []*device.DeviceGroupStats, id string) *device.DeviceStats {
	for _, g := range groups {
		if g != nil && g.InstanceStats[id] != nil {
			return g.InstanceStats[id]
		}
	}
	return nil
}

// lookHealthLog: a device that turns unhealthy is in the log, once.
func lookHealthLog(_ *bench, r *recording) error {
	if !r.showed {
		return skip("the fault does not show (C22)")
	}
	id := r.card[0]
	if whole, isPart := share.CutID(id); isPart {
		id = whole // of a device in parts one line is enough
	}
	var lines []string
	for _, l := range r.instance.process.log() {
		if (l.level == "warn" || l.level == "error") && strings.Contains(l.text, id) && !strings.Contains(l.text, "reserv") {
			lines = append(lines, l.text)
		}
	}
	var p problems
	switch {
	case len(lines) == 0:
		p.add("the device %s turned unhealthy, and no line of level warn or error names it", id)
	case len(lines) > 5:
		p.add("the device %s turned unhealthy once, and %d lines of level warn or error name it: %s", id, len(lines), quoted(lines[len(lines)-1]))
	}
	return p.err()
}

// checkStreamSurvives judges what befell the streams in all trials.
func checkStreamSurvives(rule string) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		var p problems
		for _, which := range []trial{oneFails, oneHangs, oneIsGone, allFail, startHung, startEmpty} {
			r, err := b.trials.get(ctx, b, which)
			if _, ok := errors.AsType[skipped](err); err != nil && !ok {
				return err
			}
			if r == nil {
				continue
			}
			if end := r.endings()[rule]; end != nil {
				if blamed, what := blame(r.instance, end); blamed == rule {
					p.add("when %v: %s", which, what)
				}
			}
		}
		return p.err()
	}
}
