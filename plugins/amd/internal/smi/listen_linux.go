package smi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// smiEvents is AMDKFD_IOC_SMI_EVENTS, _IOWR('K', 0x1f, struct
// kfd_ioctl_smi_events_args): the GPU goes in, a descriptor comes out.
const smiEvents = 0xc0084b1f

// wait is how long one wait for events lasts, and so the longest that the end of
// the context goes unnoticed.
const wait = time.Second

// ear is a descriptor that tells of one GPU.
type ear struct {
	gpu  uint32
	fd   int
	rest []byte
}

// Listen passes the events of GPUs to got until ctx ends, and returns ctx's error.
// device is the path of /dev/kfd, gpus are the driver's numbers of the nodes. got
// is called on Listen's goroutine. An error that wraps [errors.ErrUnsupported] says
// that this driver has no events.
func Listen(ctx context.Context, device string, gpus []uint32, got func(Event)) error {
	kfd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s to hear the driver's events: %w", device, err)
	}
	defer func() { _ = unix.Close(kfd) }()
	var ears []*ear
	defer func() {
		for _, e := range ears {
			_ = unix.Close(e.fd)
		}
	}()
	for _, gpu := range gpus {
		fd, err := subscribe(kfd, gpu)
		if err != nil {
			return fmt.Errorf("subscribing to the events of KFD's GPU %d: %w", gpu, err)
		}
		ears = append(ears, &ear{gpu: gpu, fd: fd})
	}
	return hear(ctx, ears, got)
}

// subscribe returns a descriptor that tells of a GPU.
func subscribe(kfd int, gpu uint32) (int, error) {
	args := struct{ gpu, fd uint32 }{gpu: gpu}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(kfd), smiEvents, uintptr(unsafe.Pointer(&args))); errno != 0 {
		if errno == unix.ENOTTY || errno == unix.EINVAL {
			return -1, fmt.Errorf("%w: %w", errors.ErrUnsupported, errno)
		}
		return -1, errno
	}
	fd := int(args.fd)
	if _, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, mask)); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// hear waits for events. The driver's descriptors answer EAGAIN to a read that
// finds nothing, always.
func hear(ctx context.Context, ears []*ear, got func(Event)) error {
	polled := make([]unix.PollFd, len(ears))
	buffer := make([]byte, maxRest)
	for ctx.Err() == nil {
		for i, e := range ears {
			polled[i] = unix.PollFd{Fd: int32(e.fd), Events: unix.POLLIN}
		}
		if _, err := unix.Poll(polled, int(wait.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for the driver's events: %w", err)
		}
		for i, e := range ears {
			if polled[i].Revents == 0 {
				continue
			}
			n, err := unix.Read(e.fd, buffer)
			switch {
			case err == nil && n > 0:
				e.rest = lines(e.rest, buffer[:n], func(k Kind, text string) { got(Event{GPU: e.gpu, Kind: k, Text: text}) })
			case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			default:
				return fmt.Errorf("reading the events of KFD's GPU %d: %w", e.gpu, errors.Join(err, errEnded))
			}
		}
	}
	return ctx.Err()
}

var errEnded = errors.New("the driver tells of it no more")
