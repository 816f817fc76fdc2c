package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// daemonPatience is how long a daemon may take to start and to end.
const daemonPatience = 30 * time.Second

// Daemon is an engine of one's own.
type Daemon struct {
	*Engine
	cmd  *exec.Cmd
	done chan struct{}
}

// StartDaemon starts the dockerd on PATH with everything below dir, without a
// network, and waits until it answers. The path of dir must be short enough for
// a socket. An error that wraps [exec.ErrNotFound] says that there is no dockerd.
func StartDaemon(ctx context.Context, dir string) (*Daemon, error) {
	program, err := exec.LookPath("dockerd")
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	endpoint := "unix://" + filepath.Join(dir, "docker.sock")
	d := &Daemon{done: make(chan struct{}), cmd: exec.Command(program,
		"--host", endpoint,
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"),
		"--config-file", filepath.Join(dir, "daemon.json"), // none: leave the host's alone
		"--storage-driver", "vfs",
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
	)}
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}"), 0o600); err != nil {
		return nil, err
	}
	d.cmd.Stdout, d.cmd.Stderr = &log, &log
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting dockerd: %w", err)
	}
	go func() {
		_ = d.cmd.Wait() // Close tells how it ended, if anybody wants to know
		close(d.done)
	}()
	limit := time.After(daemonPatience)
	for {
		d.Engine, err = At(ctx, endpoint)
		if err == nil {
			return d, nil
		}
		select {
		case <-d.done:
			return nil, fmt.Errorf("dockerd ended: %s\n%s", d.cmd.ProcessState, log.Bytes())
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-limit:
			err = fmt.Errorf("dockerd does not answer within %s", daemonPatience)
		case <-time.After(100 * time.Millisecond):
			continue
		}
		return nil, errors.Join(err, d.Close())
	}
}

// Close ends the daemon and the containerd that it started.
func (d *Daemon) Close() error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping dockerd: %w", err)
	}
	select {
	case <-d.done:
		return nil
	case <-time.After(daemonPatience):
		_ = d.cmd.Process.Kill()
		<-d.done
		return fmt.Errorf("dockerd did not end within %s and was killed", daemonPatience)
	}
}
