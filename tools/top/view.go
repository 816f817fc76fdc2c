package top

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// The most lines for what a device or a source says, so that one does not take
// the screen from the others.
const (
	healthLines  = 3
	troubleLines = 6
)

// View returns the text of the whole screen: as many lines as it is high, none
// wider than it is.
func (s *Screen) View() string {
	items, all, unhealthy := s.items()
	head := append([]string{s.title(all, unhealthy)}, s.troubles(s.width, troubleLines)...)
	body := s.body(items, all)
	foot := s.footer()
	l := plan(s.width, items, s.options.Holders, true)
	if s.help {
		body = s.helpLines()
	} else if len(items) > 0 {
		head = append(head, s.headings(&l))
	}

	room := max(s.height-len(head)-1, 1)
	s.top = min(s.top, max(len(body)-room, 0))
	shown := body[s.top:min(s.top+room, len(body))]
	if len(shown) < len(body) {
		foot = fmt.Sprintf("%d-%d of %d  ", s.top+1, s.top+len(shown), len(body)) + foot
	}
	lines := slices.Concat(head, shown)
	for len(lines) < s.height-1 {
		lines = append(lines, "")
	}
	lines = append(lines[:min(len(lines), max(s.height-1, 0))], s.options.Palette.dim(foot))
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, s.width, "…")
	}
	return strings.Join(lines, "\n")
}

// Table returns the devices as a table for those who look once: without a
// history, all of them, and as wide as it takes if the width is 0.
func (s *Screen) Table() string {
	items, all, _ := s.items()
	if len(items) == 0 {
		return strings.Join(s.nothing(all), "\n") + "\n"
	}
	l := plan(s.width, items, s.options.Holders, false)
	lines := append([]string{s.headings(&l)}, s.rows(items, &l, false)...)
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *Screen) body(items []item, all int) []string {
	if len(items) == 0 {
		return s.nothing(all)
	}
	l := plan(s.width, items, s.options.Holders, true)
	return s.rows(items, &l, true)
}

// nothing says why there is no device to see.
func (s *Screen) nothing(all int) []string {
	if all > 0 {
		return []string{fmt.Sprintf("No device of %d has %q.", all, s.options.Filter)}
	}
	waiting := len(s.reports) == 0
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(s.reports)) {
		r := s.reports[name]
		waiting = waiting || !r.Complete && r.Trouble == ""
		for _, remark := range r.Remarks {
			lines = append(lines, paragraph("  ", name+": "+remark, s.width, healthLines)...)
		}
	}
	if waiting {
		return append([]string{"Waiting for the first answer."}, lines...)
	}
	return append([]string{"No devices."}, lines...)
}

// title is the first line.
func (s *Screen) title(all, unhealthy int) string {
	o := &s.options
	var names []string
	for _, source := range slices.Sorted(maps.Keys(s.reports)) {
		names = append(names, clean(cmp.Or(s.reports[source].Title, source)))
	}
	parts := []string{count(all, "device")}
	if unhealthy > 0 {
		parts[0] += ", " + o.Palette.bad(fmt.Sprintf("%d unhealthy", unhealthy))
	}
	if s.paused {
		parts = append([]string{o.Palette.warn("PAUSED")}, parts...)
	}
	if o.Filter != "" {
		parts = append(parts, "with "+clean(o.Filter))
	}
	direction := ""
	if o.Reverse {
		direction = ", reversed"
	}
	parts = append(parts, "by "+o.Sort.String()+direction, "every "+o.Interval.String(), strings.Join(names, ", "))
	return o.Palette.bold("devctl top") + "  " + strings.Join(parts, "  ")
}

// troubles says what keeps sources from telling more.
func (s *Screen) troubles(width, most int) []string {
	var lines []string
	for _, source := range slices.Sorted(maps.Keys(s.reports)) {
		for i, line := range strings.Split(s.reports[source].Trouble, "\n") {
			if strings.TrimSpace(line) == "" {
				continue
			}
			lead := "  "
			if i == 0 {
				lead, line = "! ", source+": "+line
			}
			lines = append(lines, paragraph(lead, line, width, healthLines)...)
		}
	}
	if most > 0 && len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("  … and %s more", count(len(lines)-most+1, "line")))
	}
	for i := range lines {
		lines[i] = s.options.Palette.bad(lines[i])
	}
	return lines
}

// headings is the line with the columns' names.
func (s *Screen) headings(l *layout) string {
	heading := func(c Column, name string) string {
		if s.options.Sort != c {
			return name
		}
		if s.options.Reverse {
			return name + "▲"
		}
		return name + "▼"
	}
	cells := []string{strings.Repeat(" ", mark) + pad(heading(ByDevice, "DEVICE"), l.device)}
	if l.name > 0 {
		cells = append(cells, pad(heading(ByName, "NAME"), l.name))
	}
	for k := range kinds {
		name := strings.ToUpper(k.String())
		width := l.gaugeWidth(k)
		if ansi.StringWidth(name)+1 > width {
			name = "MEM"
		}
		cells = append(cells, padLeft(heading(ByLoad+Column(k), name), width))
	}
	if l.holder > 0 {
		cells = append(cells, pad(heading(ByHolder, "HELD BY"), l.holder))
	}
	return s.options.Palette.bold(strings.Join(cells, strings.Repeat(" ", gap)))
}

// rows are the lines of the devices: one each, and what there is to say beneath.
func (s *Screen) rows(items []item, l *layout, live bool) []string {
	most := healthLines
	if !live {
		most = 0
	}
	var lines []string
	for i := range items {
		d := &items[i]
		lines = append(lines, s.row(d, l))
		p := s.options.Palette
		switch {
		case !d.Healthy:
			text := "unhealthy: " + cmp.Or(d.HealthText, "the plugin does not say why")
			for _, line := range paragraph("    ", text, s.width, most) {
				lines = append(lines, p.bad(line))
			}
		case d.HealthText != "":
			for _, line := range paragraph("    ", "note: "+d.HealthText, s.width, most) {
				lines = append(lines, p.warn(line))
			}
		}
		if l.holder > 0 && len(d.Holders) == 1 && len(d.Replicas) == 0 {
			continue // its column says it
		}
		for _, h := range d.Holders {
			lines = append(lines, paragraph("    ", holderLine(d, h), s.width, most)...)
		}
	}
	return lines
}

func (s *Screen) row(d *item, l *layout) string {
	p := s.options.Palette
	sign := p.good("●")
	if !d.Healthy {
		sign = p.bad("✗")
	}
	suffix := strings.TrimPrefix(deviceText(d), d.ID)
	id := cut(d.ID, l.device-ansi.StringWidth(suffix)) + suffix
	cells := []string{sign + " " + pad(id, l.device)}
	if l.name > 0 {
		cells = append(cells, pad(nameText(d, l.name), l.name))
	}
	if d.Gauges.None() {
		text := "no statistics"
		if summary := summaryText(d.Summary); summary != "" {
			text = summary
		} else if r := s.reports[d.source]; !r.Complete && r.Trouble == "" {
			text = "not measured yet"
		}
		cells = append(cells, cell(text, l.gaugesWidth()))
	} else {
		history := s.history[d.key(d.source)]
		for k := range kinds {
			cells = append(cells, s.gauge(d, k, l, history))
		}
	}
	if l.holder > 0 {
		cells = append(cells, cell(holderText(d), l.holder))
	}
	return strings.Join(cells, strings.Repeat(" ", gap))
}

// gauge is a gauge's cell: what was, a bar, and the number.
func (s *Screen) gauge(d *item, k Kind, l *layout, h *history) string {
	g := d.Gauges[k]
	part, known := fullness(k, g)
	var text strings.Builder
	if width := l.sparks[k]; width > 0 {
		var values []float64
		if h != nil {
			values = h.values[k]
		}
		text.WriteString(s.options.Palette.dim(spark(values, scale(k, g), width)) + " ")
	}
	if width := l.bars[k]; width > 0 {
		drawn := strings.Repeat(" ", width)
		if known {
			drawn = s.options.Palette.gauge(k, part, bar(part, width))
		}
		text.WriteString(drawn + " ")
	}
	text.WriteString(padLeft(gaugeText(k, g, l.full[k]), l.numberWidth(k)))
	return text.String()
}

// footer is the last line: what keys there are, or what is being typed.
func (s *Screen) footer() string {
	if s.typing {
		return "filter: " + clean(s.options.Filter) + "▏ enter keeps it, esc drops it"
	}
	return "q quit  s S sort  r reverse  / filter  p pause  + - interval  ? help"
}

func (s *Screen) helpLines() []string {
	lines := []string{"", "Keys", ""}
	for _, k := range keyHelp {
		lines = append(lines, paragraph("  "+pad(k[0], 12), k[1], s.width, 0)...)
	}
	return append(lines, "",
		"Bars and sparklines are of the limit that the device tells; of 100 °C for heat,",
		"if it tells none. ● is healthy, ✗ is not.")
}
