package reservation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// claim is what a reservation takes of one device, as the vendor knows it.
type claim struct {
	device core.Device
	card   string
	// share is what is taken of a device that is offered as several; of a whole
	// one it is zero.
	share core.Share
}

// claimsOf merges the parts of one device, which a task has once. The claims are
// sorted by the IDs of their devices.
func claimsOf(devices []fingerprint.Device) ([]claim, error) {
	byWhole := map[string][]fingerprint.Device{}
	for _, d := range devices {
		id := d.Whole().ID
		byWhole[id] = append(byWhole[id], d)
	}
	claims := make([]claim, 0, len(byWhole))
	least := 0 // the fewest parts of any shared device
	var errs []error
	for id, held := range byWhole {
		first := held[0]
		c := claim{device: first.Whole(), card: first.Card}
		if first.Part != nil {
			c.share.Replicas = first.Part.Replicas
			if least == 0 || len(held) < least {
				least = len(held)
			}
			if first.Part.Alone && len(held) > 1 {
				errs = append(errs, fmt.Errorf(
					"the task would get %d parts of device %s (%s), and the configuration allows one (one_per_task): ask for one with count = 1, since Nomad does not know that they are one device",
					len(held), id, strings.Join(idsOf(held), ", "),
				))
			}
		}
		claims = append(claims, c)
	}
	slices.SortFunc(claims, func(a, b claim) int { return cmp.Compare(a.device.ID, b.device.ID) })
	for i := range claims {
		if s := &claims[i].share; s.Replicas > 0 {
			s.Held, s.Place = least, i
		}
	}
	return claims, errors.Join(errs...)
}

func idsOf(devices []fingerprint.Device) []string {
	ids := make([]string, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	return ids
}

// grant asks the vendor what a task needs for the claim.
func (c claim) grant(ctx context.Context, vendor core.Vendor) (core.Grant, error) {
	if sharer, ok := vendor.(core.Sharer); ok && c.share.Replicas > 0 {
		return sharer.GrantShare(ctx, c.device, c.share)
	}
	return vendor.Grant(ctx, c.device)
}

// elsewhere says under which IDs a device is offered now that was reserved by
// one that it no longer has: as a whole for a part, in parts for a whole, or in
// fewer parts. It is "" if there is none.
func elsewhere(snapshot *fingerprint.Snapshot, id string) string {
	whole, isPart := share.CutID(id)
	if !isPart {
		whole = id
	}
	if d, ok := snapshot.Wholes()[whole]; ok {
		if d.Part == nil {
			return fmt.Sprintf("the device %s is offered as a whole", whole)
		}
		return fmt.Sprintf("the device %s is offered as %s to %s", whole, share.PartID(whole, 1), share.PartID(whole, d.Part.Replicas))
	}
	return ""
}
