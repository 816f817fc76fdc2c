package dfl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is the DFL driver of the kernel.
type kernel struct{}

// fmePortPR is DFL_FPGA_FME_PORT_PR, and portPR its argument, struct
// dfl_fpga_fme_port_pr (include/uapi/linux/fpga-dfl.h).
const fmePortPR = 0xb680

type portPR struct {
	size, flags  uint32
	port, length uint32
	address      uint64
}

// hold implements [hardware].
func (kernel) hold(port string) (io.Closer, error) { return open(port, unix.O_EXCL) }

func open(node string, flags int) (*os.File, error) {
	info, err := os.Lstat(node)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeCharDevice == 0 {
		return nil, fmt.Errorf("%s is not a device node (%v)", node, info.Mode())
	}
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW|flags, 0)
	switch {
	case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("open %s: %w; programming needs root", node, err)
	case err != nil:
		return nil, fmt.Errorf("open %s: %w", node, err)
	}
	return os.NewFile(uintptr(fd), node), nil
}

// program implements [hardware].
func (kernel) program(engine string, port uint32, image []byte) error {
	file, err := open(engine, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// The kernel reads the image by a bare address, which the garbage collector
	// must leave alone meanwhile.
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&image[0])
	arg := portPR{port: port, length: uint32(len(image)), address: uint64(uintptr(unsafe.Pointer(&image[0])))}
	arg.size = uint32(unsafe.Sizeof(arg))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), fmePortPR, uintptr(unsafe.Pointer(&arg)))
	runtime.KeepAlive(image)
	if errno != 0 {
		return fmt.Errorf("program port %d by %s: %w", port, engine, errno)
	}
	return nil
}

// ownerOf returns the user that a file belongs to.
func ownerOf(info fs.FileInfo) (uid uint32, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}
