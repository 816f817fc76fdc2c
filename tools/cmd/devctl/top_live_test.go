//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

// TestTopLive has devctl on a terminal: one plugin that is well, and one that
// dies again and again.
func TestTopLive(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		env  string
		end  func(t *testing.T, keyboard *os.File, devctl *os.Process)
		want string
		not  string
	}{
		"quit": {
			end: func(t *testing.T, keyboard *os.File, _ *os.Process) {
				t.Helper()
				if _, err := keyboard.WriteString("q"); err != nil {
					t.Error(err)
				}
			},
			want: "\x1b[31m", // red, for what is unhealthy
		},
		"SIGTERM without colour": {
			env: "NO_COLOR=1",
			end: func(t *testing.T, _ *os.File, devctl *os.Process) {
				t.Helper()
				if err := devctl.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			},
			not: "\x1b[31m",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			missing := plugintest.Name + "-missing"
			cmd := exec.Command(self, "top", plugintest.Binary(t), "./"+missing)
			// The terminal's library looks at a file that it has just closed when
			// it ends, which is no concern of this test.
			cmd.Env = append(os.Environ(), asDevctl+"=1", "TERM=xterm-256color", "NO_COLOR=", "GORACE=exitcode=0", test.env)
			keyboard, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 120})
			if err != nil {
				t.Skipf("this machine gives no terminal: %v", err)
			}
			t.Cleanup(func() { _ = keyboard.Close() })
			defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop()

			var written bytes.Buffer
			part := make([]byte, 4096)
			ended := false
			for {
				n, err := keyboard.Read(part)
				written.Write(part[:n])
				text := written.String()
				drawn := strings.Contains(text, "no echo for an hour") && strings.Contains(text, missing+": plugin binary:")
				if drawn && !ended {
					ended = true
					test.end(t, keyboard, cmd.Process)
				}
				if err != nil { // EIO: the other end is closed
					if !errors.Is(err, syscall.EIO) && !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					break
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("devctl ended with %v after it wrote %q", err, written.String())
			}
			text := written.String()
			if !ended || !strings.Contains(text, "\x1b[?1049h") || strings.LastIndex(text, "\x1b[?1049l") < strings.LastIndex(text, "\x1b[?1049h") {
				t.Errorf("the alternate screen is not left, or nothing was drawn: %q", text)
			}
			if !strings.Contains(text, test.want) || test.not != "" && strings.Contains(text, test.not) {
				t.Errorf("colour where it should not be, or none where it should: %q", text)
			}
		})
	}
}
