//go:build unix

package sysfs

import (
	"os"
	"syscall"
)

const (
	// openFile does not wait for the other end of a FIFO.
	openFile = os.O_RDONLY | syscall.O_NONBLOCK
	// openDirectory makes the kernel refuse what is no directory before the
	// driver behind a device node learns of it.
	openDirectory = os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_DIRECTORY
)

// rawRead is one read(2). The poller is never waited for: [os.File.Read] would
// sleep until a file that answered EAGAIN becomes readable, and kernel files say
// that they can be polled though nothing ever wakes the poller.
func rawRead(file *os.File, p []byte) (int, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var readErr error
	if err := conn.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), p)
		return true
	}); err != nil {
		return 0, err
	}
	return n, readErr
}
