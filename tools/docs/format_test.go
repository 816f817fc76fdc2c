package docs

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// formats are what a block can be that is neither HCL nor for a shell, each with
// what reads it.
var formats = map[string]func(text string) error{
	"go":   parseGo,
	"yaml": func(text string) error { return yaml.Unmarshal([]byte(text), new(any)) },
	"json": func(text string) error { return json.Unmarshal([]byte(text), new(any)) },
	"ini":  parseUnit,
	"text": func(string) error { return nil },
	"":     func(string) error { return nil },
}

// TestFormats reads all blocks that have a format.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language == "hcl" || isShell(b) {
				continue
			}
			parse, ok := formats[b.language]
			if !ok {
				t.Errorf("%s: nothing reads the language %q", b.name(), b.language)
				continue
			}
			if err := parse(b.text); err != nil {
				t.Errorf("%s: %v", b.name(), err)
			}
		}
	}
	units, err := filepath.Glob(filepath.Join(root(t), "plugins", "*", "examples", "*.service"))
	if err != nil || len(units) == 0 {
		t.Fatalf("%d systemd units, %v", len(units), err)
	}
	for _, file := range units {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := parseUnit(string(text)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// parseGo reads a file, declarations, or statements.
func parseGo(text string) error {
	var err error
	for _, around := range [][2]string{{"", ""}, {"package p\n", ""}, {"package p\nfunc _() {\n", "\n}"}} {
		if _, err = parser.ParseFile(token.NewFileSet(), "", around[0]+text+around[1], parser.SkipObjectResolution); err == nil {
			return nil
		}
	}
	return err
}

// unitKeys are the settings of systemd's units that the pages use, by section.
var unitKeys = map[string][]string{
	"Unit":    {"Description", "After", "Before"},
	"Service": {"Type", "RuntimeDirectory", "RuntimeDirectoryMode", "LogsDirectory", "Environment", "ExecStart", "ExecStartPre", "ExecStop", "ExecStopPost", "Restart", "LimitMEMLOCK", "DeviceAllow"},
	"Install": {"WantedBy"},
}

// parseUnit reads a systemd unit or a part of one.
func parseUnit(text string) error {
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, _, setting := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			if _, ok := unitKeys[section]; !ok {
				return fmt.Errorf("no section %q is known", section)
			}
		case !setting || !slices.Contains(unitKeys[section], key):
			return fmt.Errorf("%q is no known setting in [%s]", line, section)
		}
	}
	return nil
}

// TestFormatsWrong sees that what is wrong is found to be wrong.
func TestFormatsWrong(t *testing.T) {
	t.Parallel()
	for language, text := range map[string]string{
		"go": "func {", "yaml": "a: [", "json": "{", "ini": "[Service]\nLimitMEMLOK=infinity\n",
	} {
		if formats[language](text) == nil {
			t.Errorf("%s: %q was read without an error", language, text)
		}
	}
}
