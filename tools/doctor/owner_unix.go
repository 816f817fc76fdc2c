//go:build unix

package doctor

import (
	"io/fs"
	"syscall"
)

// ids returns the user and the group of a file.
func ids(info fs.FileInfo) (uid, gid uint32, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return stat.Uid, stat.Gid, true
}
