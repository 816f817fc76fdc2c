package top

import (
	"slices"
	"time"
)

// remembered is how many readings of a device are kept for its sparklines.
const remembered = 64

// history is what a device measured lately, the oldest first.
type history struct {
	last   time.Time
	values [kinds][]float64
}

// add remembers a device's gauges, if they are newer than the last. What a
// device does not measure any more leaves no mark.
func (h *history) add(d *Device) {
	if !d.Measured.After(h.last) {
		return
	}
	h.last = d.Measured
	for k, g := range d.Gauges {
		if !g.Known() {
			continue
		}
		if len(h.values[k]) == remembered {
			h.values[k] = slices.Delete(h.values[k], 0, 1)
		}
		h.values[k] = append(h.values[k], g.Value)
	}
}
