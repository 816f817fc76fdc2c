package outside

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// edited returns a file in which declarations took the place of those with the same
// names, or were added at its end.
func edited(file, declarations string) ([]byte, error) {
	declarations = "package p\n\n" + declarations
	fresh, err := declared(declarations)
	if err != nil {
		return nil, err
	}
	for _, d := range fresh {
		text := declarations[d.comment:d.end]
		old, err := declared(file)
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(old, func(o declaration) bool {
			return slices.ContainsFunc(o.names, func(name string) bool { return slices.Contains(d.names, name) })
		})
		switch {
		case at < 0:
			file += "\n" + text + "\n"
		case d.comment < d.code:
			file = file[:old[at].comment] + text + file[old[at].end:]
		default: // the comment that is there stays
			file = file[:old[at].code] + text + file[old[at].end:]
		}
	}
	return format.Source([]byte(file))
}

// declaration is a declaration in a file: where its comment begins, where the code
// does, and where it ends.
type declaration struct {
	names              []string
	comment, code, end int
}

func declared(text string) ([]declaration, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "", text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	offset := func(p token.Pos) int { return files.Position(p).Offset }
	var all []declaration
	for _, decl := range parsed.Decls {
		d := declaration{code: offset(decl.Pos()), end: offset(decl.End())}
		var comment *ast.CommentGroup
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			d.names, comment = []string{decl.Name.Name}, decl.Doc
		case *ast.GenDecl:
			comment = decl.Doc
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					d.names = append(d.names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						d.names = append(d.names, name.Name)
					}
				}
			}
		}
		d.comment = d.code
		if comment != nil {
			d.comment = offset(comment.Pos())
		}
		all = append(all, d)
	}
	return all, nil
}

func TestEdited(t *testing.T) {
	t.Parallel()
	const file = "package p\n\n// a is one.\nvar a = 1\n\n// f does it.\nfunc f() {}\n\ntype t int\n"
	for declarations, want := range map[string]string{
		"var a = 2\n":                     "package p\n\n// a is one.\nvar a = 2\n\n// f does it.\nfunc f() {}\n\ntype t int\n",
		"// a is two.\nvar a = 2\n":       "package p\n\n// a is two.\nvar a = 2\n\n// f does it.\nfunc f() {}\n\ntype t int\n",
		"func f() int { return 1 }\n":     "package p\n\n// a is one.\nvar a = 1\n\n// f does it.\nfunc f() int { return 1 }\n\ntype t int\n",
		"type t bool\n\n// b.\nvar b int": "package p\n\n// a is one.\nvar a = 1\n\n// f does it.\nfunc f() {}\n\ntype t bool\n\n// b.\nvar b int\n",
	} {
		got, err := edited(file, declarations)
		if err != nil {
			t.Errorf("%q: %v", declarations, err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", declarations, diff)
		}
	}
	if got, err := edited(file, "var = 2"); err == nil {
		t.Errorf("what is no Go makes %s", got)
	}
}
