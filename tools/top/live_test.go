//go:build unix

package top_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"

	"github.com/nomad-devices/nomad-devices/tools/top"
)

// What a program writes to have the alternate screen and to leave it.
const (
	altScreen  = "\x1b[?1049h"
	mainScreen = "\x1b[?1049l"
)

// terminal is a terminal with a view on it.
type terminal struct {
	keyboard *os.File
	device   *os.File
	before   *term.State
	reports  chan top.Report
	ended    chan error

	mu      sync.Mutex
	written bytes.Buffer
	more    chan struct{}
}

// nameless is a file that the library waits for with a blocking read. Its other
// way, epoll, touches what it has closed a moment before, and the race detector
// sees that.
type nameless struct{ term.File }

// start shows a screen on a new terminal.
func start(ctx context.Context, t *testing.T, pace func(time.Duration)) *terminal {
	t.Helper()
	keyboard, device, err := pty.Open()
	if err != nil {
		t.Skipf("this machine gives no terminal: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() }) // the device may still be read
	if err := pty.Setsize(keyboard, &pty.Winsize{Rows: 20, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	before, err := term.GetState(device.Fd())
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{
		keyboard: keyboard, device: device, before: before,
		reports: make(chan top.Report), ended: make(chan error, 1), more: make(chan struct{}, 1),
	}
	go func() {
		part := make([]byte, 4096)
		for {
			n, err := keyboard.Read(part)
			x.mu.Lock()
			x.written.Write(part[:n])
			x.mu.Unlock()
			select {
			case x.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	screen := top.NewScreen(top.Options{Interval: time.Second})
	go func() { x.ended <- top.Live(ctx, screen, x.reports, pace, nameless{device}, device) }()
	x.await(t, altScreen)
	x.reports <- node(0, false)
	x.await(t, "unhealthy: XID 79")
	if during, err := term.GetState(device.Fd()); err != nil || fmt.Sprint(*during) == fmt.Sprint(*before) {
		t.Errorf("keys are not read one by one: %v", err)
	}
	return x
}

// await waits until the program has written a text since the last time.
func (x *terminal) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		x.mu.Lock()
		all := x.written.String()
		at := strings.Index(all, text)
		if at >= 0 {
			x.written.Next(at + len(text))
		}
		x.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-x.more:
		case <-limit:
			t.Fatalf("the program has not written %q but %q", text, all)
		}
	}
}

// press types keys.
func (x *terminal) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := x.keyboard.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// restored waits for the end of the program and checks what it left.
func (x *terminal) restored(t *testing.T) error {
	t.Helper()
	x.await(t, mainScreen)
	var err error
	select {
	case err = <-x.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the program does not end")
	}
	after, stateErr := term.GetState(x.device.Fd())
	if stateErr != nil {
		t.Fatal(stateErr)
	}
	if before, after := fmt.Sprint(*x.before), fmt.Sprint(*after); before != after {
		t.Errorf("the terminal's state was %s and is %s", before, after)
	}
	return err
}

// TestLive draws, reacts to keys and to a new size, and leaves the terminal as it
// was.
func TestLive(t *testing.T) {
	t.Parallel()
	paces := make(chan time.Duration, 1)
	x := start(t.Context(), t, func(d time.Duration) { paces <- d })
	x.press(t, "p")
	x.await(t, "PAUSED")
	x.press(t, "p")
	x.press(t, "-")
	if got := <-paces; got != 2*time.Second {
		t.Errorf("the interval is %s", got)
	}
	x.press(t, "/@") // one letter: only what changes is drawn, so a word may come in parts
	x.await(t, `No device of 7 has "@"`)
	x.press(t, "\r")
	x.press(t, "\x1b")
	x.await(t, "unhealthy: XID 79")
	if err := pty.Setsize(x.keyboard, &pty.Winsize{Rows: 20, Cols: 200}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil { // the device is not our controlling terminal
		t.Fatal(err)
	}
	x.await(t, "NVIDIA H100 80GB HBM3")
	x.press(t, "\x1b[B?")
	x.await(t, "this help, and back")
	x.press(t, "q")
	if err := x.restored(t); err != nil {
		t.Error(err)
	}
}

// TestLiveEnds leaves the terminal as it was however it ends.
func TestLiveEnds(t *testing.T) {
	t.Parallel()
	t.Run("signal", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		x := start(ctx, t, nil)
		cancel()
		if err := x.restored(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("ctrl+c", func(t *testing.T) {
		t.Parallel()
		x := start(t.Context(), t, nil)
		x.press(t, "\x03")
		if err := x.restored(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("panic", func(t *testing.T) {
		t.Parallel()
		x := start(t.Context(), t, func(time.Duration) { panic("on purpose, for this test") })
		x.press(t, "+")
		if err := x.restored(t); err == nil || !strings.Contains(err.Error(), "on purpose") {
			t.Errorf("it ended with %v", err)
		}
	})
}
