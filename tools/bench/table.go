package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// WriteTable writes the result for people: ratios first, then what was measured
// of each plugin.
func (r *Result) WriteTable(w io.Writer) error {
	peer := len(r.Plugins) > 1
	var rows [][]string
	header := []string{""}
	if peer {
		header = append(header, "ratio")
	}
	for _, p := range r.Plugins {
		header = append(header, p.Label)
	}
	rows = append(rows, header)
	section := ""
	for _, row := range r.Rows {
		if row.Section != section {
			section = row.Section
			rows = append(rows, []string{section})
		}
		cells := []string{"  " + row.Name}
		if peer {
			cells = append(cells, showRatio(row.Ratio))
		}
		for _, v := range row.Values {
			cells = append(cells, show(v, row.Unit))
		}
		rows = append(rows, cells)
	}
	var b strings.Builder
	for _, p := range r.Plugins {
		fmt.Fprintf(&b, "%s: %s %s\n", p.Label, p.Name, p.Version)
	}
	fmt.Fprintf(&b, "%d CPUs, %s", r.CPUs, r.Go)
	if r.Quick {
		b.WriteString(", a quick run: its figures say little")
	}
	b.WriteString("\n")
	if peer {
		b.WriteString("ratio: how many times better ours is than the peer\n")
	}
	b.WriteString("\n")
	align(&b, rows)
	if len(r.Notes) > 0 {
		b.WriteString("\n")
		for _, note := range r.Notes {
			fmt.Fprintf(&b, "note: %s\n", note)
		}
	}
	if len(r.Micro) > 0 {
		b.WriteString("\n")
		if err := writeMicro(&b, r.Micro); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON writes the result for programs.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// align writes rows with the first column to the left and the others to the
// right. A row of one cell is a headline.
func align(b *strings.Builder, rows [][]string) {
	var widths []int
	for _, cells := range rows {
		for i, cell := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(cells) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, cells := range rows {
		if len(cells) == 1 {
			fmt.Fprintf(b, "%s\n", cells[0])
			continue
		}
		fmt.Fprintf(b, "%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			fmt.Fprintf(b, "  %*s", widths[i+1], cell)
		}
		b.WriteString("\n")
	}
}

func writeMicro(b *strings.Builder, rows []MicroRow) error {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "micro-benchmark\tns/op\tB/op\tallocs/op\t")
	for _, m := range rows {
		fmt.Fprintf(w, "%s %s\t%s\t%.0f\t%.0f\t\n", m.Package, m.Name, digits(m.Nanos), m.Bytes, m.Allocs)
	}
	return w.Flush()
}

func showRatio(r *float64) string {
	if r == nil {
		return "–"
	}
	return digits(*r) + "×"
}

// show returns a value with three digits and a unit of a fitting size.
func show(v Value, u Unit) string {
	if v.Missing != "" {
		return v.Missing
	}
	text := ""
	switch u {
	case Seconds:
		text = scaled(v.Number, 1000, "ns", []string{"ns", "µs", "ms", "s"}, 1e-9)
	case Bytes:
		text = scaled(v.Number, 1024, "B", []string{"B", "KiB", "MiB", "GiB"}, 1)
	case Count:
		text = digits(v.Number)
	default:
		text = digits(v.Number) + string(u)
	}
	if v.Bound {
		return ">" + text
	}
	return text
}

// scaled shows a number in the largest of the units of which there is one.
func scaled(n, step float64, zero string, units []string, smallest float64) string {
	if n == 0 {
		return "0 " + zero
	}
	n /= smallest
	i := 0
	for math.Abs(n) >= step && i < len(units)-1 {
		n /= step
		i++
	}
	return digits(n) + " " + units[i]
}

// digits shows three digits of a number, and all those before its point.
func digits(n float64) string {
	if n == 0 {
		return "0"
	}
	places := 2 - int(math.Floor(math.Log10(math.Abs(n))))
	text := strconv.FormatFloat(n, 'f', min(max(places, 0), 4), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}
