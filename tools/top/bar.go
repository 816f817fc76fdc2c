package top

import "strings"

// The eighths of a character's cell, to the right and upwards.
var (
	across = []rune(" ▏▎▍▌▋▊▉█")
	upward = []rune("▁▂▃▄▅▆▇█")
)

// empty is the part of a bar that is not filled, so that its end is seen.
const empty = '·'

// scale returns what counts as full. Heat that tells no limit is held against
// the boiling point of water, which is about where chips slow down.
func scale(k Kind, g Gauge) float64 {
	if g.Limit == 0 && k == Heat {
		return 100
	}
	return g.Limit
}

// fullness returns how full a gauge is, between 0 and 1.
func fullness(k Kind, g Gauge) (part float64, known bool) {
	full := scale(k, g)
	if !g.Known() || full <= 0 {
		return 0, false
	}
	return min(max(g.Value/full, 0), 1), true
}

// bar draws a share of width cells.
func bar(part float64, width int) string {
	eighths := int(part*float64(width)*8 + 0.5)
	var b strings.Builder
	for cell := range width {
		switch filled := min(max(eighths-8*cell, 0), 8); filled {
		case 0:
			b.WriteRune(empty)
		default:
			b.WriteRune(across[filled])
		}
	}
	return b.String()
}

// spark draws the last width values, of which full is the highest; 0 means that
// the highest of the values is.
func spark(values []float64, full float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	if full <= 0 {
		for _, v := range values {
			full = max(full, v)
		}
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		level := 0
		if full > 0 {
			level = int(min(max(v/full, 0), 1)*float64(len(upward)-1) + 0.5)
		}
		b.WriteRune(upward[level])
	}
	return b.String()
}
