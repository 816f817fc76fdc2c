// Package pagetest holds a plugin's page in docs/plugins against the plugin, in
// the plugin's own tests.
package pagetest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/share"
)

var update = flag.Bool("update", false, "write golden files and the tables of the plugin's page anew")

// Update returns whether the test was run with -update, for golden files beside
// the page.
func Update() bool { return *update }

// Tables fails the test if the tables of the page differ from the code; with
// -update it writes them anew instead.
func Tables(t *testing.T, file string, page describe.Page) {
	t.Helper()
	have := read(t, file)
	want, err := page.Fill(have)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if want == have {
		return
	}
	if !*update {
		t.Fatalf("the tables of %s differ from the code; run: go test -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

var faultCode = regexp.MustCompile(`(?m)^\s*(?:const )?code[A-Z]\w*\s*= "([a-z0-9-]+)"`)

// FaultCodes fails the test if an operator would not find the code of a fault on
// the page: each constant whose name begins with "code", of the package in the
// current directory and of those in the further directories, which may be
// patterns of [filepath.Glob]. It returns how many there are, so that the test
// can see that it looked at something.
func FaultCodes(t *testing.T, file string, directories ...string) int {
	t.Helper()
	text := read(t, file)
	var sources []string
	for _, directory := range append([]string{"."}, directories...) {
		found, err := filepath.Glob(filepath.Join(directory, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	found := 0
	for _, source := range sources {
		for _, match := range faultCode.FindAllStringSubmatch(read(t, source), -1) {
			found++
			if !strings.Contains(text, "`"+match[1]+"`") {
				t.Errorf("%s: %s does not explain the fault %q", source, file, match[1])
			}
		}
	}
	return found
}

var (
	deviceAttribute = regexp.MustCompile(`\$\{device\.attr\.(\w+)\}`)
	relativeLink    = regexp.MustCompile(`\]\((\.\./[^)#]+)\)`)
)

// coreAttributes are the attributes that the core adds to those of a plugin.
var coreAttributes = []string{fingerprint.HealthyCount, share.Sharing, share.Replicas}

// Examples fails the test if the page does not link to an example in the
// package's examples directory, if an example constrains an attribute that does
// not exist, or if a relative link of the page leads nowhere.
func Examples(t *testing.T, file string, attributes []string) {
	t.Helper()
	text := read(t, file)
	examples, err := filepath.Glob("examples/*.hcl")
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	directory, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		if link := "../../plugins/" + filepath.Base(directory) + "/" + filepath.ToSlash(example); !strings.Contains(text, link) {
			t.Errorf("%s has no link to %s", file, example)
		}
		for _, match := range deviceAttribute.FindAllStringSubmatch(read(t, example), -1) {
			if !slices.Contains(attributes, match[1]) && !slices.Contains(coreAttributes, match[1]) {
				t.Errorf("%s asks for %q, which is no attribute", example, match[1])
			}
		}
	}
	for _, match := range relativeLink.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), match[1])); err != nil {
			t.Errorf("a link of %s leads nowhere: %v", file, err)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
