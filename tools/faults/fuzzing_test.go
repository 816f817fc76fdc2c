package faults

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// goPackage is what the sources of a package say about fuzzing.
type goPackage struct {
	targets []string
	parsers map[string]bool
	// uses has the names that each function of the package mentions, and those
	// that its fuzz targets do.
	uses map[string][]string
}

var (
	targetName = regexp.MustCompile(`^Fuzz[A-Z]`)
	parserName = regexp.MustCompile(`^[pP]arse([A-Z].*)?$`)
)

// packages reads the sources of the whole workspace, by directory.
func packages(root string) (map[string]*goPackage, error) {
	all := map[string]*goPackage{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || d.Name() == "build"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if all[dir] == nil {
			all[dir] = &goPackage{parsers: map[string]bool{}, uses: map[string][]string{}}
		}
		all[dir].read(file, strings.HasSuffix(path, "_test.go"))
		return nil
	})
	return all, err
}

// read books the functions of a file.
func (p *goPackage) read(file *ast.File, test bool) {
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		name := f.Name.Name
		switch {
		case test && targetName.MatchString(name):
			p.targets = append(p.targets, name)
		case !test && f.Recv == nil && parserName.MatchString(name):
			p.parsers[name] = true
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				p.uses[name] = append(p.uses[name], id.Name)
			}
			return true
		})
	}
}

// reached returns every name that the fuzz targets mention, themselves or by
// way of the package's functions.
func (p *goPackage) reached() map[string]bool {
	seen := map[string]bool{}
	todo := slices.Clone(p.targets)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, used := range p.uses[name] {
			if !seen[used] {
				seen[used] = true
				todo = append(todo, used)
			}
		}
	}
	return seen
}

// TestEveryParserIsFuzzed finds functions that read text or bytes, by their
// names, and wants each to be reached by a fuzz target of its package.
func TestEveryParserIsFuzzed(t *testing.T) {
	t.Parallel()
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err := packages(root)
	if err != nil {
		t.Fatal(err)
	}
	parsers := 0
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		reached := all[dir].reached()
		for _, name := range slices.Sorted(maps.Keys(all[dir].parsers)) {
			parsers++
			if !reached[name] {
				t.Errorf("%s: no fuzz target reaches %s", dir, name)
			}
		}
	}
	if parsers < 10 {
		t.Errorf("found %d parsers only, this test proves nothing", parsers)
	}
}

// fuzzTargets returns the fuzz targets of the workspace by directory.
func fuzzTargets(root string) (map[string][]string, error) {
	all, err := packages(root)
	if err != nil {
		return nil, err
	}
	targets := map[string][]string{}
	for dir, p := range all {
		if len(p.targets) > 0 {
			targets[dir] = slices.Sorted(slices.Values(p.targets))
		}
	}
	return targets, nil
}

// fuzzTable writes the fuzz targets as they stand in docs/reliability.md.
func fuzzTable(targets map[string][]string) string {
	var b strings.Builder
	b.WriteString("| Package | Fuzz targets |\n| --- | --- |\n")
	for _, dir := range slices.Sorted(maps.Keys(targets)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", dir, strings.Join(targets[dir], ", "))
	}
	return b.String()
}
