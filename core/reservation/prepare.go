package reservation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
)

// codePrepare is the fault of a device that could not be made ready, where the
// vendor has no fault of its own for it.
const codePrepare = "prepare-failed"

// Preparation returns how long preparing the devices with the given IDs can take
// at most: 0 if the vendor prepares none of them.
func Preparation(vendor core.Vendor, snapshot *fingerprint.Snapshot, ids []string) time.Duration {
	preparer, ok := vendor.(core.Preparer)
	if !ok {
		return 0
	}
	byCard := map[string]time.Duration{}
	var longest time.Duration
	for _, id := range ids {
		if d, ok := snapshot.Device(id); ok && d.Part == nil { // what is prepared is not shared
			byCard[d.Card] += max(0, preparer.Preparation(d.Device))
			longest = max(longest, byCard[d.Card])
		}
	}
	return longest
}

// prepare makes the devices ready: cards side by side, the devices of one card
// one after the other. What fails on a card ends the work on that card.
//
// Preparing has lanes of its own. On the card's lane it would hold up looking at
// the card for longer than a driver call may take.
func prepare(ctx context.Context, vendor core.Vendor, claims []claim, options Options) error {
	preparer, ok := vendor.(core.Preparer)
	if !ok {
		return nil
	}
	byCard := map[string][]core.Device{}
	var cards []string // in the order of the claims
	for _, c := range claims {
		if c.share.Replicas > 0 || preparer.Preparation(c.device) <= 0 {
			continue
		}
		if byCard[c.card] == nil {
			cards = append(cards, c.card)
		}
		byCard[c.card] = append(byCard[c.card], c.device)
	}
	errs := make([]error, len(cards))
	var group errgroup.Group
	for i, card := range cards {
		group.Go(func() error {
			for _, d := range byCard[card] {
				if errs[i] = prepareOne(ctx, preparer, card, d, options); errs[i] != nil {
					break
				}
			}
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errors.Join(errs...)
}

func prepareOne(ctx context.Context, preparer core.Preparer, card string, d core.Device, options Options) error {
	end := options.Observe.Begin("prepare")
	_, err := guard.Call(ctx, options.Calls, "prepare "+card, preparer.Preparation(d),
		func(ctx context.Context) (struct{}, error) { return struct{}{}, preparer.Prepare(ctx, d) })
	end(err)
	event := core.Event{Devices: []string{d.ID}, Look: true}
	if err != nil && !errors.Is(err, context.Canceled) {
		fault, ok := errors.AsType[*core.Fault](err)
		if !ok {
			fault = &core.Fault{Code: codePrepare, Severity: core.Hard, Reason: fmt.Sprintf("it could not be made ready for a task: %v", err), Err: err}
		}
		event.Fault = fault
	}
	if options.Tell != nil {
		options.Tell(event)
	}
	if err != nil {
		return fmt.Errorf("device %s could not be made ready: %w", d.ID, err)
	}
	return nil
}
