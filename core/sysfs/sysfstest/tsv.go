package sysfstest

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// Kind says what an [Entry] makes.
type Kind int

// The kinds of entries, with the value that stands for each in a file.
const (
	File       Kind = iota // text, or "!hex <bytes>": a regular file with that content
	Link                   // "-> target": a symbolic link, its target verbatim
	Device                 // "!chardev": an empty file in place of a device node
	Unreadable             // "!unreadable": a directory in place of a file, so that reading fails even for root
	Sparse                 // "!binary N bytes": a file of that size without content
	Dir                    // a path ending in "/": an empty directory
)

// Entry is one line of a machine file.
type Entry struct {
	// Path is the absolute host path, clean and without a slash at its end.
	Path string
	Kind Kind
	// Content of a File.
	Content []byte
	// Target of a Link.
	Target string
	// Size of a Sparse file in bytes.
	Size int64
}

// maxSparse bounds "!binary N bytes": file systems refuse more anyway, and no
// PCI resource is larger.
const maxSparse = 1 << 42

// maxLine bounds one line.
const maxLine = 4 << 20

// Parse reads a machine file. It refuses what could not be unpacked: relative
// paths, a path that occurs twice, a path below a file or a link. Its error names
// the line.
func Parse(r io.Reader) ([]Entry, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var entries []Entry
	kinds := map[string]Kind{}
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		entry, err := parseLine(line)
		if err == nil {
			if _, twice := kinds[entry.Path]; twice {
				err = errors.New("the path occurs twice")
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		kinds[entry.Path] = entry.Kind
		entries = append(entries, entry)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	for _, entry := range entries {
		for dir := path.Dir(entry.Path); dir != "/"; dir = path.Dir(dir) {
			if kind, ok := kinds[dir]; ok && kind != Dir {
				return nil, fmt.Errorf("%s lies below %s, which is no directory", entry.Path, dir)
			}
		}
	}
	return entries, nil
}

func parseLine(line string) (Entry, error) {
	name, value, tab := strings.Cut(line, "\t")
	entry := Entry{Path: strings.TrimSuffix(name, "/")}
	switch {
	case !strings.HasPrefix(entry.Path, "/") || entry.Path == "/" || path.Clean(entry.Path) != entry.Path || strings.ContainsRune(name, 0):
		return Entry{}, fmt.Errorf("%q is not a clean absolute path", name)
	case strings.HasSuffix(name, "/"):
		if value != "" {
			return Entry{}, fmt.Errorf("%s is a directory and has a value", name)
		}
		entry.Kind = Dir
		return entry, nil
	case !tab:
		return Entry{}, fmt.Errorf("%s has no tab and no value", name)
	}
	var err error
	switch target, link := strings.CutPrefix(value, "-> "); {
	case link:
		entry.Kind, entry.Target = Link, target
		if target == "" || strings.ContainsRune(target, 0) {
			err = errors.New("a link without a target")
		}
	case strings.HasPrefix(value, "!"):
		err = entry.special(value)
	default:
		entry.Content, err = unescape(value)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", name, err)
	}
	return entry, nil
}

// special reads a value that begins with an exclamation mark.
func (e *Entry) special(value string) error {
	word, rest, _ := strings.Cut(value[1:], " ")
	switch {
	case word == "chardev" && rest == "":
		e.Kind = Device
	case word == "unreadable" && rest == "":
		e.Kind = Unreadable
	case word == "binary":
		size, err := strconv.ParseInt(strings.TrimSuffix(rest, " bytes"), 10, 64)
		if err != nil || !strings.HasSuffix(rest, " bytes") || size < 0 || size > maxSparse {
			return fmt.Errorf("%q is not of the form \"!binary 4096 bytes\"", value)
		}
		e.Kind, e.Size = Sparse, size
	case word == "hex":
		content, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		if err != nil {
			return fmt.Errorf("bytes after !hex: %w", err)
		}
		e.Content = content
	default:
		return fmt.Errorf("unknown kind %q", value)
	}
	return nil
}

// unescape replaces \n, \t, \\ and \xNN, and nothing else.
func unescape(value string) ([]byte, error) {
	content := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' {
			content = append(content, value[i])
			continue
		}
		i++
		if i == len(value) {
			return nil, errors.New("a backslash at the end of the value")
		}
		switch value[i] {
		case 'n':
			content = append(content, '\n')
		case 't':
			content = append(content, '\t')
		case '\\':
			content = append(content, '\\')
		case 'x':
			if i+2 >= len(value) {
				return nil, errors.New("\\x without two hexadecimal digits")
			}
			b, err := hex.DecodeString(value[i+1 : i+3])
			if err != nil {
				return nil, errors.New("\\x without two hexadecimal digits")
			}
			content = append(content, b...)
			i += 2
		default:
			return nil, fmt.Errorf("unknown escape \\%c", value[i])
		}
	}
	return content, nil
}
