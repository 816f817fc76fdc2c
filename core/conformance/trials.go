package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/share"
)

// trial is a way to break hardware under a plugin.
type trial struct {
	fault Fault
	// all says that the driver breaks and not one card.
	all bool
	// early says that the hardware is broken before the plugin starts.
	early bool
}

func (t trial) String() string {
	what := "one card"
	if t.all {
		what = "the driver"
	}
	deed := map[Fault]string{Fail: "fails", Hang: "hangs", Remove: "is gone"}[t.fault]
	if deed == "" {
		deed = fmt.Sprintf("has the fault %q", string(t.fault))
	}
	if t.early {
		deed += " from the start"
	}
	return what + " " + deed
}

// The trials that the short cases judge.
var (
	oneFails   = trial{fault: Fail}
	oneHangs   = trial{fault: Hang}
	oneIsGone  = trial{fault: Remove}
	allFail    = trial{fault: Fail, all: true}
	startHung  = trial{fault: Hang, all: true, early: true}
	startEmpty = trial{fault: Remove, all: true, early: true}
)

// recording is what was seen in a trial.
type recording struct {
	trial
	instance     *instance
	configErr    error
	fingerprints *fingerprintTape
	statistics   *statsTape

	before   []*device.DeviceGroup
	card     []string // the devices that were broken
	others   []string // those that were not
	during   []*device.DeviceGroup
	interval time.Duration // of the statistics
	broken   time.Duration // when, by the clock of the fingerprint tape
	mended   time.Duration
	showed   bool // the fault did
	healed   bool // all was well again in time

	sick, well reservation // of a broken device, and of another
	exit       time.Duration
	exitNote   string
	left       []int
}

// trials runs each trial once, however many cases judge it.
type trials struct {
	done map[trial]*recording
	err  map[trial]error
}

func newTrials() *trials {
	return &trials{done: map[trial]*recording{}, err: map[trial]error{}}
}

// get returns what was seen in a trial. Only one case may ask at a time.
func (t *trials) get(ctx context.Context, b *bench, which trial) (*recording, error) {
	if r, ok := t.done[which]; ok {
		return r, t.err[which]
	}
	r, err := b.try(ctx, which)
	if errors.Is(err, errors.ErrUnsupported) {
		err = skip("the hardware cannot be broken in this way: %v", err)
	}
	if mend := b.options.Hardware.Repair(); mend != nil && err == nil {
		err = fmt.Errorf("repairing the hardware: %w", mend)
	}
	t.done[which], t.err[which] = r, err
	if r != nil && r.instance != nil {
		for _, end := range r.endings() {
			// A stream that ended has a case of its own.
			if blamed, what := blame(r.instance, end); blamed != end.rule {
				b.troubles.note(blamed, fmt.Sprintf("when %v: %s", which, what))
			}
		}
		if died := r.instance.died(); died != "" {
			b.troubles.note("C18", fmt.Sprintf("when %v: %s", which, died))
		}
	}
	return r, err
}

// endings returns how the streams ended, by the rule that this breaks.
func (r *recording) endings() map[string]*ending {
	all := map[string]*ending{}
	if r.fingerprints != nil {
		if _, end := r.fingerprints.played(); end != nil {
			all["C13"] = end
		}
	}
	if r.statistics != nil {
		if _, end := r.statistics.played(); end != nil {
			all["C59"] = end
		}
	}
	return all
}

// messages returns the fingerprints of all trials.
func (t *trials) messages() []moment[*device.FingerprintResponse] {
	var all []moment[*device.FingerprintResponse]
	for _, r := range t.done {
		if r != nil && r.fingerprints != nil {
			moments, _ := r.fingerprints.played()
			all = append(all, moments...)
		}
	}
	return all
}

// try runs a trial.
func (b *bench) try(ctx context.Context, which trial) (*recording, error) {
	known, err := b.session.groups()
	if err != nil {
		return nil, err
	}
	r := &recording{trial: which}
	hardware := b.options.Hardware
	if which.early {
		if err := hardware.BreakAll(which.fault); err != nil {
			return nil, err
		}
	}
	if r.instance, err = b.launch(ctx); err != nil {
		return nil, err
	}
	defer r.finish()
	if r.configErr = b.configure(ctx, r.instance); r.configErr != nil {
		return r, nil
	}
	r.fingerprints = r.instance.fingerprint()
	r.interval = max(b.session.interval/2, 100*time.Millisecond)
	r.statistics = r.instance.stats(r.interval)
	if which.early {
		return r, r.tryEarly(ctx, b, known)
	}
	if r.before, err = b.settledLike(ctx, r.fingerprints); err != nil {
		return r, err
	}
	return r, r.tryLate(ctx, b)
}

// finish ends the plugin, and what it was doing when it was told to end.
func (r *recording) finish() {
	if r.fingerprints != nil {
		r.fingerprints.freeze()
		r.statistics.freeze()
	}
	r.exit, r.exitNote, r.left = r.instance.leave()
	if r.fingerprints != nil {
		r.fingerprints.stop()
		r.statistics.stop()
	}
}

// tryEarly looks at a plugin that starts on broken hardware. Hardware that hangs
// is left so, for the plugin's end to be seen; hardware that is gone comes back.
func (r *recording) tryEarly(ctx context.Context, b *bench, known []*device.DeviceGroup) error {
	r.fingerprints.until(ctx, b.answer, some)
	if r.fault == Hang {
		r.sick = r.instance.reserve(ctx, healthyOf(known)...)
		return nil
	}
	wait(ctx, b.options.Watch/3)
	if last, ok := r.fingerprints.last(); ok {
		r.during = last.message.Devices
	}
	if err := b.options.Hardware.Repair(); err != nil {
		return err
	}
	want := idsOf(known)
	r.healed = r.fingerprints.until(ctx, b.heal, func(m []moment[*device.FingerprintResponse]) bool {
		return len(m) > 0 && slices.Equal(idsOf(m[len(m)-1].message.Devices), want)
	})
	return nil
}

// offeredAs returns devices under the IDs that they are offered by: its parts for
// one that is shared.
func offeredAs(devices, offered []string) []string {
	var ids []string
	for _, device := range devices {
		own := func(id string) bool {
			whole, isPart := share.CutID(id)
			return isPart && whole == device
		}
		if slices.Contains(offered, device) || !slices.ContainsFunc(offered, own) {
			ids = append(ids, device)
			continue
		}
		for _, id := range offered {
			if own(id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// tryLate breaks hardware under a plugin that knows its devices, and mends it.
func (r *recording) tryLate(ctx context.Context, b *bench) error {
	healthy := healthyOf(r.before)
	if len(healthy) == 0 {
		return skip("no device is healthy")
	}
	r.statistics.until(ctx, b.settle, some)
	r.broken = time.Since(r.fingerprints.opened)
	if r.all {
		r.card = idsOf(r.before)
		if err := b.options.Hardware.BreakAll(r.fault); err != nil {
			return err
		}
	} else {
		card, err := b.options.Hardware.Break(healthy[0], r.fault)
		if err != nil {
			return err
		}
		r.card = offeredAs(card, idsOf(r.before))
		if len(r.card) == 0 {
			r.card = healthy[:1]
		}
	}
	for _, id := range healthy {
		if !slices.Contains(r.card, id) {
			r.others = append(r.others, id)
		}
	}
	r.showed = r.fingerprints.until(ctx, b.fault, func(m []moment[*device.FingerprintResponse]) bool {
		return !slices.ContainsFunc(r.card, func(id string) bool {
			_, d := find(m[len(m)-1].message.Devices, id)
			return d != nil && d.Healthy
		})
	})
	wait(ctx, max(4*r.interval, b.options.Watch/3))
	if last, ok := r.fingerprints.last(); ok {
		r.during = last.message.Devices
	}
	r.sick = r.instance.reserve(ctx, r.card[0])
	if len(r.others) > 0 {
		r.well = r.instance.reserve(ctx, r.others[0])
	}
	r.mended = time.Since(r.fingerprints.opened)
	if err := b.options.Hardware.Repair(); err != nil {
		return err
	}
	r.healed = r.fingerprints.until(ctx, b.heal, func(m []moment[*device.FingerprintResponse]) bool {
		return slices.Equal(healthyOf(m[len(m)-1].message.Devices), healthy)
	})
	return nil
}
