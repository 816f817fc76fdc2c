package fpga

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Discover lists the cards of all families, at each scan anew: a driver that is
// loaded later is found. A family that fails costs its own cards their health
// and nobody anything else.
func (v *Vendor) Discover(ctx context.Context) (core.Inventory, error) {
	scan := family.NewScan(v.host, v.memory)
	scan.Nodes = v.nodes
	var inventory core.Inventory
	for _, f := range v.families {
		found, err := v.ask(ctx, f, scan)
		inventory.Notes = append(inventory.Notes, found.Notes...)
		for _, card := range found.Cards {
			inventory.Probes = append(inventory.Probes, probe(f, card.Key, card.Read))
		}
		now := listed{claims: found.Claims}
		for _, card := range found.Cards {
			now.cards = append(now.cards, card.Key)
		}
		if err != nil {
			for _, key := range v.listed[f.Name()].cards {
				if !slices.Contains(now.cards, key) {
					now.cards = append(now.cards, key)
					inventory.Probes = append(inventory.Probes, probe(f, key, func(context.Context) ([]core.Device, error) { return nil, err }))
				}
			}
			now.claims = append(now.claims, v.listed[f.Name()].claims...)
			slices.Sort(now.claims)
			now.claims = slices.Compact(now.claims)
			inventory.Notes = append(inventory.Notes, core.Note{Subject: f.Name(), Text: fmt.Sprintf("looking for FPGAs of this driver failed: %v", err)})
		}
		v.listed[f.Name()] = now
		scan.Claim(f.Name(), now.claims...)
	}
	return inventory, ctx.Err()
}

// ask lets a family look. A panic of one is a failure of that one.
func (*Vendor) ask(ctx context.Context, f family.Family, scan *family.Scan) (found family.Found, err error) {
	defer func() {
		if p := recover(); p != nil {
			found, err = family.Found{}, fmt.Errorf("the plugin failed: %v; please report this: %s", p, debug.Stack())
		}
	}()
	return f.Discover(ctx, scan)
}

// probe returns the probe of a family's card.
func probe(f family.Family, key string, read func(context.Context) ([]core.Device, error)) core.Probe {
	return core.Probe{
		Key: f.Name() + ":" + key,
		Read: func(ctx context.Context) ([]core.Device, error) {
			devices, err := read(ctx)
			for i := range devices {
				devices[i].Faults = distinct(devices[i].Faults)
			}
			return devices, err
		},
	}
}

// distinct returns the faults with each code once, in its worst form: several
// files can show one fault.
func distinct(faults []core.Fault) []core.Fault {
	var kept []core.Fault
	for _, f := range faults {
		i := slices.IndexFunc(kept, func(k core.Fault) bool { return k.Code == f.Code })
		switch {
		case i < 0:
			kept = append(kept, f)
		case f.Severity > kept[i].Severity:
			kept[i] = f
		}
	}
	return kept
}
