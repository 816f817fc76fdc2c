package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kernelGroup is the multicast group of the kernel's own messages; udev's is
	// another.
	kernelGroup = 1
	// messageSize is more than any message has: the kernel keeps 2048 bytes for the
	// variables (UEVENT_BUFFER_SIZE), and a path is shorter than 4096.
	messageSize = 8 << 10
)

// Listen passes each uevent of the kernel to got until ctx ends, and returns ctx's
// error. It begins with an event that is Lost: nothing is known of what happened
// before. got is called on Listen's goroutine; while it runs the kernel keeps what
// comes, up to the size of the socket's buffer.
//
// An error that is [errors.ErrUnsupported] says that this host, or what confines
// the process, has no uevents to offer.
func Listen(ctx context.Context, got func(Event)) error {
	socket, err := open()
	if err != nil {
		return err
	}
	return listen(ctx, socket, got)
}

// open returns a socket that is subscribed to the kernel's messages.
func open() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, refused("opening a socket for uevents", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		unix.Close(fd)
		return nil, refused("subscribing to uevents", err)
	}
	return os.NewFile(uintptr(fd), "uevents"), nil
}

// refused tells what this host does not offer from what may work later. A filter
// of system calls answers EPERM, EACCES or EAFNOSUPPORT.
func refused(doing string, err error) error {
	for _, final := range []unix.Errno{unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT, unix.ENOSYS, unix.EPERM, unix.EACCES} {
		if errors.Is(err, final) {
			return fmt.Errorf("%s: %w (%w)", doing, err, errors.ErrUnsupported)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// listen reads from a socket until ctx ends, and closes it. It waits in the
// runtime's poller, which the end of ctx wakes by a deadline that has passed.
func listen(ctx context.Context, socket *os.File, got func(Event)) error {
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("waiting for uevents: %w", err)
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("waiting for uevents: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		socket.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-woken
		}
	}()
	got(Event{Lost: true})
	buffer := make([]byte, messageSize)
	for ctx.Err() == nil {
		var n, flags int
		var from unix.Sockaddr
		var failed error
		err := conn.Read(func(fd uintptr) bool {
			n, _, flags, from, failed = unix.Recvmsg(int(fd), buffer, nil, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		switch {
		case ctx.Err() != nil, errors.Is(failed, unix.EINTR):
		case errors.Is(failed, unix.ENOBUFS): // told once for each overrun
			got(Event{Lost: true})
		case err != nil || failed != nil:
			return fmt.Errorf("reading uevents: %w", errors.Join(err, failed))
		default:
			if e, ok := accept(buffer[:n], flags, from); ok {
				got(e)
			}
		}
	}
	return ctx.Err()
}

// accept reads a message if it is the kernel's. Only the kernel sends from port 0:
// another sender is given the port of its own socket.
func accept(message []byte, flags int, from unix.Sockaddr) (Event, bool) {
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 || sender.Groups&kernelGroup == 0 {
		return Event{}, false
	}
	e, err := Parse(message)
	if err != nil || flags&unix.MSG_TRUNC != 0 {
		return Event{Lost: true}, true
	}
	return e, true
}
