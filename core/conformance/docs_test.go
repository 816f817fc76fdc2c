package conformance_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/conformance"
)

const (
	page       = "../../docs/conformance.md"
	tableStart = "<!-- begin: cases -->\n"
	tableEnd   = "<!-- end: cases -->\n"
)

// casesTable is the table of all cases for the page.
func casesTable() string {
	var b strings.Builder
	b.WriteString("\n| Case | A plugin must | Otherwise | Mend | Source |\n|---|---|---|---|---|\n")
	for _, c := range conformance.Cases() {
		text := c.Text
		if c.Long {
			text += " *Long.*"
		}
		if needs := c.Needs.String(); needs != "" {
			text += " *Needs " + needs + ".*"
		}
		fmt.Fprintf(&b, "| **%s** %s | %s | %s | %s | %s |\n", c.Rule, c.Name,
			cell(text), cell(c.Otherwise), cell(c.Mend), cell(c.Source))
	}
	return b.String() + "\n"
}

func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "${", "&#36;{").Replace(text)
}

// TestDocument: the table in the document is that of the code.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableStart)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	want := before + tableStart + casesTable() + tableEnd + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("write it anew with -update (-want +got):\n%s", diff)
	}
}

// TestTableIsWhole: each case says everything that a report needs.
func TestTableIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range conformance.Cases() {
		if seen[c.String()] {
			t.Errorf("%s is there twice", c)
		}
		seen[c.String()] = true
		for what, text := range map[string]string{"Rule": c.Rule, "Name": c.Name, "Text": c.Text, "Otherwise": c.Otherwise, "Source": c.Source, "Mend": c.Mend} {
			if strings.TrimSpace(text) != text || text == "" {
				t.Errorf("%s: %s is %q", c, what, text)
			}
		}
	}
}
