//go:build !linux

package dfl

import (
	"errors"
	"io"
	"io/fs"
)

// kernel is a kernel without DFL.
type kernel struct{}

func (kernel) hold(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

func (kernel) program(string, uint32, []byte) error { return errors.ErrUnsupported }

func ownerOf(fs.FileInfo) (uint32, bool) { return 0, false }
