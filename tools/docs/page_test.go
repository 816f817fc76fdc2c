package docs

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// page is a Markdown page of the project.
type page struct {
	path    string // from the root of the repository: "docs/sharing.md"
	source  string
	blocks  []block
	links   []string
	spans   []string // what is written as code in a line
	anchors map[string]bool
}

// block is a fenced block of a page.
type block struct {
	page     string
	line     int
	language string
	text     string
}

// name is where the block is, for messages.
func (b block) name() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// root returns the root of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// pages reads all pages that people are meant to read.
func pages(t *testing.T) []page {
	t.Helper()
	dir := root(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, below := range []string{"core", "docs", "plugins", "tools"} {
		err := filepath.WalkDir(filepath.Join(dir, below), func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "templates"):
				return fs.SkipDir
			case strings.HasSuffix(path, ".md"):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var all []page
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, read(t, filepath.ToSlash(path), source))
	}
	if len(all) < 15 {
		t.Fatalf("found %d pages: this test looks in the wrong place", len(all))
	}
	return all
}

// read takes a page apart.
func read(t *testing.T, path string, source []byte) page {
	t.Helper()
	p := page{path: path, source: string(source), anchors: map[string]bool{}}
	tree := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	err := ast.Walk(tree, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch node := node.(type) {
		case *ast.FencedCodeBlock:
			p.blocks = append(p.blocks, fenced(path, source, node))
		case *ast.CodeSpan:
			p.spans = append(p.spans, strings.ReplaceAll(plain(source, node), "\n", " "))
		case *ast.Link:
			p.links = append(p.links, string(node.Destination))
		case *ast.Image:
			p.links = append(p.links, string(node.Destination))
		case *ast.Heading:
			p.addAnchor(plain(source, node))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fenced(path string, source []byte, node *ast.FencedCodeBlock) block {
	b := block{page: path, language: string(node.Language(source))}
	lines := node.Lines()
	var content strings.Builder
	for i := range lines.Len() {
		segment := lines.At(i)
		if i == 0 {
			b.line = bytes.Count(source[:segment.Start], []byte("\n")) + 1
		}
		content.Write(segment.Value(source))
	}
	b.text = content.String()
	return b
}

// plain is the text of a node without its marks.
func plain(source []byte, node ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(node, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if leaf, ok := node.(*ast.Text); ok && entering {
			b.Write(leaf.Segment.Value(source))
			if leaf.SoftLineBreak() {
				b.WriteString(" ")
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// addAnchor makes the anchor that a forge gives a heading.
func (p *page) addAnchor(heading string) {
	anchor := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		default:
			return -1
		}
	}, strings.TrimSpace(heading))
	name := anchor
	for n := 1; p.anchors[name]; n++ {
		name = fmt.Sprintf("%s-%d", anchor, n)
	}
	p.anchors[name] = true
}

// TestLinks follows all links within the repository.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for _, p := range all {
		for _, link := range p.links {
			target, err := url.Parse(link)
			if err != nil {
				t.Errorf("%s: the link %q: %v", p.path, link, err)
				continue
			}
			if target.Scheme != "" {
				continue
			}
			path := p.path
			if target.Path != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(p.path), target.Path))
			}
			if _, err := os.Stat(filepath.Join(root(t), path)); err != nil || strings.HasPrefix(target.Path, "/") {
				t.Errorf("%s: the link %q leads nowhere", p.path, link)
				continue
			}
			i := slices.IndexFunc(all, func(to page) bool { return to.path == path })
			if target.Fragment != "" && (i < 0 || !all[i].anchors[target.Fragment]) {
				t.Errorf("%s: the link %q leads to no heading of %s", p.path, link, path)
			}
		}
	}
}

// TestNames looks up the tests that pages name.
func TestNames(t *testing.T) {
	t.Parallel()
	declared := map[string]bool{}
	for _, below := range []string{"core", "plugins", "tools"} {
		err := filepath.WalkDir(filepath.Join(root(t), below), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, match := range testDeclared.FindAllSubmatch(source, -1) {
				declared[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range pages(t) {
		for _, span := range p.spans {
			for _, name := range testNamed.FindAllString(span, -1) {
				if !declared[name] {
					t.Errorf("%s names the test %s, which there is not", p.path, name)
				}
			}
		}
	}
}

var (
	testDeclared = regexp.MustCompile(`(?m)^func (Test[A-Z]\w*)\(`)
	testNamed    = regexp.MustCompile(`\bTest[A-Z]\w*`)
)

// TestRead holds the reading of pages against one that is made for it.
func TestRead(t *testing.T) {
	t.Parallel()
	const source = "# A `b` (c)\n\n# A b c\n\n1. x\n\n   ```sh\n   echo 1\n     echo 2\n   ```\n\n| a |\n|---|\n| [l](../d.md#e) `x \\| y` |\n\n`devctl\ncheck`\n"
	p := read(t, "docs/p.md", []byte(source))
	if len(p.blocks) != 1 || p.blocks[0] != (block{"docs/p.md", 8, "sh", "echo 1\n  echo 2\n"}) {
		t.Errorf("blocks: %+v", p.blocks)
	}
	if !p.anchors["a-b-c"] || !p.anchors["a-b-c-1"] {
		t.Errorf("anchors: %v", p.anchors)
	}
	if !slices.Equal(p.links, []string{"../d.md#e"}) {
		t.Errorf("links: %v", p.links)
	}
	if !slices.Equal(p.spans, []string{"b", "x | y", "devctl check"}) {
		t.Errorf("code in lines: %q", p.spans)
	}
}
