package sysfs

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
)

// MaxFile is the most that [FS.Read] reads, in bytes. A sysfs attribute holds at
// most one page; what is larger are tables in procfs and binary attributes.
const MaxFile = 64 << 10

// Read returns the content of a regular file of at most [MaxFile] bytes.
func (f *FS) Read(path string) ([]byte, error) { return f.ReadLimit(path, MaxFile) }

// ReadLimit returns the content of a regular file of at most limit bytes. A file
// that holds more is an error that wraps [ErrTooLarge].
//
// Anything but a regular file is refused before it is opened, with an error that
// wraps [ErrNotRegular] (and EISDIR for a directory): opening a device node or a
// FIFO has effects.
func (f *FS) ReadLimit(path string, limit int) ([]byte, error) {
	return access(f, "read", path, true, func(root *hostRoot, name string) ([]byte, error) {
		return root.read(name, limit)
	})
}

// regular returns an error unless mode is that of a regular file.
func regular(mode fs.FileMode) error {
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return fmt.Errorf("%w: %w", ErrNotRegular, syscall.EISDIR)
	default:
		return fmt.Errorf("%w but of mode %v", ErrNotRegular, mode)
	}
}

// page is what sysfs gives at a time (PAGE_SIZE of the smallest).
const page = 4096

// pages are buffers of a page and a byte.
var pages = sync.Pool{New: func() any { return new([page + 1]byte) }}

// drainPage is [drain] for a file of sysfs, where a read that does not fill a page
// was the last: what a driver shows is made at the first read, in one piece
// (fs/kernfs/file.c).
func drainPage(read func([]byte) (int, error), limit int) ([]byte, error) {
	buffer := pages.Get().(*[page + 1]byte)
	defer pages.Put(buffer)
	for {
		n, err := read(buffer[:])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		data := append(make([]byte, 0, max(n, 0)), buffer[:max(n, 0)]...)
		if n < page {
			return within(data, limit)
		}
		return drain(data, read, limit)
	}
}

// drain calls read until it returns nothing more, and puts what it returns behind
// data. A read that was interrupted is repeated; every other error ends the matter,
// EAGAIN too: drivers that answer it for a sensor without a value answer it for ever.
func drain(data []byte, read func([]byte) (int, error), limit int) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(make([]byte, 0, 2*cap(data)+page), data...)
		}
		n, err := read(data[len(data):cap(data)])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, err
		case n <= 0:
			return data, nil
		}
		if data, err = within(data[:len(data)+n], limit); err != nil {
			return nil, err
		}
	}
}

// within returns the data, or an error if it is more than limit.
func within(data []byte, limit int) ([]byte, error) {
	if len(data) > limit {
		return nil, fmt.Errorf("%w: it holds more than %d bytes, or has no end", ErrTooLarge, limit)
	}
	return data, nil
}
