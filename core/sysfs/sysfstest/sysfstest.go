// Package sysfstest unpacks machines: what /sys, /proc and /dev look like on a
// host, kept as one text file each.
//
// Such trees cannot be kept as files: the names hold colons, which Go modules
// refuse, and symbolic links do not travel with a module either. So each machine
// is one file of lines
//
//	path<TAB>value
//
// in UTF-8. Lines that are empty or begin with # are comments. A path is
// absolute; the directories above it are made as needed; the order of the lines
// does not matter. [Kind] lists what a value can be. In a text the escapes \n, \t,
// \\ and \xNN are replaced, and no newline is added, since some kernel files have
// none at their end.
//
// [Faults] makes reads fail as a driver does, which files cannot.
package sysfstest

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// TB is the part of [testing.TB] that is used here, so that programs which unpack
// a machine do not import the testing package.
type TB interface {
	Helper()
	TempDir() string
	Fatalf(format string, args ...any)
}

// Unpack unpacks the machine file into a new temporary directory of the test and
// returns it, to be used as a host root.
func Unpack(t TB, file string) string {
	t.Helper()
	root := t.TempDir()
	if err := WriteFile(root, file); err != nil {
		t.Fatalf("unpack: %v", err)
	}
	return root
}

// UnpackText is [Unpack] for a machine that the test writes itself.
func UnpackText(t TB, tsv string) string {
	t.Helper()
	root := t.TempDir()
	if err := Write(root, strings.NewReader(tsv)); err != nil {
		t.Fatalf("unpack: %v", err)
	}
	return root
}

// WriteFile unpacks the machine file below the directory root, which must exist.
func WriteFile(root, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := Write(root, f); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Write unpacks a machine below the directory root, which must exist. Files that
// are there already are left alone, and are an error where they are in the way.
// Whatever the machine says, nothing outside root is written.
func Write(root string, tsv io.Reader) error {
	entries, err := Parse(tsv)
	if err != nil {
		return err
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	w := writer{root: dir}
	defer w.leave()
	for _, entry := range entries {
		if err := w.create(entry); err != nil {
			return fmt.Errorf("%s: %w", entry.Path, err)
		}
	}
	return nil
}

// writer makes entries below root. It keeps the directory that it wrote to last
// open, since the lines of a machine mostly come directory by directory.
type writer struct {
	root *os.Root
	name string   // of dir, relative to root
	dir  *os.Root // nil before the first entry
}

func (w *writer) create(entry Entry) error {
	name := strings.TrimPrefix(entry.Path, "/")
	if entry.Kind == Dir || entry.Kind == Unreadable {
		return w.root.MkdirAll(name, 0o755)
	}
	if err := w.enter(path.Dir(name)); err != nil {
		return err
	}
	name = path.Base(name)
	if entry.Kind == Link {
		return w.dir.Symlink(filepath.FromSlash(entry.Target), name)
	}
	file, err := w.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(entry.Content)
	if err == nil && entry.Kind == Sparse {
		err = file.Truncate(entry.Size)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// enter makes and opens a directory below root.
func (w *writer) enter(name string) error {
	if w.dir != nil && w.name == name {
		return nil
	}
	w.leave()
	if err := w.root.MkdirAll(name, 0o755); err != nil {
		return err
	}
	dir, err := w.root.OpenRoot(name)
	if err != nil {
		return err
	}
	w.name, w.dir = name, dir
	return nil
}

func (w *writer) leave() {
	if w.dir != nil {
		_ = w.dir.Close() // nothing is lost: each file was closed by itself
		w.dir = nil
	}
}
