package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nomad-devices/nomad-devices/core"
)

// null is a device that every Linux has, whose events mean nothing to anybody.
const null = "/sys/devices/virtual/mem/null/uevent"

// trigger has the kernel send an event of /dev/null that can be told from any
// other: Documentation/ABI/testing/sysfs-uevent.
func trigger(mark int) error {
	return os.WriteFile(null, fmt.Appendf(nil, "change %s MARK=%d", uuid(mark), mark), 0)
}

func uuid(mark int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", mark) }

// needUevents skips a test where it cannot make events, and shows that by trying.
func needUevents(t *testing.T) {
	t.Helper()
	socket, err := open()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := trigger(0); err != nil {
		t.Skip("no event can be caused here:", err)
	}
	// A kernel of its own in user space takes the write and tells nobody.
	socket.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := socket.Read(make([]byte, messageSize)); err != nil {
		t.Skip("an event was caused and none came:", err)
	}
}

// listening runs Listen in the background. It returns its events, and what ends it
// and waits for its error.
func listening(t *testing.T) (events <-chan Event, end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	passed, done := make(chan Event, 1000), make(chan error, 1)
	go func() { done <- Listen(ctx, func(e Event) { passed <- e }) }()
	if e := <-passed; !e.Lost {
		t.Errorf("the first event is %+v, want a lost one", e)
	}
	return passed, func() error {
		cancel()
		return <-done
	}
}

// marked returns the next event of this test, with mark.
func marked(t *testing.T, events <-chan Event, mark int) Event {
	t.Helper()
	for {
		e, ok := next(events, 10*time.Second)
		switch {
		case !ok:
			t.Fatalf("event %d did not come", mark)
		case e.Vars["SYNTH_UUID"] == uuid(mark):
			return e
		case e.Vars["FORGED"] != "":
			t.Errorf("forged: %+v", e)
		}
	}
}

func TestListen(t *testing.T) {
	needUevents(t)
	events, end := listening(t)
	for mark := 1; mark <= 3; mark++ {
		if err := trigger(mark); err != nil {
			t.Fatal(err)
		}
		e := marked(t, events, mark)
		delete(e.Vars, "SEQNUM")
		want := Event{
			Action: "change", Path: "/devices/virtual/mem/null", Subsystem: "mem", Vars: map[string]string{
				"ACTION": "change", "DEVPATH": "/devices/virtual/mem/null", "SUBSYSTEM": "mem", "DEVNAME": "null", "DEVMODE": "0666",
				"MAJOR": "1", "MINOR": "3", "SYNTH_UUID": uuid(mark), "SYNTH_ARG_MARK": fmt.Sprint(mark),
			},
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestListenBelievesTheKernelAlone has another process's message, which any that
// runs as root can send, come before the kernel's.
func TestListenBelievesTheKernelAlone(t *testing.T) {
	needUevents(t)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	events, end := listening(t)
	forged := message("add@/devices/forged", "ACTION=add", "DEVPATH=/devices/forged", "SUBSYSTEM=pci", "FORGED=yes")
	err = unix.Sendto(fd, forged, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup})
	if errors.Is(err, unix.EPERM) {
		t.Skip("no message can be forged here:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := trigger(4); err != nil {
		t.Fatal(err)
	}
	marked(t, events, 4)
	end()
}

// TestListenSurvivesAnOverrun fills a small buffer while nobody reads.
func TestListenSurvivesAnOverrun(t *testing.T) {
	needUevents(t)
	socket, err := open()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, done := make(chan Event), make(chan error, 1)
	go func() {
		done <- listen(ctx, socket, func(e Event) {
			select {
			case events <- e:
			case <-ctx.Done():
			}
		})
	}()
	if e := <-events; !e.Lost {
		t.Fatalf("the first event is %+v, want a lost one", e)
	}
	for range 200 {
		if err := trigger(5); err != nil {
			t.Fatal(err)
		}
	}
	var lost, kept int
	for e, ok := next(events, 10*time.Second); ok; e, ok = next(events, 300*time.Millisecond) {
		if e.Lost {
			lost++
		} else {
			kept++
		}
	}
	if lost != 1 || kept >= 200 {
		t.Errorf("of one overrun %d events tell; of 200 events %d were kept", lost, kept)
	}
	if err := trigger(6); err != nil {
		t.Fatal(err)
	}
	marked(t, events, 6)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// next returns the next event, if one comes in time.
func next(events <-chan Event, within time.Duration) (Event, bool) {
	select {
	case e := <-events:
		return e, true
	case <-time.After(within):
		return Event{}, false
	}
}

// TestListenLeavesNothing counts goroutines and descriptors. It must not run
// beside other tests.
func TestListenLeavesNothing(t *testing.T) {
	descriptors := func() int {
		names, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if socket, err := open(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	} else {
		socket.Close()
	}
	goroutines, files := runtime.NumGoroutine(), descriptors()
	for range 20 {
		_, end := listening(t)
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Watch(ended, pci, func(core.Event) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("a Watch that was over before it began: error %v", err)
		}
	}
	// A goroutine that has sent its last may still be counted.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > goroutines {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
	if now := descriptors(); now != files {
		t.Errorf("%d descriptors, %d before", now, files)
	}
}

// TestWatch hears of a real device.
func TestWatch(t *testing.T) {
	needUevents(t)
	ctx, cancel := context.WithCancel(t.Context())
	looks, done := make(chan core.Event, 10), make(chan error, 1)
	relevant := func(e Event) bool { return e.Subsystem == "mem" }
	go func() { done <- Watch(ctx, relevant, func(e core.Event) { looks <- e }) }()
	<-looks // at the beginning
	if err := trigger(7); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-looks:
		if diff := cmp.Diff(core.Event{Look: true}, e); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	case <-time.After(10 * time.Second):
		t.Error("no look")
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}
	good := message("add@/devices/a", "SUBSYSTEM=pci")
	event := Event{Action: "add", Path: "/devices/a", Subsystem: "pci", Vars: map[string]string{"SUBSYSTEM": "pci"}}
	for _, test := range []struct {
		name    string
		message []byte
		flags   int
		from    unix.Sockaddr
		want    Event
		ok      bool
	}{
		{"the kernel's", good, 0, kernel, event, true},
		{"cut by the buffer", good, unix.MSG_TRUNC, kernel, Event{Lost: true}, true},
		{"not understood", []byte("?"), 0, kernel, Event{Lost: true}, true},
		{"a process's", good, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup, Pid: 4711}, Event{}, false},
		{"udev's", good, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 2}, Event{}, false},
		{"for this process alone", good, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}, Event{}, false},
		{"of another family", good, 0, &unix.SockaddrUnix{}, Event{}, false},
		{"nobody's", good, 0, nil, Event{}, false},
	} {
		got, ok := accept(test.message, test.flags, test.from)
		if diff := cmp.Diff(test.want, got); ok != test.ok || diff != "" {
			t.Errorf("%s: %t (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for err, final := range map[error]bool{
		unix.EAFNOSUPPORT: true, unix.EPROTONOSUPPORT: true, unix.EPERM: true, unix.EACCES: true, unix.ENOSYS: true,
		unix.EMFILE: false, unix.ENOBUFS: false, unix.ENOMEM: false,
	} {
		got := refused("opening a socket for uevents", err)
		if errors.Is(got, errors.ErrUnsupported) != final || !errors.Is(got, err) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
