package faults

import (
	"fmt"
	"strings"
)

// Page writes the matrix as it stands in docs/reliability.md: a section for each
// row, in Markdown.
func Page(rows []Row) string {
	var b strings.Builder
	b.WriteString("| Fault | Lost | Recovery | Tested with |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		tested := "plugin"
		if r.Agent {
			tested = "plugin, Nomad agent"
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.Name, anchor(r.Name), r.Lost, r.Recovery, tested)
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", strings.ToUpper(r.Name[:1])+r.Name[1:], r.How)
		said := make([]string, len(r.Says))
		for i, s := range r.Says {
			said[i] = "“" + s + "”"
		}
		operator := r.Operator
		if len(said) > 0 {
			operator += " It says " + strings.Join(said, ", ") + "."
		}
		fmt.Fprintf(&b, "- **The operator sees:** %s\n- **Nomad sees:** %s\n- **Lost:** %s\n- **Recovery:** %s\n", operator, r.Nomad, r.Lost, r.Recovery)
	}
	return b.String()
}

// anchor is the address of a heading, as Markdown renderers make it.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r == ' ':
			return '-'
		default:
			return -1
		}
	}, strings.ToLower(heading))
}

// The lines of a document between which a generated part stands.
const (
	begin = "<!-- begin: %s -->\n\n"
	end   = "\n<!-- end: %s -->"
)

// Insert puts text into a document, in the place of the part of that name.
func Insert(document, name, text string) (string, error) {
	opening, closing := fmt.Sprintf(begin, name), fmt.Sprintf(end, name)
	head, rest, found := strings.Cut(document, opening)
	_, tail, ended := strings.Cut(rest, closing)
	if !found || !ended {
		return "", fmt.Errorf("the document has no part %q: want the lines %q and %q", name, strings.TrimSpace(opening), strings.TrimSpace(closing))
	}
	return head + opening + text + closing + tail, nil
}
