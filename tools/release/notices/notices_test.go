package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// tree writes files and returns the directory that they are in.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, fsys); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCollect(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{
		"go/LICENSE":           "terms of Go\n",
		"go/src/fmt/print.go":  "",
		"a/LICENSE.md":         "\nterms A\r\nline two\n",
		"a/sub/deep/x.go":      "",
		"a/sub/NOTICE":         "notice of sub",
		"a/licenses.go":        "package a",
		"b/COPYING":            "terms A\nline two",
		"b/unlinked/LICENSE":   "terms of what is not linked",
		"own/LICENSE":          "our own terms",
		"own/table/LICENSE":    "terms of a table",
		"own/table/table.go":   "",
		"own/cmd/main/main.go": "",
	})
	at := func(path string) string { return filepath.Join(dir, filepath.FromSlash(path)) }
	a := &module{Path: "example.com/a", Version: "v1.0.0", Dir: at("a")}
	b := &module{Path: "example.com/b", Version: "v0.1.0", Dir: at("b")}
	own := &module{Path: ourModules + "plugins/x", Dir: at("own")}
	got, err := collect([]linkedPackage{
		{ImportPath: "fmt", Dir: at("go/src/fmt"), Root: at("go"), Standard: true},
		{ImportPath: "example.com/b", Dir: at("b"), Module: b},
		{ImportPath: "example.com/a/sub/deep", Dir: at("a/sub/deep"), Module: a},
		{ImportPath: own.Path + "/cmd/main", Dir: at("own/cmd/main"), Module: own},
		{ImportPath: own.Path + "/table", Dir: at("own/table"), Module: own},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []notice{
		{text: "terms of Go", from: []string{"Go: LICENSE"}},
		{text: "terms A\nline two", from: []string{"example.com/a v1.0.0: LICENSE.md", "example.com/b v0.1.0: COPYING"}},
		{text: "notice of sub", from: []string{"example.com/a v1.0.0: sub/NOTICE"}},
		{text: "terms of a table", from: []string{ourModules + "plugins/x: table/LICENSE"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(notice{})); diff != "" {
		t.Errorf("collect (-want +got):\n%s", diff)
	}
}

func TestCollectWithoutLicence(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"x.go": ""})
	_, err := collect([]linkedPackage{{ImportPath: "example.com/x", Dir: dir, Module: &module{Path: "example.com/x", Version: "v1.2.3", Dir: dir}}})
	if err == nil || !strings.Contains(err.Error(), "example.com/x v1.2.3") {
		t.Errorf("a module without a licence: %v", err)
	}
}

// TestOwn runs the whole on a program that is at hand.
func TestOwn(t *testing.T) {
	t.Parallel()
	linked, err := packages("../../../plugins/amd", "./cmd/nomad-device-amd")
	if err != nil {
		t.Fatal(err)
	}
	found, err := collect(linked)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := write(&b, "./cmd/nomad-device-amd", found); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"What nomad-device-amd is built from", "\nGo: LICENSE\n", "\nGo: src/vendor/golang.org/x/net/LICENSE\n", "\ngithub.com/hashicorp/go-plugin v", "\ngoogle.golang.org/grpc v",
		"plugins/amd: internal/names/LICENSE\n", "Advanced Micro Devices", "Mozilla Public License",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the notices of the AMD plugin lack %q", want)
		}
	}
	for _, dir := range []string{os.Getenv("HOME"), os.TempDir()} {
		if dir != "" && strings.Contains(b.String(), dir+"/") {
			t.Errorf("the notices hold a path of this machine, below %s", dir)
		}
	}
}
