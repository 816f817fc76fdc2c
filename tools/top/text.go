package top

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// clean takes out what could move a terminal's cursor: the text is a plugin's.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// cut shortens a text in its middle: IDs differ at either end, and so do the
// names of models and of their partitions.
func cut(text string, width int) string {
	text = clean(text)
	all := ansi.StringWidth(text)
	if all <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	left := width / 2
	return ansi.Cut(text, 0, left) + "…" + ansi.Cut(text, all-(width-1-left), all)
}

// cell is a text cut and padded to the width.
func cell(text string, width int) string { return pad(cut(text, width), width) }

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-ansi.StringWidth(text), 0))
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(width-ansi.StringWidth(text), 0)) + text
}

// paragraph writes a text behind a lead, on as many lines as it takes, but at
// most so many; 0 is as many as it takes. The lines after the first are indented
// by the lead. A width of 0 is one line.
func paragraph(lead, text string, width, most int) []string {
	text = strings.TrimSpace(clean(text))
	indent := ansi.StringWidth(lead)
	if width <= 0 {
		return []string{lead + text}
	}
	lines := strings.Split(ansi.Wrap(text, max(width-indent, 10), ""), "\n")
	if most > 0 && len(lines) > most {
		lines = lines[:most]
		lines[most-1] = ansi.Truncate(lines[most-1], max(width-indent-2, 8), "") + " …"
	}
	for i := range lines {
		if i > 0 {
			lead = strings.Repeat(" ", indent)
		}
		lines[i] = lead + lines[i]
	}
	return lines
}

// gaugeText is a gauge's number.
func gaugeText(k Kind, g Gauge, full bool) string {
	if !g.Known() {
		return "-"
	}
	switch k {
	case Load:
		return number(g.Value, 0) + "%"
	case Memory:
		if full && g.Limit > 0 {
			return amount(g.Value, g.Limit)
		}
		if part, ok := fullness(k, g); ok {
			return number(100*part, 0) + "%"
		}
		return number(g.Value/1024, 1) + "G"
	case Heat:
		return number(g.Value, 0) + "°C"
	default:
		if full && g.Limit > 0 {
			return number(g.Value, 0) + "/" + number(g.Limit, 0) + "W"
		}
		return number(g.Value, 0) + "W"
	}
}

// amount is memory in use of all, in the unit that suits all of it.
func amount(used, all float64) string {
	if all < 1024 {
		return number(used, 0) + "/" + number(all, 0) + " MiB"
	}
	return number(used/1024, 1) + "/" + number(all/1024, 1) + " GiB"
}

func number(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// summaryText writes a statistic that is no gauge, as Nomad's commands do.
func summaryText(s *structs.StatValue) string {
	var text string
	switch {
	case s == nil:
		return ""
	case s.BoolVal != nil:
		text = strconv.FormatBool(*s.BoolVal)
	case s.StringVal != nil:
		text = *s.StringVal
	case s.FloatNumeratorVal != nil:
		text = number(*s.FloatNumeratorVal, 3)
		if s.FloatDenominatorVal != nil {
			text += " / " + number(*s.FloatDenominatorVal, 3)
		}
	case s.IntNumeratorVal != nil:
		text = strconv.FormatInt(*s.IntNumeratorVal, 10)
		if s.IntDenominatorVal != nil {
			text += " / " + strconv.FormatInt(*s.IntDenominatorVal, 10)
		}
	}
	if s.Unit != "" {
		text += " " + s.Unit
	}
	return text
}

// holderLine says who holds a device, in a sentence.
func holderLine(d *item, h Holder) string {
	lead := "held by "
	if len(d.Replicas) > 0 {
		lead = "share " + strings.TrimLeft(strings.TrimPrefix(h.Device, d.ID), ":") + ": "
	}
	if h.Foreign {
		return lead + "a task in namespace " + h.Namespace
	}
	text := fmt.Sprintf("%stask %s of job %s, namespace %s, alloc %s", lead, h.Task, h.Job, h.Namespace, short(h.Alloc))
	if h.Status != "running" {
		text += " (" + h.Status + ")"
	}
	return text
}
