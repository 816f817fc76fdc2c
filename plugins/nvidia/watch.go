package nvidia

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

const (
	// eventWait is how long one wait for an event takes at most; ctx is looked
	// at in between.
	eventWait = time.Second
	// textPause is how long an XID that changes no health is not told of again
	// for one card: an application that fails in a loop can cause thousands.
	textPause = time.Minute
	// partialWait is how long the events of some cards are waited for while
	// others could not be registered; then all are tried again.
	partialWait = time.Minute
)

// wantedEvents are the events that say something about health or layout.
// Corrected errors, clocks and performance states say nothing and are frequent.
const wantedEvents = nvml.EventXID | nvml.EventDoubleBitECC | nvml.EventMIGConfig |
	nvml.EventDRAMRetirement | nvml.EventDRAMRetirementFail |
	nvml.EventNonFatalPoison | nvml.EventFatalPoison |
	nvml.EventGPUUnavailable | nvml.EventRecoveryActionReady

// watched is a card whose events are waited for.
type watched struct {
	gpu     nvml.Device // the whole GPU: instances have no events
	name    string      // how the log calls the card
	devices []watchedDevice
	xids    *xidLog
}

// watchedDevice is a device of a card: the card itself, or a MIG instance in it.
type watchedDevice struct {
	id string
	at instance
}

// at returns the IDs of the devices that something at an instance concerns. All
// instances suffer from what befalls the whole GPU.
func (w *watched) at(where instance) []string {
	var ids []string
	for _, d := range w.devices {
		if d.at == wholeGPU || where.covers(d.at) {
			ids = append(ids, d.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// watcher waits for the events of some cards.
type watcher struct {
	lib    nvml.Library
	policy xidPolicy
	emit   func(core.Event)
	cards  map[nvml.Handle]*watched
	told   map[toldXID]*told
}

// toldXID and told keep a frequent XID from filling the log.
type toldXID struct {
	card *watched
	code uint64
}

type told struct {
	at     time.Time
	unsaid int
}

// watch waits for events until ctx ends. It returns nil without waiting if none
// of the cards has events to offer.
//
// The set of events is freed by this goroutine alone, after its last wait: what
// the driver does with a set that is freed while somebody waits is not said.
func (w *watcher) watch(ctx context.Context, cards []*watched) (err error) {
	set, err := w.lib.NewEventSet()
	if nvml.Unsupported(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making a set of events: %w", err)
	}
	defer func() { err = errors.Join(err, freed(set)) }()
	left, err := w.register(set, cards)
	if err != nil || len(w.cards) == 0 {
		return errors.Join(err, left)
	}
	// What happened before the registration is lost.
	w.emit(core.Event{Look: true})
	begun := time.Now()
	for ctx.Err() == nil {
		start := time.Now()
		if left != nil && start.Sub(begun) > partialWait {
			return left
		}
		event, err := set.Wait(eventWait)
		switch {
		case err == nil:
			w.handle(event)
		case nvml.ClassOf(err) == nvml.ClassTimeout:
			// It may come early. One that comes at once would make this a busy
			// loop.
			if early := eventWait/10 - time.Since(start); early > 0 {
				pause(ctx, early)
			}
		default:
			// A lost GPU ends the wait and is not named, so each is looked at.
			w.emit(core.Event{Look: true})
			return fmt.Errorf("waiting for events: %w", err)
		}
	}
	return ctx.Err()
}

func freed(set nvml.EventSet) error {
	if err := set.Free(); err != nil {
		return fmt.Errorf("freeing the set of events: %w", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// register adds the cards that have events to the set. left is an error that
// names those that have events and could not be added now, such as a lost GPU;
// err one that makes the set useless.
func (w *watcher) register(set nvml.EventSet, cards []*watched) (left, err error) {
	w.cards, w.told = make(map[nvml.Handle]*watched), make(map[toldXID]*told)
	for _, card := range cards {
		mask, err := card.gpu.SupportedEvents()
		mask &= wantedEvents
		if err == nil && mask != 0 {
			err = card.gpu.RegisterEvents(mask, set)
			if nvml.Unsupported(err) && mask != nvml.EventXID {
				// One bit that is not supported after all keeps all from being
				// registered.
				mask = nvml.EventXID
				err = card.gpu.RegisterEvents(mask, set)
			}
			if nvml.ClassOf(err) == nvml.ClassTransient {
				return nil, fmt.Errorf("asking for the events of %s: %w", card.name, err)
			}
		}
		switch {
		case nvml.Unsupported(err) || mask == 0 && err == nil:
		case err != nil:
			left = errors.Join(left, fmt.Errorf("%s tells of no events now: %w", card.name, err))
		default:
			w.cards[card.gpu.Handle()] = card
			card.xids.watch()
		}
	}
	return left, nil
}

// handle turns an event of the driver into one of the core's.
func (w *watcher) handle(e nvml.Event) {
	card := w.cards[e.Handle]
	if card == nil {
		w.emit(core.Event{Look: true})
		return
	}
	switch e.Kind {
	case nvml.EventXID:
		w.xid(card, instance{e.GPUInstance, e.ComputeInstance}, e.Data)
	case nvml.EventFatalPoison:
		w.suspect(card, core.Fault{
			Code: codePoison, Severity: core.Hard,
			Reason: "the GPU met poisoned data that it could not contain",
			Remedy: xidSuspect.remedy(),
		})
	case nvml.EventGPUUnavailable:
		w.suspect(card, core.Fault{
			Code: codeUnavailable, Severity: core.Hard,
			Reason: "the driver reports the GPU as unavailable",
			Remedy: xidSuspect.remedy(),
		})
	default:
		w.emit(core.Event{Devices: card.at(wholeGPU), Text: eventTexts[e.Kind], Look: true})
	}
}

// eventTexts are for the log. What the other events mean is found by the look
// that they cause, and logged if it changes something.
var eventTexts = map[nvml.EventMask]string{
	nvml.EventDoubleBitECC:       "an uncorrectable memory error occurred",
	nvml.EventDRAMRetirementFail: "a memory row or page with errors could not be set aside",
	nvml.EventNonFatalPoison:     "the GPU met poisoned data and contained it; the application that used it was ended",
}

// suspect keeps new work away from a card until the driver has said what is
// needed. The fault stands until the next look, where the recovery action
// decides: every driver that tells of these events has one.
func (w *watcher) suspect(card *watched, fault core.Fault) {
	w.lay(core.Event{Devices: card.at(wholeGPU), Fault: &fault, Look: true})
}

func (w *watcher) xid(card *watched, where instance, code uint64) {
	card.xids.add(where, code)
	verdict := w.policy.judge(code)
	if verdict.fault != nil {
		w.lay(core.Event{Devices: card.at(where), Fault: verdict.fault, Look: true})
		return
	}
	if text, ok := w.tell(card, code, verdict.text); ok {
		w.emit(core.Event{Devices: card.at(where), Text: card.name + ": " + text, Look: verdict.look})
	}
}

// lay passes on a fault, but never one without devices: to the core that means
// all there are. An instance that is not offered has none.
func (w *watcher) lay(e core.Event) {
	if len(e.Devices) == 0 {
		w.emit(core.Event{Text: e.Fault.Error() + " (in an instance that is not offered)", Look: true})
		return
	}
	w.emit(e)
}

// tell returns what to log about an XID, if it is time to do so again.
func (w *watcher) tell(card *watched, code uint64, text string) (string, bool) {
	key := toldXID{card, code}
	last, now := w.told[key], time.Now()
	if last == nil {
		w.told[key] = &told{at: now}
		return text, true
	}
	if now.Sub(last.at) < textPause {
		last.unsaid++
		return "", false
	}
	if last.unsaid > 0 {
		text += fmt.Sprintf("; %d more of these were not logged", last.unsaid)
	}
	*last = told{at: now}
	return text, true
}
