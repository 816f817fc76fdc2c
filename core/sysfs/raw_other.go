//go:build !unix

package sysfs

import (
	"errors"
	"io"
	"os"
)

const (
	openFile      = os.O_RDONLY
	openDirectory = os.O_RDONLY
)

// rawRead is for systems that have no such files; the package compiles there so
// that a plugin's other packages can be worked on.
func rawRead(file *os.File, p []byte) (int, error) {
	n, err := file.Read(p)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
