// Package scenario reads and edits the text that says what simulated hardware
// does: one "key = value" a line, with comments, for people and programs alike.
//
// An edit keeps everything that it does not change: comments, order, spacing.
package scenario

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// File is a parsed scenario. It is not safe for concurrent use.
type File struct {
	lines []line
}

// line is one line of the text. Lines without a key (empty, comment) have only
// their text.
type line struct {
	text  string
	key   string
	value string
	// head is all before the value, tail the comment after it, both with
	// their spaces.
	head, tail string
}

// A SyntaxError names the line of a scenario that cannot be read.
type SyntaxError struct {
	Line int // counted from 1
	Text string
	Why  string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("scenario line %d (%q): %s", e.Line, e.Text, e.Why)
}

// Parse reads a scenario. A line is empty, a comment that starts with "#", or
// "key = value", with a comment after " #" if wanted. Where a key stands twice
// the last one counts.
func Parse(text []byte) (*File, error) {
	f := &File{}
	if len(text) == 0 {
		return f, nil
	}
	for i, t := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		l, why := parseLine(t)
		if why != "" {
			return nil, &SyntaxError{Line: i + 1, Text: t, Why: why}
		}
		f.lines = append(f.lines, l)
	}
	return f, nil
}

func parseLine(text string) (line, string) {
	l := line{text: text}
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed[0] == '#' {
		return l, ""
	}
	equals := strings.IndexByte(text, '=')
	if equals < 0 {
		return l, `want "key = value" or a comment that starts with #`
	}
	key := strings.TrimSpace(text[:equals])
	if why := checkKey(key); why != "" {
		return l, why
	}
	rest := text[equals+1:]
	if comment := strings.Index(rest, " #"); comment >= 0 {
		rest = rest[:comment]
	}
	value := strings.TrimSpace(rest)
	if why := checkValue(value); why != "" {
		return l, why
	}
	start := equals + 1
	if value != "" {
		start += strings.Index(rest, value)
	}
	l.key, l.value = key, value
	l.head, l.tail = text[:start], text[start+len(value):]
	return l, ""
}

func checkKey(key string) string {
	if key == "" {
		return "the key before = is missing"
	}
	// Printable ASCII, because a driver written in C has no other idea of a space.
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' || r == '=' || r == '#' }) {
		return "a key is printable ASCII without spaces, = or #"
	}
	return ""
}

func checkValue(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' }) || strings.Contains(value, " #") || strings.HasPrefix(value, "#") {
		return "a value is one line without a comment in it"
	}
	return ""
}

// Get gives the value of a key, and whether the key is there.
func (f *File) Get(key string) (string, bool) {
	for _, l := range slices.Backward(f.lines) {
		if l.key == key {
			return l.value, true
		}
	}
	return "", false
}

// Set changes a key where it stands, or adds it at the end. It refuses what
// could not be read again.
func (f *File) Set(key, value string) error {
	value = strings.TrimSpace(value)
	if why := checkKey(key); why != "" {
		return fmt.Errorf("scenario key %q: %s", key, why)
	}
	if why := checkValue(value); why != "" {
		return fmt.Errorf("scenario key %s, value %q: %s", key, value, why)
	}
	for i := len(f.lines) - 1; i >= 0; i-- {
		if f.lines[i].key == key {
			l := &f.lines[i]
			l.value, l.text = value, l.head+value+l.tail
			return nil
		}
	}
	head := key + " = "
	f.lines = append(f.lines, line{text: head + value, key: key, value: value, head: head})
	return nil
}

// SetAll is Set for several keys, in their order. It stops at the first that it
// refuses.
func (f *File) SetAll(values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := f.Set(key, values[key]); err != nil {
			return err
		}
	}
	return nil
}

// Unset removes a key. It reports whether the key was there.
func (f *File) Unset(key string) bool {
	kept := f.lines[:0]
	for _, l := range f.lines {
		if l.key != key {
			kept = append(kept, l)
		}
	}
	found := len(kept) != len(f.lines)
	f.lines = kept
	return found
}

// All walks the keys and values in the order of the text. A key that stands
// twice comes twice.
func (f *File) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, l := range f.lines {
			if l.key != "" && !yield(l.key, l.value) {
				return
			}
		}
	}
}

// Comment gives the text of the first line when that is a comment: what the
// scenario says about itself.
func (f *File) Comment() string {
	if len(f.lines) == 0 {
		return ""
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(f.lines[0].text), "#")
	if !ok {
		return ""
	}
	return strings.TrimSpace(text)
}

// Bytes gives the text. What Parse has read and nobody changed comes back as it
// was, with a newline at its end.
func (f *File) Bytes() []byte {
	var b bytes.Buffer
	for _, l := range f.lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.Bytes()
}
