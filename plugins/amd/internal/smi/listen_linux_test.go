package smi

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// pipe stands for the driver's descriptor: it is polled and read like one.
func pipe(t *testing.T) (read, write int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[0]) })
	return fds[0], fds[1]
}

func TestHear(t *testing.T) {
	t.Parallel()
	firstRead, first := pipe(t)
	secondRead, second := pipe(t)
	defer unix.Close(first)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events := make(chan Event, 16)
	ended := make(chan error, 1)
	go func() {
		ended <- hear(ctx, []*ear{{gpu: 1, fd: firstRead}, {gpu: 2, fd: secondRead}}, func(e Event) { events <- e })
	}()
	for _, part := range []string{"3 1 ca", "use\n"} {
		if _, err := unix.Write(second, []byte(part)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := unix.Write(first, []byte("4 1\n")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Event{{2, ResetBegins, "1 cause"}, {1, ResetEnds, "1"}} {
		if diff := cmp.Diff(want, <-events); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	_ = unix.Close(second)
	if err := <-ended; !errors.Is(err, errEnded) {
		t.Errorf("a driver that ends: %v", err)
	}
}

func TestHearEndsWithItsContext(t *testing.T) {
	t.Parallel()
	read, write := pipe(t)
	defer unix.Close(write)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := hear(ctx, []*ear{{gpu: 1, fd: read}}, func(Event) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	if err := Listen(t.Context(), filepath.Join(t.TempDir(), "kfd"), []uint32{1}, nil); !errors.Is(err, unix.ENOENT) {
		t.Errorf("without the driver: %v", err)
	}
	// A device that knows nothing of such an ioctl.
	if err := Listen(t.Context(), "/dev/null", []uint32{1}, nil); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another driver: %v", err)
	}
}
