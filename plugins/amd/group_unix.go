//go:build unix

package amd

import (
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// groupOf returns the name of a file's group as the host has it, or its number.
func groupOf(host *sysfs.FS, info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	data, err := host.Read("/etc/group")
	if err != nil {
		return gid
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(line, ":"); len(fields) >= 3 && fields[2] == gid {
			return fields[0]
		}
	}
	return gid
}
