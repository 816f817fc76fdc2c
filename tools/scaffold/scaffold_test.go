package scaffold

import (
	"errors"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

// checkout is the project's, as seen from this package.
const checkout = "../.."

// rendered returns what is written for a vendor and a type, by the names of the
// files.
func rendered(t *testing.T, vendor, kind string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plugin")
	core, err := ParseCore(checkout)
	if err != nil {
		t.Fatal(err)
	}
	written, err := Write(Plugin{Vendor: vendor, Type: kind, Dir: dir, Core: core})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range written.Files {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// TestWritten: whatever the names, what is written is Go as gofmt has it, and imports
// nothing that the package's own name could be taken for.
func TestWritten(t *testing.T) {
	t.Parallel()
	for vendor, kind := range map[string]string{"acme": "fpga", "a": "b", "acme-labs": "tpu-slice", "func": "type", "z-9": "x1"} {
		for name, text := range rendered(t, vendor, kind) {
			if text == "" || strings.ContainsAny(text, "«»") || strings.Contains(text, "<no value>") {
				t.Errorf("%s %s: %s is not rendered:\n%s", vendor, kind, name, text)
			}
			if path.Ext(name) != ".go" {
				continue
			}
			formatted, err := format.Source([]byte(text))
			if err != nil {
				t.Errorf("%s %s: %s: %v", vendor, kind, name, err)
			}
			if diff := cmp.Diff(string(formatted), text); diff != "" {
				t.Errorf("%s %s: %s is not formatted (-want +got):\n%s", vendor, kind, name, diff)
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				t.Errorf("%s %s: %s: %v", vendor, kind, name, err)
				continue
			}
			for _, spec := range parsed.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				base := strings.TrimPrefix(path.Base(imported), "go-")
				if base != "nomad-device-"+vendor && base != "embed" && base != "testing" && !slices.Contains(reserved, base) {
					t.Errorf("%s imports %s, and a vendor could be called %s", name, imported, base)
				}
			}
		}
	}
}

var place = regexp.MustCompile(`FILL IN (\d+):`)

// TestPlaces: the places to fill in are numbered, each once, and README.md lists them
// with their files.
func TestPlaces(t *testing.T) {
	t.Parallel()
	files := rendered(t, "acme", "fpga")
	found := map[string]string{}
	for name, text := range files {
		for _, match := range place.FindAllStringSubmatch(text, -1) {
			if other, twice := found[match[1]]; twice {
				t.Errorf("place %s is in %s and in %s", match[1], other, name)
			}
			found[match[1]] = name
		}
	}
	if len(found) == 0 {
		t.Fatal("no place is marked")
	}
	for n := 1; n <= len(found); n++ {
		if row := fmt.Sprintf("| %d | `%s` |", n, found[strconv.Itoa(n)]); !strings.Contains(files["README.md"], row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}

// TestGoVersion: the module asks for the version of Go that the core asks for.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(checkout, "core", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	core, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if core.Go.Version != goVersion {
		t.Errorf("the core asks for Go %s, the plugin for %s", core.Go.Version, goVersion)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "acme", "acme2", "acme-labs", "a-1-b"} {
		if err := checkWord("vendor", good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "Acme", "3dfx", "-acme", "acme-", "acme--labs", "acme_labs", "acme labs", "acme/labs", "..", "acmé", strings.Repeat("a", longest+1)} {
		if err := checkWord("vendor", bad); err == nil || !strings.Contains(err.Error(), "vendor "+strconv.Quote(bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for vendor, want := range map[string]string{
		"acme": "acme", "acme-labs": "acmelabs", "func": "funcdevice", "type": "typedevice", "string": "stringdevice",
		"main": "maindevice", "core": "coredevice", "sys-fs": "sysfsdevice",
	} {
		if got := packageName(vendor); got != want {
			t.Errorf("the package of %s is %s, want %s", vendor, got, want)
		}
	}
}

// TestRefuses: what is wrong is said, and nothing is written.
func TestRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(full, "notes.txt")
	for name, test := range map[string]struct {
		plugin Plugin
		want   string
	}{
		"full":      {Plugin{Vendor: "acme", Type: "fpga", Dir: full}, "not empty, it holds notes.txt"},
		"no dir":    {Plugin{Vendor: "acme", Type: "fpga", Dir: plain}, "notes.txt"},
		"vendor":    {Plugin{Vendor: "Acme", Type: "fpga"}, `the vendor "Acme"`},
		"type":      {Plugin{Vendor: "acme", Type: "F"}, `the type "F"`},
		"module":    {Plugin{Vendor: "acme", Type: "fpga", Module: "my plugin"}, `the module path "my plugin"`},
		"the core":  {Plugin{Vendor: "acme", Type: "fpga", Module: corePath}, "it is the core's"},
		"dot first": {Plugin{Vendor: "acme", Type: "fpga", Module: "./acme"}, `the module path "./acme"`},
	} {
		test.plugin.Core = Core{Version: "v0.1.0"}
		if test.plugin.Dir == "" {
			test.plugin.Dir = filepath.Join(t.TempDir(), "new")
		}
		if _, err := Write(test.plugin); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if _, err := os.Stat(filepath.Join(test.plugin.Dir, "go.mod")); err == nil {
			t.Errorf("%s: a module is written", name)
		}
	}
}

// TestCore: a plugin in a checkout uses its core by a relative path and is named as
// the project's, one outside by an absolute path or by a version.
func TestCore(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{"core/go.mod": "module " + corePath + "\n", "other/go.mod": "module example.com/other\n"} {
		at := filepath.Join(root, "checkout", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	inside, outside := filepath.Join(root, "checkout", "plugins", "acme"), filepath.Join(root, "elsewhere")
	here, found, err := FindCore(inside)
	if err != nil || !found {
		t.Fatalf("the checkout around %s is not found: %v", inside, err)
	}
	if _, found, err := FindCore(outside); found || err != nil {
		t.Errorf("a checkout around %s: %t, %v", outside, found, err)
	}
	for _, test := range []struct {
		core            Core
		dir             string
		module, require string
		replace         string
	}{
		{here, inside, projectPath + "/plugins/acme", "v0.0.0", "../../core"},
		{here, outside, "example.com/nomad-device-acme", "v0.0.0", filepath.Join(root, "checkout", "core")},
		{Core{Version: "v0.3.1"}, filepath.Join(root, "third"), "example.com/nomad-device-acme", "v0.3.1", ""},
	} {
		if _, err := Write(Plugin{Vendor: "acme", Type: "fpga", Dir: test.dir, Core: test.core}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(test.dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		mod, err := modfile.Parse("go.mod", text, nil)
		if err != nil {
			t.Fatal(err)
		}
		replace := ""
		if len(mod.Replace) > 0 {
			replace = mod.Replace[0].New.Path
		}
		got := []string{mod.Module.Mod.Path, mod.Require[0].Mod.Version, replace}
		if diff := cmp.Diff([]string{test.module, test.require, test.replace}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.dir, diff)
		}
	}
	for _, text := range []string{root, filepath.Join(root, "checkout", "other"), "v2.0.0", "v1", "none"} {
		if core, err := ParseCore(text); err == nil {
			t.Errorf("%s is the core %+v", text, core)
		}
	}
	for _, text := range []string{filepath.Join(root, "checkout"), filepath.Join(root, "checkout", "core")} {
		if core, err := ParseCore(text); err != nil || core != here {
			t.Errorf("%s is the core %+v, %v", text, core, err)
		}
	}
	if core, err := ParseCore("v0.1.0"); err != nil || core.Version != "v0.1.0" {
		t.Errorf("a version is the core %+v, %v", core, err)
	}
}

// TestTemplates: each template is written, and nothing else.
func TestTemplates(t *testing.T) {
	t.Parallel()
	count := 0
	err := fs.WalkDir(templates, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			count++
			if path.Ext(name) != ".tmpl" {
				t.Errorf("%s is no template", name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files := rendered(t, "acme", "fpga")
	if len(files) != count {
		t.Errorf("%d files of %d templates", len(files), count)
	}
	if main := files["cmd/nomad-device-acme/main.go"]; main == "" || strings.Count(main, "\n") >= 20 {
		t.Errorf("main.go is\n%s", main)
	}
}

func FuzzParseCore(f *testing.F) {
	for _, text := range []string{"v0.1.0", "v1.2.3-rc.1", "v2.0.0", "1.2.3", "..", "../../core", "/", "", "v0.1.0+x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		core, err := ParseCore(text)
		switch {
		case err != nil && core != Core{}:
			t.Errorf("%q: %+v beside an error", text, core)
		case err == nil && (core.Version == "") == (core.Dir == ""):
			t.Errorf("%q: %+v is not one of a version and a directory", text, core)
		case core.Version != "" && core.Version != text:
			t.Errorf("%q became %q", text, core.Version)
		}
	})
}
