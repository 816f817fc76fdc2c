package main

import (
	"os"
	"syscall"
)

// numbers returns the device numbers, by the kernel's layout of dev_t.
func numbers(info os.FileInfo) (major, minor uint32) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0
	}
	dev := uint64(stat.Rdev)
	major = uint32(dev>>8&0xfff | dev>>32&^0xfff)
	minor = uint32(dev&0xff | dev>>12&^0xff)
	return major, minor
}
