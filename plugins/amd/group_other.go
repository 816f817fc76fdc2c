//go:build !unix

package amd

import (
	"io/fs"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// groupOf is for systems without such groups; the package compiles there so that
// the other files can be worked on.
func groupOf(*sysfs.FS, fs.FileInfo) string { return "" }
