package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

var (
	// ErrTooLarge says that a file or directory holds more than the limit. An
	// endless file ends like this as well.
	ErrTooLarge = errors.New("too large")
	// ErrMalformed says that a file could be read and does not hold what was
	// expected in it. An empty file where a number belongs is malformed.
	ErrMalformed = errors.New("malformed")
	// ErrNotRegular says that a path names something other than a regular file
	// and was not opened.
	ErrNotRegular = errors.New("not a regular file")
	// ErrRoot says that the host root itself cannot be opened, so that nothing
	// can be said about any path below it.
	ErrRoot = errors.New("cannot open host root")
)

// IsAbsent reports whether err says that the fact does not exist: there is no
// such file (ENOENT), or its device has gone (ENODEV). Every other error, among
// them [ErrRoot], means that the fact is unknown.
func IsAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// pathError returns err as an error about the host path, whatever path it spoke
// of before.
func pathError(op, path string, err error) error {
	for {
		if inner, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost layers name a path
			err = inner.Err
			continue
		}
		if inner, ok := err.(*os.LinkError); ok { //nolint:errorlint // as above
			err = inner.Err
			continue
		}
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
}

// malformed returns an error about the content of the file at path.
func malformed(path string, err error) error {
	return &fs.PathError{Op: "read", Path: path, Err: err}
}

// rootError keeps the text of an error and hides its kind: a host root that does
// not exist must not look like a fact that does not exist.
func rootError(root string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("%w %s: %v; check the setting host_root", ErrRoot, root, err) //nolint:errorlint // a missing root must not read as a missing file below it
}
