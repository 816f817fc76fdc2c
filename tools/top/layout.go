package top

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// gap is between two columns, and mark before the first one.
const (
	gap  = 2
	mark = 2
)

// layout says how wide the columns are. One of width 0 is left out.
type layout struct {
	device, name, holder int
	bars, sparks         [kinds]int
	// full has the kinds that are written with their limits.
	full [kinds]bool
}

// numberWidth returns the width of a gauge's number, which has room for the
// column's heading and the mark of what is sorted by.
func (l *layout) numberWidth(k Kind) int {
	switch {
	case k == Memory && l.full[k]:
		return len("143.1/192.0 GiB")
	case k == Power && l.full[k]:
		return len("1000/1000W")
	case k == Power:
		return ansi.StringWidth("POWER▼")
	default:
		return ansi.StringWidth("LOAD▼")
	}
}

func (l *layout) gaugeWidth(k Kind) int {
	return padded(l.sparks[k]) + padded(l.bars[k]) + l.numberWidth(k)
}

// gaugesWidth is that of all gauges together.
func (l *layout) gaugesWidth() int {
	width := gap * (int(kinds) - 1)
	for k := range kinds {
		width += l.gaugeWidth(k)
	}
	return width
}

func (l *layout) total() int {
	width := mark + l.device + gap + l.gaugesWidth()
	for _, column := range []int{l.name, l.holder} {
		if column > 0 {
			width += gap + column
		}
	}
	return width
}

// padded is a width with a blank behind it.
func padded(width int) int {
	if width == 0 {
		return 0
	}
	return width + 1
}

// The narrowest that names are of use, and how wide they are before anything of
// less use gets room.
const (
	leastDevice, goodDevice = 12, 20
	leastName, goodName     = 14, 21
	goodHolder              = 28
)

// plan makes the most of the width for the items; 0 is as wide as it takes. What
// is of most use comes first: each step is taken if there is room for it.
func plan(width int, items []item, holders, live bool) layout {
	var device, name, holder int
	for i := range items {
		device = max(device, ansi.StringWidth(deviceText(&items[i])))
		name = max(name, ansi.StringWidth(items[i].Name))
		holder = max(holder, ansi.StringWidth(holderText(&items[i])))
	}
	device = max(device, ansi.StringWidth("DEVICE▼"))
	name = max(name, ansi.StringWidth("NAME▼"))
	holder = max(holder, ansi.StringWidth("HELD BY▼"))
	if width <= 0 {
		l := layout{device: device, name: name, bars: [kinds]int{8, 8, 8, 8}, full: [kinds]bool{Memory: true, Power: true}}
		if holders {
			l.holder = holder
		}
		return l
	}
	bars := func(cells int, of ...Kind) func(*layout) {
		return func(l *layout) {
			for _, k := range of {
				l.bars[k] = cells
			}
		}
	}
	sparks := func(of Kind) func(*layout) {
		return func(l *layout) {
			if live {
				l.sparks[of] = 10
			}
		}
	}
	steps := []func(*layout){
		bars(4, Load, Memory),
		func(l *layout) { l.name = min(name, leastName) },
		bars(4, Heat, Power),
		func(l *layout) {
			if holders {
				l.holder = min(holder, goodHolder)
			}
		},
		func(l *layout) { l.device = min(device, goodDevice) },
		func(l *layout) { l.full[Memory] = true },
		sparks(Load), sparks(Power),
		func(l *layout) { l.name = min(name, max(l.name, goodName)) },
		sparks(Heat), sparks(Memory),
		func(l *layout) { l.full[Power] = true },
		bars(8, Load, Memory, Heat, Power),
	}
	l := layout{device: min(device, leastDevice)}
	for _, step := range steps {
		next := l
		if step(&next); next.total() <= width {
			l = next
		}
	}
	for _, grow := range []struct {
		column  *int
		natural int
	}{{&l.device, device}, {&l.name, name}, {&l.holder, holder}} {
		if *grow.column > 0 {
			*grow.column = min(grow.natural, *grow.column+max(width-l.total(), 0))
		}
	}
	return l
}

// deviceText is a device's ID, and how often it is shared.
func deviceText(d *item) string {
	if len(d.Replicas) == 0 {
		return d.ID
	}
	return fmt.Sprintf("%s ×%d", d.ID, len(d.Replicas))
}

// holderText says who holds a device, in few words.
func holderText(d *item) string {
	switch {
	case len(d.Replicas) > 0 && len(d.Holders) > 0:
		return fmt.Sprintf("%d of %s", held(d), count(len(d.Replicas), "share"))
	case len(d.Holders) > 1:
		return count(len(d.Holders), "task")
	case len(d.Holders) == 0:
		return "-"
	}
	h := d.Holders[0]
	if h.Foreign {
		return "namespace " + h.Namespace
	}
	text := h.Job + "/" + h.Task + " " + short(h.Alloc)
	if h.Namespace != "default" {
		text += " " + h.Namespace
	}
	return text
}

// nameText is the name of a device's group in so many cells. The vendor's name,
// with which many begin, is the first to go.
func nameText(d *item, width int) string {
	if start := len(d.Vendor) + 1; ansi.StringWidth(d.Name) > width && len(d.Name) > start &&
		strings.EqualFold(d.Name[:start], d.Vendor+" ") {
		return cut(d.Name[start:], width)
	}
	return cut(d.Name, width)
}

// held counts the replicas of a device that somebody holds.
func held(d *item) int {
	replicas := map[string]bool{}
	for _, h := range d.Holders {
		replicas[h.Device] = true
	}
	return len(replicas)
}

// short is an ID as Nomad's commands shorten it.
func short(id string) string { return id[:min(len(id), 8)] }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
