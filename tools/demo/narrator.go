package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// narrator writes the demonstration for people.
type narrator struct {
	out  io.Writer
	acts int // how many there are
	now  int
}

// act begins the next act.
func (n *narrator) act(title string) {
	n.now++
	fmt.Fprintf(n.out, "\n[%d/%d] %s\n", n.now, n.acts, title)
}

// line says one thing.
func (n *narrator) line(format string, args ...any) {
	if n.now > 0 {
		format = "      " + format
	}
	fmt.Fprintf(n.out, format+"\n", args...)
}

func (n *narrator) blank() { fmt.Fprintln(n.out) }

// text writes lines as they are, indented.
func (n *narrator) text(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(n.out, "      | %s\n", strings.TrimRight(line, "\n"))
	}
}

// table writes rows as aligned columns.
func (n *narrator) table(rows ...[]string) {
	t := tabwriter.NewWriter(n.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "      %s\n", strings.Join(row, "\t"))
	}
	_ = t.Flush() // what out does not take, nobody reads
}

// waited says how long something took.
func waited(since time.Time) string { return time.Since(since).Round(100 * time.Millisecond).String() }

func lastLines(text string, most int) string {
	lines := slices.Collect(strings.Lines(text))
	return strings.Join(lines[max(0, len(lines)-most):], "")
}
