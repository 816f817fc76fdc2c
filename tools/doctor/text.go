package doctor

import (
	"fmt"
	"io"
	"strings"
)

// TextOptions say how a report is written for people.
type TextOptions struct {
	// All shows what is fine, too.
	All bool
	// Colour marks severities by the colours of a terminal.
	Colour bool
}

// width is how many columns a line of prose takes. Commands are not broken: they
// are there to be copied.
const width = 100

const indent = "    "

// colours are the SGR sequences of the severities.
var colours = [...]string{OK: "32", Note: "36", Warning: "33", Problem: "1;31"}

// WriteText writes the report for people, link by link.
func (r *Report) WriteText(w io.Writer, options TextOptions) error {
	var b strings.Builder
	last := Link(-1)
	for _, f := range r.Findings {
		if f.Severity == OK && !options.All {
			continue
		}
		if f.Link != last {
			if last >= 0 {
				b.WriteString("\n")
			}
			last = f.Link
			fmt.Fprintf(&b, "%s%s\n", strings.ToUpper(f.Link.String()[:1]), f.Link.String()[1:])
		}
		f.write(&b, options)
	}
	if last >= 0 {
		b.WriteString("\n")
	}
	b.WriteString(r.summary(options) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (f Finding) write(b *strings.Builder, options TextOptions) {
	severity := f.Severity.String()
	if options.Colour {
		severity = "\x1b[" + colours[f.Severity] + "m" + severity + "\x1b[0m"
	}
	fmt.Fprintf(b, "  %s  %s  (%s)\n", severity, f.Subject, f.Code)
	wrap(b, "", f.What)
	for _, line := range f.Details {
		for part := range strings.Lines(line) {
			fmt.Fprintf(b, "%s  - %s\n", indent, strings.TrimRight(part, "\n"))
		}
	}
	if f.Why != "" {
		wrap(b, "why   ", f.Why)
	}
	lead := "mend  "
	for line := range strings.Lines(f.Mend) {
		fmt.Fprintf(b, "%s%s%s\n", indent, lead, strings.TrimRight(line, "\n"))
		lead = strings.Repeat(" ", len(lead))
	}
}

// wrap writes prose in lines of the width, the first with a lead and the others
// below its text. Lines of the text itself, such as those of a log, stay lines.
func wrap(b *strings.Builder, lead, text string) {
	for part := range strings.Lines(text) {
		line := indent + lead
		empty := true
		for word := range strings.FieldsSeq(part) {
			if !empty && len([]rune(line))+1+len([]rune(word)) > width {
				b.WriteString(line + "\n")
				line, empty = indent+strings.Repeat(" ", len(lead)), true
			}
			if !empty {
				line += " "
			}
			line += word
			empty = false
		}
		b.WriteString(line + "\n")
		lead = strings.Repeat(" ", len(lead))
	}
}

// summary is the last line: what there is of each severity, and where the rest
// is.
func (r *Report) summary(options TextOptions) string {
	fine := plural(r.Count(OK), "check") + " fine"
	if r.Count(OK) > 0 && !options.All {
		fine += " (--all shows them)"
	}
	parts := []string{plural(r.Count(Problem), "problem"), plural(r.Count(Warning), "warning"), plural(r.Count(Note), "note"), fine}
	text := strings.Join(parts, ", ") + "."
	for _, f := range r.Findings {
		if f.Severity == Problem && (f.Link == Binary || f.Link == Configuration) {
			return text + "\nNomad looks at binaries and configuration when it starts: systemctl restart nomad afterwards."
		}
	}
	return text
}
