package nvidia

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of the plugin's page anew")

const page = "../../docs/plugins/nvidia.md"

// TestPage holds the tables of the plugin's page against the code.
func TestPage(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fillTables(string(have))
	if err != nil {
		t.Fatal(err)
	}
	if want == string(have) {
		return
	}
	if !*update {
		t.Fatal("the tables differ from the code; run: go test ./plugins/nvidia -run TestPage -update")
	}
	if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPageNamesFaults makes sure that an operator finds each code of a fault.
func TestPageNamesFaults(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	constant := regexp.MustCompile(`(?m)^\s*(?:const )?code[A-Z]\w*\s*= "([a-z-]+)"`)
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range constant.FindAllSubmatch(source, -1) {
			found++
			if !strings.Contains(string(text), "`"+string(match[1])+"`") {
				t.Errorf("%s: the page does not explain the fault %q", file, match[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d codes of faults: this test looks for the wrong thing", found)
	}
}

// TestPageExamples makes sure that the page and the examples belong together.
func TestPageExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Glob("examples/*.hcl")
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, example := range examples {
		if !strings.Contains(string(text), "../../plugins/nvidia/"+filepath.ToSlash(example)) {
			t.Errorf("the page has no link to %s", example)
		}
		content, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`\$\{device\.attr\.(\w+)\}`).FindAllSubmatch(content, -1) {
			if !slices.ContainsFunc(attributeDocs, func(a *attribute) bool { return a.name == string(match[1]) }) {
				t.Errorf("%s asks for %q, which is no attribute", example, match[1])
			}
		}
	}
	for _, match := range regexp.MustCompile(`\]\((\.\./[^)#]+)\)`).FindAllSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(match[1]))); err != nil {
			t.Errorf("a link of the page leads nowhere: %v", err)
		}
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	for want, numbers := range map[string][]uint64{
		"":                  nil,
		"8":                 {8},
		"13, 14":            {13, 14},
		"8, 39–41, 60, 171": {8, 39, 40, 41, 60, 171},
	} {
		if got := ranges(numbers); got != want {
			t.Errorf("%v: %q, want %q", numbers, got, want)
		}
	}
}

func TestFillTables(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{"", "<!-- begin: attributes -->\n"} {
		if _, err := fillTables(broken); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}
