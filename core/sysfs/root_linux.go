package sysfs

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// beneath opens name below the root with openat2(2), which Linux has since 5.6.
// [errWalk] says that it must be walked instead: the kernel lacks the call, a
// sandbox denies it, the path holds an absolute link, or a directory of it was
// renamed meanwhile. The caller closes the descriptor.
func (r *hostRoot) beneath(name string, flags uint64) (int, error) {
	if r.walk {
		return -1, errWalk
	}
	conn, err := r.dir.SyscallConn()
	if err != nil {
		return -1, err
	}
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH}
	var fd int
	var openErr error
	err = conn.Control(func(dir uintptr) {
		for {
			fd, openErr = unix.Openat2(int(dir), name, &how)
			if !errors.Is(openErr, unix.EINTR) {
				return
			}
		}
	})
	switch {
	case err != nil:
		return -1, err
	case errors.Is(openErr, unix.ENOSYS), errors.Is(openErr, unix.EPERM), errors.Is(openErr, unix.EXDEV), errors.Is(openErr, unix.EAGAIN):
		return -1, errWalk
	case openErr != nil:
		return -1, openErr
	}
	return fd, nil
}

func (r *hostRoot) readAtOnce(name string, limit int) ([]byte, error) {
	if !r.seemsRegular(name) {
		fd, err := r.beneath(name, unix.O_PATH)
		if err != nil {
			return nil, err
		}
		err = regularDescriptor(fd)
		_ = unix.Close(fd)
		if err != nil {
			return nil, err
		}
	}
	fd, err := r.beneath(name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	// It may have been replaced since; O_NONBLOCK kept a FIFO from holding us.
	if err := regularDescriptor(fd); err != nil {
		return nil, err
	}
	read := func(p []byte) (int, error) { return unix.Read(fd, p) }
	if strings.HasPrefix(name, "sys/") {
		return drainPage(read, limit)
	}
	return drain(nil, read, limit)
}

// seemsRegular asks in one system call whether a path leads to a regular file, as
// nearly all do. A link may take the question out of the root, but never the
// opening.
func (r *hostRoot) seemsRegular(name string) bool {
	if r.walk {
		return false
	}
	conn, err := r.dir.SyscallConn()
	if err != nil {
		return false
	}
	var stat unix.Stat_t
	regular := false
	err = conn.Control(func(dir uintptr) {
		regular = unix.Fstatat(int(dir), name, &stat, 0) == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG
	})
	return err == nil && regular
}

// regularDescriptor returns an error unless fd is that of a regular file.
func regularDescriptor(fd int) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return regular(fs.ModeDir)
	case unix.S_IFCHR:
		return regular(fs.ModeDevice | fs.ModeCharDevice)
	case unix.S_IFBLK:
		return regular(fs.ModeDevice)
	case unix.S_IFIFO:
		return regular(fs.ModeNamedPipe)
	case unix.S_IFSOCK:
		return regular(fs.ModeSocket)
	default:
		return regular(fs.ModeIrregular)
	}
}

func (r *hostRoot) directoryAtOnce(name string) (*os.File, error) {
	fd, err := r.beneath(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (r *hostRoot) readlinkAtOnce(name string) (string, error) {
	fd, err := r.beneath(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", target)
	if errors.Is(err, unix.ENOENT) {
		return "", unix.EINVAL // what readlink(2) says of what is no link
	}
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}

func (r *hostRoot) statAtOnce(name string, follow bool) (fs.FileInfo, error) {
	flags := uint64(unix.O_PATH)
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := r.beneath(name, flags)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	return file.Stat()
}

// resolveAtOnce asks the kernel where a path has led to, and takes off it where the
// root is. That needs /proc, and that nothing of the path was removed meanwhile.
func (r *hostRoot) resolveAtOnce(name string) (string, error) {
	fd, err := r.beneath(name, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	conn, err := r.dir.SyscallConn()
	if err != nil {
		return "", err
	}
	var root, path string
	var rootErr, pathErr error
	err = conn.Control(func(dir uintptr) {
		root, rootErr = place(int(dir))
		path, pathErr = place(fd)
	})
	if err != nil {
		return "", err
	}
	if rootErr != nil || pathErr != nil {
		return "", errWalk
	}
	if path == root {
		return ".", nil
	}
	below, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
	if !ok || strings.HasSuffix(path, " (deleted)") {
		return "", errWalk
	}
	return below, nil
}

// place returns the path of what a descriptor is open on (proc_pid_fd(5)).
func place(fd int) (string, error) { return os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)) }
