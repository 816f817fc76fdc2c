package amd

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// documented gives the keys that the tables of README.md have: `a.b`, `.c` is a.b
// and a.c.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	check(t, err)
	word := regexp.MustCompile("`([^`]+)`")
	var keys []string
	_, tables, _ := strings.Cut(string(text), "### The machine")
	for line := range strings.Lines(tables) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		first := ""
		for _, match := range word.FindAllStringSubmatch(cells[1], -1) {
			key := match[1]
			switch {
			case !strings.HasPrefix(key, "."):
				first = key
			case slices.Contains([]string{".critical", ".emergency"}, key):
				key = first + key
			default:
				key = first[:strings.LastIndex(first, ".")] + key
			}
			keys = append(keys, key)
		}
	}
	return keys
}

// TestReadmeHasEveryKey compares the tables with the keys that profiles set and
// faults change, and with the words of the code.
func TestReadmeHasEveryKey(t *testing.T) {
	t.Parallel()
	keys := documented(t)
	var patterns []*regexp.Regexp
	for _, key := range keys {
		pattern := regexp.QuoteMeta(key)
		for from, to := range map[string]string{`ras\.B`: `ras\.\w+`, `partition\.K`: `partition\.\d+`, `process\.I`: `process\.\d+`} {
			pattern = strings.ReplaceAll(pattern, from, to)
		}
		patterns = append(patterns, regexp.MustCompile("^"+pattern+"$"))
	}
	// What is said of the junction in one row holds for the two others.
	patterns = append(patterns, regexp.MustCompile(`^temperature\.(edge|memory)(\.critical|\.emergency)?$`), regexp.MustCompile(`^kind$`))
	used := map[string]bool{}
	owner := regexp.MustCompile(`^(gpu\.(\d+|\*)|kind\.\w+)\.`)
	for _, p := range Profiles() {
		f, err := scenario.Parse(p.Text)
		check(t, err)
		for key := range f.All() {
			used[owner.ReplaceAllString(key, "")] = true
		}
	}
	for _, fault := range Faults() {
		for _, assignment := range slices.Concat(fault.Set, fault.Change) {
			key, _, _ := strings.Cut(assignment, "=")
			used[key] = true
		}
	}
	for _, l := range layouts {
		for _, f := range l.fields {
			if f.key != linkRate {
				used[f.key] = true
			}
		}
	}
	for _, key := range sorted(used) {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(key) }) {
			t.Errorf("README.md does not have the key %s", key)
		}
	}
	// And the other way round: a key that nothing reads has no place there.
	var code strings.Builder
	code.WriteString(`"driver.loaded"`) // read by package machine
	sources, err := os.ReadDir(".")
	check(t, err)
	for _, e := range sources {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			check(t, err)
			code.Write(text)
		}
	}
	for _, key := range keys {
		last := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(code.String(), `"`+key) && !strings.Contains(code.String(), "."+last) && !strings.Contains(code.String(), `"`+last+`"`) {
			t.Errorf("README.md has the key %s, which the code does not know", key)
		}
	}
	for _, p := range Profiles() {
		text, err := os.ReadFile("README.md")
		check(t, err)
		if !strings.Contains(string(text), "| `"+p.Name+"` |") {
			t.Errorf("README.md does not have the profile %s", p.Name)
		}
	}
}
