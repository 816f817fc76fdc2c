package sysfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
)

// MaxDir is the most entries that [FS.ReadDir] reads. The largest directory of
// a real host is /proc, with one entry for each process.
const MaxDir = 64 << 10

// ReadDir returns the sorted names in a directory.
//
// The entries of /sys/class and /sys/bus are links; use [FS.Stat] to learn what
// is behind one. The order is that of the bytes: card10 comes before card2.
func (f *FS) ReadDir(path string) ([]string, error) { return f.readDir(path, MaxDir) }

func (f *FS) readDir(path string, limit int) ([]string, error) {
	return access(f, "readdir", path, true, func(root *hostRoot, name string) ([]string, error) {
		dir, err := root.directory(name)
		if err != nil {
			return nil, err
		}
		defer dir.Close()
		names, err := dir.Readdirnames(limit + 1)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(names) > limit {
			return nil, fmt.Errorf("%w: it holds more than %d entries", ErrTooLarge, limit)
		}
		slices.Sort(names)
		return names, nil
	})
}

// Readlink returns the target of a link as it is written.
func (f *FS) Readlink(path string) (string, error) {
	return access(f, "readlink", path, false, func(root *hostRoot, name string) (string, error) {
		target, err := root.readlink(name)
		return filepath.ToSlash(target), err
	})
}

// LinkName returns the last element of a link's target. That is how sysfs names
// the driver, the subsystem or the IOMMU group of a device, and it holds where
// the target itself is missing.
func (f *FS) LinkName(linkPath string) (string, error) {
	target, err := f.Readlink(linkPath)
	if err != nil {
		return "", err
	}
	switch name := path.Base(target); name {
	case ".", "..", "/":
		return "", malformed(linkPath, fmt.Errorf("%w: the link's target %q names nothing", ErrMalformed, target))
	default:
		return name, nil
	}
}

// Resolve returns the host path of what path leads to, with every link in it
// followed. The result is a host path again: [FS.Full] puts the root in front.
func (f *FS) Resolve(path string) (string, error) {
	return access(f, "resolve", path, true, func(root *hostRoot, name string) (string, error) {
		name, err := root.resolve(name)
		if err != nil {
			return "", err
		}
		if name == "." {
			return "/", nil
		}
		return "/" + name, nil
	})
}

// Stat describes what a path leads to.
func (f *FS) Stat(path string) (fs.FileInfo, error) {
	return access(f, "stat", path, true, func(root *hostRoot, name string) (fs.FileInfo, error) { return root.stat(name, true) })
}

// Lstat describes what a path names; a link is not followed.
func (f *FS) Lstat(path string) (fs.FileInfo, error) {
	return access(f, "lstat", path, false, func(root *hostRoot, name string) (fs.FileInfo, error) { return root.stat(name, false) })
}

// Exists reports whether a path leads to something. An error means that this is
// not known; a link that leads nowhere does not exist.
func (f *FS) Exists(path string) (bool, error) {
	_, err := f.Stat(path)
	if IsAbsent(err) {
		return false, nil
	}
	return err == nil, err
}
