package docs

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"
)

// words is a command of a script: its name and its arguments, as far as they are
// written down. What a shell would only know when it runs is a "?".
type words []string

// placeholder is what a reader puts a name of his own in the place of.
var placeholder = regexp.MustCompile(`<[a-zA-Z][\w ./-]*>`)

// script returns a block's commands without prompts and what they print.
func script(b block) string {
	if b.language != "console" && !strings.HasPrefix(b.text, "$ ") {
		return b.text
	}
	var commands strings.Builder
	for line := range strings.Lines(b.text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			commands.WriteString(command)
		}
	}
	return commands.String()
}

// commands parses a script and returns all commands in it, those in loops,
// pipes and substitutions too.
func commands(script string, dialect syntax.LangVariant) ([]words, error) {
	script = placeholder.ReplaceAllString(script, "PLACEHOLDER")
	script = strings.ReplaceAll(script, "…", "")
	file, err := syntax.NewParser(syntax.Variant(dialect)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	declared := map[string]bool{}
	var found []words
	syntax.Walk(file, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.FuncDecl:
			declared[node.Name.Value] = true
		case *syntax.CallExpr:
			if call := literals(node.Args); len(call) > 0 {
				found = append(found, call)
			}
		case *syntax.DeclClause: // export, readonly and the like
			found = append(found, words{node.Variant.Value})
		}
		return true
	})
	return slices.DeleteFunc(found, func(w words) bool { return declared[w[0]] }), nil
}

// runners run another command: what follows them is a command, too.
var runners = map[string]bool{"sudo": true, "exec": true, "nohup": true, "command": true, "time": true}

func literals(args []*syntax.Word) words {
	var call words
	for _, arg := range args {
		call = append(call, literal(arg))
	}
	for len(call) > 1 && runners[call[0]] {
		call = call[1:]
	}
	return call
}

// literal is a word as it is written, without quotes.
func literal(word *syntax.Word) string {
	var b strings.Builder
	for _, part := range word.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			b.WriteString(part.Value)
		case *syntax.SglQuoted:
			b.WriteString(part.Value)
		case *syntax.DblQuoted:
			for _, inner := range part.Parts {
				if lit, ok := inner.(*syntax.Lit); ok {
					b.WriteString(lit.Value)
				} else {
					b.WriteString("?")
				}
			}
		default:
			b.WriteString("?")
		}
	}
	return b.String()
}

// dialect is the shell that a block is for.
func dialect(b block) syntax.LangVariant {
	if b.language == "sh" {
		return syntax.LangPOSIX
	}
	return syntax.LangBash
}

// TestCommands holds what is made of scripts against some.
func TestCommands(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		want   []words
	}{
		"plain":        {"nomad node status -self # comment", []words{{"nomad", "node", "status", "-self"}}},
		"placeholder":  {"nomad node status -json <node> | jq .", []words{{"nomad", "node", "status", "-json", "PLACEHOLDER"}, {"jq", "."}}},
		"quotes":       {`a 'b c' "d $e" f$g`, []words{{"a", "b c", "d ?", "f?"}}},
		"sudo":         {"sudo cp a b && X=1 c", []words{{"cp", "a", "b"}, {"c"}}},
		"substitution": {"export X=$(env | sort)\nY=$(stat x)", []words{{"export", "X=?"}, {"env"}, {"sort"}, {"stat", "x"}}},
		"loop":         {"until a; do b; done", []words{{"a"}, {"b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := commands(test.script, syntax.LangPOSIX)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
	for _, wrong := range []string{"if a; then b", "echo 'x", "a | | b"} {
		if _, err := commands(wrong, syntax.LangPOSIX); err == nil {
			t.Errorf("%q was read without an error", wrong)
		}
	}
	if got := script(block{language: "console", text: "$ a\nout\n$ b\n"}); got != "a\nb\n" {
		t.Errorf("the script of a session is %q", got)
	}
}

// TestEveryCommand looks up each command that a page shows, in blocks and in the
// lines of its text: that it is one, and that it has the flags.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	look := newLookup(t)
	for _, p := range pages(t) {
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			for _, b := range p.blocks {
				if !isShell(b) {
					continue
				}
				all, err := commands(script(b), dialect(b))
				if err != nil {
					t.Errorf("%s: %v", b.name(), err)
				}
				for _, call := range all {
					if err := look.command(call); err != nil {
						t.Errorf("%s: %s: %v", b.name(), strings.Join(call, " "), err)
					}
				}
			}
			for _, span := range p.spans {
				if err := look.span(span); err != nil {
					t.Errorf("%s: `%s`: %v", p.path, span, err)
				}
			}
		})
	}
}

// session is how a block begins that shows commands, whatever it says it is.
var session = regexp.MustCompile(`^(\$ |(sudo |\.bin/)?(devctl|make|nomad|go) )`)

// isShell says whether a block shows commands. One without a language does if it
// begins like one.
func isShell(b block) bool {
	switch b.language {
	case "sh", "bash", "console":
		return true
	case "":
		return session.MatchString(b.text) && !strings.Contains(firstLine(b), "  ")
	default:
		return false
	}
}

func firstLine(b block) string {
	line, _, _ := strings.Cut(b.text, "\n")
	return line
}

// span checks what is written as code in a line, if it is a command of ours or of
// Nomad.
func (l *lookup) span(span string) error {
	name, _, _ := strings.Cut(span, " ")
	if !slices.Contains([]string{"devctl", ".bin/devctl", "make", "nomad"}, name) || name == span {
		return nil
	}
	all, err := commands(span, syntax.LangBash)
	if err != nil {
		return err
	}
	for _, call := range all {
		if err := l.command(call); err != nil {
			return err
		}
	}
	return nil
}

// flagsIn returns the flags that a help text lists, at the beginning of lines.
func flagsIn(help []byte) map[string]bool {
	flags := map[string]bool{}
	for line := range bytes.Lines(help) {
		trimmed := strings.TrimSpace(string(line))
		for strings.HasPrefix(trimmed, "-") {
			flag := trimmed
			if end := strings.IndexAny(flag, " =,\t"); end >= 0 {
				flag = flag[:end]
			}
			flags[strings.TrimLeft(flag, "-")] = true
			_, rest, more := strings.Cut(trimmed, ", ")
			if !more {
				break
			}
			trimmed = rest
		}
	}
	return flags
}

// checkFlags says which of the words are flags that there are not.
func checkFlags(call words, flags map[string]bool) error {
	for _, word := range call {
		if word == "--" {
			return nil
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !flags[name] {
			return fmt.Errorf("there is no flag %q", word)
		}
	}
	return nil
}
