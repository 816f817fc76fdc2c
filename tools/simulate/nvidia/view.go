package nvidia

import (
	"fmt"
	"strconv"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// view reads a scenario the way the driver does.
type view struct {
	machine.View
}

func newView(f *scenario.File) view { return view{vendor.View(f)} }

// loaded reports whether the driver is loaded.
func (v view) loaded() bool { return v.Loaded() && v.Machine("driver.version") != "" }

// migSlot is a MIG device of a GPU.
type migSlot struct {
	slot    int
	profile string
	gi, ci  int
}

const migSlots = 8

// slots gives the MIG devices of a GPU; none while MIG is off.
func (v view) slots(n int) []migSlot {
	var slots []migSlot
	if !v.True(n, "mig.mode", false) {
		return nil
	}
	for i := range migSlots {
		prefix := fmt.Sprintf("mig.%d.", i)
		profile := v.Card(n, prefix+"profile")
		if profile == "" {
			continue
		}
		s := migSlot{slot: i, profile: profile, gi: i + 1}
		if gi, err := strconv.Atoi(v.Card(n, prefix+"gi")); err == nil {
			s.gi = gi
		}
		if ci, err := strconv.Atoi(v.Card(n, prefix+"ci")); err == nil {
			s.ci = ci
		}
		slots = append(slots, s)
	}
	return slots
}
