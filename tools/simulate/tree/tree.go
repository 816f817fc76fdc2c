// Package tree builds the /sys, /proc and /dev of simulated machines.
//
// A [Tree] is what a directory shall hold; [Tree.Sync] makes it so, touching
// only what differs: a reader of an unchanged file never misses it.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

type kind int

const (
	dir kind = iota
	file
	link
	node
)

type entry struct {
	kind kind
	text string // content of a file, target of a link
}

// Tree is the wanted content of a directory. All paths are absolute below it
// ("/sys/module/nvidia/version"). The directories above a path are made with
// it. A path that is given twice is what it was given as last. The zero value
// is an empty tree. It is not safe for concurrent use.
type Tree struct {
	entries map[string]entry
}

func (t *Tree) put(name string, e entry) {
	if t.entries == nil {
		t.entries = make(map[string]entry)
	}
	name = clean(name)
	if name == "/" {
		return
	}
	t.entries[name] = e
	for up := path.Dir(name); up != "/"; up = path.Dir(up) {
		if t.entries[up].kind == dir {
			t.entries[up] = entry{kind: dir}
		}
	}
}

func clean(name string) string { return path.Clean("/" + name) }

// Dir adds an empty directory.
func (t *Tree) Dir(name string) { t.put(name, entry{kind: dir}) }

// File adds a file. Text without a newline at its end gets one, as the files of
// the kernel have it; empty text stays empty.
func (t *Tree) File(name, text string) {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	t.put(name, entry{kind: file, text: text})
}

// Exact adds a file with this content and nothing else: a binary file, or a text
// without a newline at its end.
func (t *Tree) Exact(name string, content []byte) {
	t.put(name, entry{kind: file, text: string(content)})
}

// Unreadable adds a file that is there and cannot be read. It is a directory,
// whose reading fails with EISDIR for everybody, root included: the driver's own
// errors (EPERM, EBUSY, EIO) are not to be had from files.
func (t *Tree) Unreadable(name string) { t.Dir(name) }

// Link adds a symbolic link to another path of the tree. The link is relative,
// as those of sysfs are: a reader that is confined to the tree can follow it.
func (t *Tree) Link(name, target string) {
	from, to := strings.Split(path.Dir(clean(name)), "/")[1:], strings.Split(clean(target), "/")[1:]
	if from[0] == "" {
		from = nil
	}
	for len(from) > 0 && len(to) > 1 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	t.put(name, entry{kind: link, text: strings.Repeat("../", len(from)) + strings.Join(to, "/")})
}

// Node adds a device node: a character device that behaves like /dev/null when
// the process may make one, so that a task can really open it, and else an
// empty file.
func (t *Tree) Node(name string) { t.put(name, entry{kind: node}) }

// Remove takes out what was added at a path and below it.
func (t *Tree) Remove(name string) {
	name = clean(name)
	maps.DeleteFunc(t.entries, func(at string, _ entry) bool { return at == name || strings.HasPrefix(at, name+"/") })
}

// Sync makes root hold this tree and nothing else. Each file is as it was or as
// it shall be, whenever it is read.
func (t *Tree) Sync(root string) (err error) {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("cannot make the simulated tree: %w", err)
	}
	found, err := t.removeOthers(root)
	if err != nil {
		return fmt.Errorf("cannot clean the simulated tree: %w", err)
	}
	w := writer{root: root, found: found}
	defer func() { err = errors.Join(err, w.close()) }()
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		if err := w.write(name, t.entries[name]); err != nil {
			return fmt.Errorf("cannot write %s of the simulated tree: %w", name, err)
		}
	}
	return nil
}

// removeOthers takes away what is not in the tree, and gives the types of what is
// left. What is something else there is left for write to replace.
func (t *Tree) removeOthers(root string) (map[string]fs.FileMode, error) {
	found := make(map[string]fs.FileMode, len(t.entries))
	return found, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		path := clean(filepath.ToSlash(rel))
		if _, wanted := t.entries[path]; wanted {
			found[path] = d.Type()
			return nil
		}
		if err := os.RemoveAll(name); err != nil {
			return err
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

func (e entry) fits(found fs.FileMode) bool {
	switch e.kind {
	case dir:
		return found.IsDir()
	case link:
		return found&fs.ModeSymlink != 0
	case node:
		return found.IsRegular() || found&fs.ModeCharDevice != 0
	default:
		return found.IsRegular()
	}
}

// holds reports whether an entry of the right kind has the right content.
func (e entry) holds(at string) bool {
	switch e.kind {
	case link:
		now, err := os.Readlink(at)
		return err == nil && now == e.text
	case file:
		now, err := os.ReadFile(at)
		return err == nil && string(now) == e.text
	default:
		return true
	}
}

func (e entry) make(at string) error {
	switch e.kind {
	case dir:
		return os.Mkdir(at, 0o755)
	case link:
		return os.Symlink(e.text, at)
	case node:
		return makeNode(at)
	default:
		return os.WriteFile(at, []byte(e.text), 0o644)
	}
}

// writer makes the entries of a tree below root.
type writer struct {
	root    string
	found   map[string]fs.FileMode // types of what is there
	scratch string                 // where new entries are made; empty: not needed yet
}

func (w *writer) write(name string, e entry) error {
	at := filepath.Join(w.root, filepath.FromSlash(name))
	found, exists := w.found[name]
	switch {
	case exists && e.fits(found) && e.holds(at):
		return nil
	case exists || e.kind == file:
		return w.replace(at, e, exists && (found.IsDir() || e.kind == dir))
	default:
		return e.make(at)
	}
}

// replace puts an entry where another may be, in a single step: a reader that
// finds a moment without a file takes it for one that the hardware does not have.
func (w *writer) replace(at string, e entry, ofDirectories bool) error {
	if w.scratch == "" {
		// Outside of the tree, where nobody lists it.
		scratch, err := os.MkdirTemp(filepath.Dir(filepath.Clean(w.root)), ".tree-*")
		if err != nil {
			return err
		}
		w.scratch = scratch
	}
	temporary := filepath.Join(w.scratch, "new")
	if err := e.make(temporary); err != nil {
		return err
	}
	if !ofDirectories {
		return os.Rename(temporary, at)
	}
	// rename(2) puts no directory in the place of a file, nor the reverse.
	return errors.Join(exchange(temporary, at), os.RemoveAll(temporary))
}

// supplant puts a in the place of b, with a moment between in which there is
// neither.
func supplant(a, b string) error {
	if err := os.RemoveAll(b); err != nil {
		return err
	}
	return os.Rename(a, b)
}

func (w *writer) close() error {
	if w.scratch == "" {
		return nil
	}
	return os.RemoveAll(w.scratch)
}

// nullDevice is the number of /dev/null, 1:3: the one device that is safe to
// open, read and write on any machine.
const nullDevice = 1<<8 | 3

func makeNode(at string) error {
	if makeDevice(at) == nil {
		return nil
	}
	if err := os.WriteFile(at, nil, 0o666); err != nil {
		return err
	}
	return os.Chmod(at, 0o666)
}

// makeDevice makes a device that opens. It leaves nothing behind when it
// cannot: not everyone may make devices, and some file systems do not let them
// be opened.
func makeDevice(at string) error {
	if err := syscall.Mknod(at, syscall.S_IFCHR|0o666, nullDevice); err != nil {
		return err
	}
	// The umask has taken its part of the mode.
	err := os.Chmod(at, 0o666)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(at, os.O_RDWR, 0); err == nil {
			return f.Close()
		}
	}
	return errors.Join(err, os.Remove(at))
}
