package fpga

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
			if strings.HasPrefix(key, ".") {
				key = first[:strings.LastIndex(first, ".")] + key
			} else {
				first = key
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
	for _, key := range append(keys, "kind") {
		pattern := regexp.QuoteMeta(key)
		for from, to := range map[string]string{`port\.P`: `port\.\w+`, `CHANNEL`: `(temp|power|in|curr|fan)\d+`} {
			pattern = strings.ReplaceAll(pattern, from, to)
		}
		// What holds for all ports can be said of one.
		patterns = append(patterns, regexp.MustCompile(`^(port\.\d+\.)?`+pattern+"$"))
	}
	used := map[string]bool{}
	owner := regexp.MustCompile(`^(card\.(\d+|\*)|kind\.\w+)\.`)
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
	// And what the code asks for.
	var code strings.Builder
	code.WriteString(`"driver.loaded" "present" "name"`) // read by package machine, too
	sources, err := os.ReadDir(".")
	check(t, err)
	for _, e := range sources {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			check(t, err)
			code.Write(text)
		}
	}
	for _, match := range regexp.MustCompile(`(?:\.text|\.register|\.is|ofPort|Machine|Scaled|Number)\((?:c\.n, |p, )?"([a-z_.0-9]+)"[,)]`).FindAllStringSubmatch(code.String(), -1) {
		used[match[1]] = true
	}
	if len(used) < 90 {
		t.Errorf("only %d keys were found", len(used))
	}
	for _, key := range sorted(used) {
		if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(key) }) {
			t.Errorf("README.md does not have the key %s", key)
		}
	}
	// And the other way round: a key that nothing reads has no place there.
	for _, key := range keys {
		last := key[strings.LastIndex(key, ".")+1:]
		if !strings.Contains(code.String(), `"`+key) && !strings.Contains(code.String(), "."+last+`"`) && !strings.Contains(code.String(), `"`+last+`"`) &&
			!strings.HasPrefix(key, "sensor.CHANNEL") {
			t.Errorf("README.md has the key %s, which the code does not know", key)
		}
	}
	text, err := os.ReadFile("README.md")
	check(t, err)
	for _, p := range Profiles() {
		if !strings.Contains(string(text), "| `"+p.Name+"` |") {
			t.Errorf("README.md does not have the profile %s", p.Name)
		}
	}
}
