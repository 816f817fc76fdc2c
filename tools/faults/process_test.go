package faults

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/soak"
)

// usage returns what the plugin's process holds.
func usage(t *trial, s *stand) soak.Usage {
	t.Helper()
	u, err := soak.UsageOf(s.plugin.PID())
	t.do(err)
	return u
}

func threads(t *trial, s *stand) int {
	t.Helper()
	return int(usage(t, s).Threads)
}

func pluginKilled(t *trial) {
	s := newStand(t, options{mayEnd: true})
	before, _, _ := s.stream.now()
	s.plugin.Kill()
	<-s.stream.done

	// Nomad keeps its list and starts a new process; a reservation may be the
	// first thing it is asked.
	s.launch()
	s.reserves(2)
	s.until("the same devices again", func(_ *stand, now state) bool { return now.String() == before.String() })
	s.measures(0, 7)

	// A GPU that is lost by then cannot be asked for its name.
	t.do(s.machine.Break(4, "xid79"))
	s.sick(4)
	s.plugin.Kill()
	<-s.stream.done
	s.launch()
	s.refuses(4)
	s.until("the others", func(s *stand, now state) bool {
		return now.healthy() == len(s.gpus)-1 && now.device(s.uuid(4)) == nil
	})
	t.do(s.machine.Repair(4))
	s.sick()
	s.reserves(4)
}

func pluginDies(t *trial) {
	s := newStand(t, options{mayEnd: true, env: []string{"TMPDIR=" + t.TempDir()}})
	for deaths := 1; deaths <= 5; deaths++ {
		s.plugin.Kill()
		<-s.stream.done
		begun := time.Now()
		s.launch()
		s.stream.soon(t)
		if now, _, _ := s.stream.now(); deaths > 2 && len(now.devices()) > 0 {
			t.Errorf("after %d deaths the hardware was looked at at once", deaths)
		}
		s.until("all devices", allHealthy)
		if took, want := time.Since(begun), time.Second<<max(0, deaths-3); deaths > 2 && took < want {
			t.Errorf("after %d deaths the hardware was left alone for %v, want %v", deaths, took, want)
		}
	}
	s.reserves(0)
	s.measures(0, 7)
}

func pluginStopped(t *trial) {
	s := newStand(t, options{})
	t.do(syscall.Kill(s.plugin.PID(), syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(s.plugin.PID(), syscall.SIGCONT) })
	t.do(s.machine.Break(1, "xid79"))
	time.Sleep(5 * time.Second)
	t.do(syscall.Kill(s.plugin.PID(), syscall.SIGCONT))
	s.sick(1)
	s.reserves(0)
	s.measures(0, 2)
	t.do(s.machine.Repair(1))
	s.sick()
	s.measures(1)
}

// agentKilled is what is left of an agent that was killed: a plugin process
// whose connection has ended without a word.
func agentKilled(t *trial) {
	binary, err := buildOnce()
	t.do(err)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = append(os.Environ(), base.Handshake.MagicCookieKey+"="+base.Handshake.MagicCookieValue, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	t.do(err)
	logs, err := cmd.StderrPipe()
	t.do(err)
	t.do(cmd.Start())
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			t.hear(lines.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})

	// "1|2|unix|/path|grpc|…": go-plugin's handshake.
	hello, err := bufio.NewReader(out).ReadString('\n')
	t.do(err)
	words := strings.Split(strings.TrimSpace(hello), "|")
	if len(words) < 5 || words[2] != "unix" {
		t.Fatalf("the handshake is %q", hello)
	}
	conn, err := grpc.NewClient("unix:"+words[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	t.do(err)
	stream, err := proto.NewDevicePluginClient(conn).Fingerprint(ctx, &proto.FingerprintRequest{})
	t.do(err)
	_, err = stream.Recv()
	t.do(err)
	begun := time.Now()
	t.do(conn.Close())
	select {
	case <-heard: // its stderr is closed: it has ended
	case <-ctx.Done():
		t.Fatal("the orphan lives on")
	}
	if took := time.Since(begun); took < 50*time.Second {
		t.Errorf("the orphan ended after %v: an agent that restarts would not have found it in time", took)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the orphan ended with %v", err)
	}
}

func manyStreams(t *trial) {
	s := newStand(t, options{})
	round := func(n int) {
		streams := make([]*stream, 0, n)
		for range n {
			streams = append(streams, listen(t, s.plugin))
		}
		for _, one := range streams {
			one.soon(t)
			one.close()
			if err := one.failure(); err != nil {
				t.Errorf("one of the streams: %v", err)
			}
		}
	}
	round(20) // what the process allocates once
	s.settled(usage(t, s))
	before := usage(t, s)
	for range 4 {
		round(100)
	}
	s.settled(before)
	s.reserves(0)
	s.measures(0)
}

// settled waits until the process holds about as much as before.
func (s *stand) settled(before soak.Usage) {
	s.t.Helper()
	var now soak.Usage
	for end := time.Now().Add(patience / 3); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		now = usage(s.t, s)
		if now.Threads <= before.Threads+8 && now.Files <= before.Files+4 && now.Memory <= before.Memory+24<<20 {
			return
		}
	}
	s.t.Errorf("the process held %v and holds %v", before, now)
}

// noRoomForLogs gives the plugin a stderr that takes nothing.
func noRoomForLogs(t *trial) {
	for name, redirect := range map[string]string{
		"a full disk":   "2>/dev/full",
		"a closed file": "2>&-",
		"a broken pipe": `2>"$BROKEN"`,
	} {
		t.beside(name, func(t *trial) {
			binary, err := buildOnce()
			t.do(err)
			dir := t.TempDir()
			pipe := filepath.Join(dir, "pipe")
			t.do(syscall.Mkfifo(pipe, 0o600))
			reader, err := os.OpenFile(pipe, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			t.do(err)
			script := filepath.Join(dir, rig.PluginName)
			t.do(os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %q %s\n", binary, redirect), 0o700))
			s := newStand(t, options{binary: script, env: []string{"BROKEN=" + pipe}})
			t.do(reader.Close()) // from here on, writing to the pipe is an error and a signal
			t.do(s.machine.Break(2, "xid79"))
			s.sick(2)
			s.refuses(2)
			s.reserves(3)
			s.measures(3)
			t.do(s.machine.Repair(2))
			s.sick()
		})
	}
}

// clockJumps cannot set the clock. It shows that what the plugin counts does
// not hang on it: a wall clock that was set back leaves times that are still to
// come in the only file that holds times, and a process that was stopped has
// missed as much as one whose clock jumped ahead.
func clockJumps(t *trial) {
	started := func(times ...time.Time) time.Duration {
		dir := t.TempDir()
		own := filepath.Join(dir, fmt.Sprintf("%s-%d", rig.PluginName, os.Getuid()))
		t.do(os.Mkdir(own, 0o700))
		var list []string
		for _, at := range times {
			list = append(list, at.Format(`"`+time.RFC3339Nano+`"`))
		}
		t.do(os.WriteFile(filepath.Join(own, fmt.Sprintf("starts-%d.json", os.Getpid())), []byte("["+strings.Join(list, ",")+"]"), 0o600))
		s := &stand{t: t, machine: newMachine(t, options{}), options: options{env: []string{"TMPDIR=" + dir}}}
		s.launch()
		s.until("all devices", allHealthy)
		return time.Since(s.stream.opened)
	}
	future, past := time.Now().Add(24*time.Hour), time.Now().Add(-24*time.Hour)
	recent := time.Now()
	const many = 5
	waited := started(slices.Repeat([]time.Time{recent}, many)...)
	if waited < 3*time.Second {
		t.Errorf("after %d deaths the hardware was looked at within %v; this test proves nothing", many, waited)
	}
	for name, at := range map[string]time.Time{"back": future, "ahead": past} {
		if took := started(slices.Repeat([]time.Time{at}, many)...); took >= waited {
			t.Errorf("after the clock was set %s the plugin waited %v, as if it had died again and again (%v)", name, took, waited)
		}
	}
}
