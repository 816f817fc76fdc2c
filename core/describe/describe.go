// Package describe holds what a plugin says about what it publishes. The code
// publishes by these descriptions, and the tables of the plugin's page are made
// from them, so that the page cannot differ from the code.
package describe

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
)

// A Stat is one statistic of a plugin.
type Stat struct {
	// Name, Unit and Description are those of [core.Reading].
	Name, Unit, Description string
	// On says which devices can have it, in the words of the page: "GPU".
	On string
	// Counter is that of [core.Reading].
	Counter bool
}

// Is returns the reading of a value.
func (s *Stat) Is(value core.Value) core.Reading {
	return core.Reading{Name: s.Name, Value: value, Unit: s.Unit, Counter: s.Counter, Description: s.Description}
}

// OutOf returns the reading of a value out of a limit, if that is known.
func (s *Stat) OutOf(value, limit core.Value) core.Reading {
	r := s.Is(value)
	if limit.Known() {
		r.Limit = limit
	}
	return r
}

// An Attribute is one attribute of a plugin's devices.
type Attribute struct {
	// Name is the key in [core.Device.Attributes].
	Name string
	// Kind is the type of its values.
	Kind core.Kind
	// Unit is the unit of its values.
	Unit core.Unit
	// Description says what it means, in a sentence.
	Description string
	// On says which devices can have it, in the words of the page.
	On string
}

// Stats returns the table of statistics.
func Stats(stats []*Stat) string {
	t := NewTable("Statistic", "Unit", "On", "Meaning")
	for _, s := range stats {
		t.Row(s.Name, s.Unit, s.On, s.Description)
	}
	return t.String()
}

// Attributes returns the table of attributes.
func Attributes(attributes []*Attribute) string {
	t := NewTable("Attribute", "Type", "Unit", "On", "Meaning")
	for _, a := range attributes {
		t.Row("`"+a.Name+"`", a.Kind.String(), string(a.Unit), a.On, a.Description)
	}
	return t.String()
}

// Table is a Markdown table.
type Table struct{ text strings.Builder }

// NewTable returns a table without rows.
func NewTable(columns ...string) *Table {
	t := new(Table)
	t.Row(columns...)
	t.Row(slices.Repeat([]string{"---"}, len(columns))...)
	return t
}

// Row adds a row.
func (t *Table) Row(cells ...string) {
	for _, cell := range cells {
		t.text.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
	}
	t.text.WriteString("|\n")
}

// String returns the table in Markdown.
func (t *Table) String() string { return t.text.String() }

// Page is the tables of a plugin's page, each by the name between its marks:
//
//	<!-- begin: attributes -->
//	<!-- end: attributes -->
type Page map[string]func() (string, error)

// Fill returns the text of a page with its tables made anew. A table that the
// text has no marks for, and marks without an end, are errors.
func (p Page) Fill(text string) (string, error) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		begin, end := "<!-- begin: "+name+" -->\n", "<!-- end: "+name+" -->"
		before, rest, ok := strings.Cut(text, begin)
		if !ok {
			return "", fmt.Errorf("the page has no mark %q", strings.TrimSpace(begin))
		}
		_, after, ok := strings.Cut(rest, end)
		if !ok {
			return "", fmt.Errorf("the page has no mark %q", end)
		}
		table, err := p[name]()
		if err != nil {
			return "", err
		}
		text = before + begin + "\n" + table + "\n" + end + after
	}
	return text, nil
}
