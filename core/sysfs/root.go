package sysfs

import (
	"errors"
	"io/fs"
	"os"
)

// hostRoot is an open host root. Where the kernel can look up a path below a
// directory in one step it does; the rest is [os.Root]'s, which walks the path
// directory by directory and makes the scan of a large host several times
// slower. Either way links are followed and nothing outside can be reached.
type hostRoot struct {
	*os.Root
	dir *os.File // the root directory itself
	// walk makes every path be walked, as it is on hosts without openat2.
	walk bool
}

// errWalk says that a path must be walked.
var errWalk = errors.New("to be looked up step by step")

func openHostRoot(path string, walk bool) (*hostRoot, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &hostRoot{Root: root, dir: dir, walk: walk}, nil
}

// Close gives the root back.
func (r *hostRoot) Close() error { return errors.Join(r.dir.Close(), r.Root.Close()) }

// read returns the content of a regular file of at most limit bytes. What the
// path leads to is looked at before it is opened: opening a device node or a
// FIFO has effects.
func (r *hostRoot) read(name string, limit int) ([]byte, error) {
	data, err := r.readAtOnce(name, limit)
	if !errors.Is(err, errWalk) {
		return data, err
	}
	info, err := r.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := regular(info.Mode()); err != nil {
		return nil, err
	}
	file, err := r.OpenFile(name, openFile, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// It may have been replaced since; O_NONBLOCK kept a FIFO from holding us.
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	if err := regular(info.Mode()); err != nil {
		return nil, err
	}
	return drain(nil, func(p []byte) (int, error) { return rawRead(file, p) }, limit)
}

// directory opens a directory.
func (r *hostRoot) directory(name string) (*os.File, error) {
	dir, err := r.directoryAtOnce(name)
	if !errors.Is(err, errWalk) {
		return dir, err
	}
	return r.OpenFile(name, openDirectory, 0)
}

// readlink returns the target of a link.
func (r *hostRoot) readlink(name string) (string, error) {
	target, err := r.readlinkAtOnce(name)
	if !errors.Is(err, errWalk) {
		return target, err
	}
	return r.Readlink(name)
}

// stat describes what a path leads to. Unless follow is set, that is the link if
// the path ends in one.
func (r *hostRoot) stat(name string, follow bool) (fs.FileInfo, error) {
	info, err := r.statAtOnce(name, follow)
	switch {
	case !errors.Is(err, errWalk):
		return info, err
	case follow:
		return r.Stat(name)
	default:
		return r.Lstat(name)
	}
}

// resolve returns the path of what a path leads to.
func (r *hostRoot) resolve(name string) (string, error) {
	resolved, err := r.resolveAtOnce(name)
	if !errors.Is(err, errWalk) {
		return resolved, err
	}
	return resolve(r.Root, name, true)
}
