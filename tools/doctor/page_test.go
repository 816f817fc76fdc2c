package doctor

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/faults"
)

// page writes all kinds of findings in Markdown, a table for each link.
func page() string {
	var b strings.Builder
	last := Link(-1)
	for _, k := range Kinds() {
		if k.Severity == OK {
			continue
		}
		if k.Link != last {
			if last >= 0 {
				b.WriteString("\n")
			}
			last = k.Link
			fmt.Fprintf(&b, "### %s%s\n\n| Finding | What is so | Why it matters | What mends it |\n| --- | --- | --- | --- |\n",
				strings.ToUpper(k.Link.String()[:1]), k.Link.String()[1:])
		}
		fmt.Fprintf(&b, "| `%s`<br>%s | %s | %s | %s |\n", k.Code, k.Severity, cell(k.What), cell(k.Why), commands(k.Mend))
	}
	b.WriteString("\n### Nothing wrong\n\n| Finding | What is so |\n| --- | --- |\n")
	for _, k := range Kinds() {
		if k.Severity == OK {
			fmt.Fprintf(&b, "| `%s` | %s |\n", k.Code, cell(k.What))
		}
	}
	return b.String()
}

// cell is prose in a table. What a finding fills in is set off.
func cell(text string) string {
	return strings.ReplaceAll(placeholder.ReplaceAllStringFunc(text, func(p string) string {
		return "*" + strings.Trim(p, "{}") + "*"
	}), "|", `\|`)
}

// commands are lines of code in a table.
func commands(text string) string {
	var all []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		line = placeholder.ReplaceAllStringFunc(line, func(p string) string { return "<" + strings.Trim(p, "{}") + ">" })
		all = append(all, "`"+strings.ReplaceAll(line, "|", `\|`)+"`")
	}
	return strings.Join(all, "<br>")
}

// TestPage holds the tables of the page against the kinds.
func TestPage(t *testing.T) {
	t.Parallel()
	const file = "../../docs/doctor.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := faults.Insert(string(text), "findings", page())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("run make generate; -want +got\n%s", diff)
	}
}
