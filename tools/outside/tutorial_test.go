package outside

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/module"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// TestTutorial does what docs/writing-a-plugin.md says, step by step: its sh blocks
// run one after the other in one shell, with a released devctl and nomad on PATH, and
// what it says to write into a file is written.
func TestTutorial(t *testing.T) {
	t.Parallel()
	if err := agent.Requirements(); err != nil {
		t.Skipf("this machine cannot run a plugin under an agent, it needs %v", err)
	}
	page, err := os.ReadFile(filepath.Join(filepath.Dir(coreDir(t)), "docs", "writing-a-plugin.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := tutorialSteps(string(page))
	edits := 0
	for _, s := range steps {
		if s.file != "" {
			edits++
		}
	}
	if edits < 5 || len(steps)-edits < 10 {
		t.Fatalf("%d steps, %d of them edits: this test looks for the wrong thing", len(steps), edits)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // Nomad may have to be built first
	defer cancel()
	sh := newShell(ctx, t)
	for _, s := range steps {
		if s.file == "" {
			sh.run(t, s)
			continue
		}
		file := filepath.Join(sh.dir, s.file)
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("line %d: %v", s.line, err)
		}
		after, err := edited(string(before), s.text)
		if err != nil {
			t.Fatalf("line %d: %s: %v", s.line, s.file, err)
		}
		do(t, os.WriteFile(file, after, 0o600))
	}
	sh.run(t, step{text: "(! gofmt -l . | grep .)\n"})
}

// step is one block of the tutorial: commands, or declarations for a file.
type step struct {
	line int
	file string // "" for commands
	text string
}

var (
	tutorialBlock = regexp.MustCompile("(?ms)^```(sh|go)\n(.*?)^```$")
	tutorialFile  = regexp.MustCompile("(?m)^In `([^`]+)`:\n\n\\z")
)

// tutorialSteps returns the steps of a page. A block of Go that no file is named for
// is an illustration.
func tutorialSteps(page string) []step {
	var steps []step
	for _, at := range tutorialBlock.FindAllStringSubmatchIndex(page, -1) {
		before := page[:at[0]]
		s := step{line: strings.Count(before, "\n") + 1, text: page[at[4]:at[5]]}
		if page[at[2]:at[3]] == "go" {
			file := tutorialFile.FindStringSubmatch(before)
			if file == nil {
				continue
			}
			s.file = file[1]
		}
		steps = append(steps, s)
	}
	return steps
}

// shell is a shell that runs one block after the other.
type shell struct {
	dir    string // where it is
	stdin  io.Writer
	lines  *bufio.Scanner
	blocks string // the directory of the blocks' scripts
}

// newShell starts a shell in an empty directory, with devctl and nomad on PATH.
func newShell(ctx context.Context, t *testing.T) *shell {
	t.Helper()
	nomad, err := agent.FindNomad(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	const core = "github.com/nomad-devices/nomad-devices/core"
	// A version of this run's own: what the module cache holds never changes.
	version := "0.0." + strconv.FormatInt(time.Now().UnixNano(), 10)
	proxy := serve(t, module.Version{Path: core, Version: "v" + version}, coreDir(t))
	bin := t.TempDir()
	do(t, agent.Build(ctx, agent.Program{
		Module: "tools", Package: "./cmd/devctl", Output: filepath.Join(bin, "devctl"),
		Env: []string{"CGO_ENABLED=0"}, Tags: "grpcnotrace", LinkerFlags: "-X " + core + "/plugin.Version=" + version,
	}))
	address := withFreePorts(t, bin, nomad.Path)
	goproxy, err := exec.CommandContext(ctx, "go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}

	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail")
	cmd.Dir = t.TempDir()
	cmd.Env = append(outside(),
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "NOMAD_ADDR="+address,
		"GOPROXY=file://"+proxy+","+strings.TrimSpace(string(goproxy)), "GOFLAGS=-trimpath -modcacherw",
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	do(t, cmd.Start())
	do(t, write.Close())
	// What a step leaves behind is in the shell's group, and ends with the shell: it
	// has the pipe open.
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		close(ended)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		<-ended
		_ = read.Close()
		forget(t, core, "v"+version)
	})
	s := &shell{stdin: stdin, lines: bufio.NewScanner(read), blocks: t.TempDir()}
	s.lines.Buffer(nil, 1<<20)
	return s
}

// blockDone is what the shell says after a block.
const blockDone = "=== the block is done in "

// run runs a block, which must succeed.
func (s *shell) run(t *testing.T, block step) {
	t.Helper()
	file := filepath.Join(s.blocks, fmt.Sprintf("line-%d.sh", block.line))
	do(t, os.WriteFile(file, []byte(block.text), 0o600))
	begun := time.Now()
	if _, err := fmt.Fprintf(s.stdin, "source %s </dev/null; echo '%s'\"$PWD\"\n", file, blockDone); err != nil {
		t.Fatalf("line %d: %v", block.line, err)
	}
	var said []string
	for s.lines.Scan() {
		if dir, ok := strings.CutPrefix(s.lines.Text(), blockDone); ok {
			s.dir = dir
			t.Logf("line %d took %v", block.line, time.Since(begun).Round(time.Millisecond))
			return
		}
		said = append(said, s.lines.Text())
	}
	t.Fatalf("line %d of the tutorial fails:\n%s\n%s", block.line, block.text, strings.Join(said, "\n"))
}

// withFreePorts puts a nomad into a directory whose agent listens at free ports, and
// which is Nomad else. It returns the address of the agent's API.
func withFreePorts(t *testing.T, dir, nomad string) (address string) {
	t.Helper()
	var ports []any
	for range 3 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }() // all are held until all are found
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	config := filepath.Join(dir, "ports.hcl")
	// The fingerprinters left out ask addresses that nobody may answer.
	do(t, os.WriteFile(config, fmt.Appendf(nil, `ports {
  http = %d
  rpc  = %d
  serf = %d
}
disable_update_check = true
client {
  options {
    "fingerprint.denylist" = "env_aws,env_azure,env_gce,env_digitalocean,consul,vault,cni,plugins_cni"
  }
}
`, ports...), 0o600))
	script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = agent ]; then\n  shift\n  exec %[1]s agent -config=%[2]s \"$@\"\nfi\nexec %[1]s \"$@\"\n", nomad, config)
	do(t, os.WriteFile(filepath.Join(dir, "nomad"), []byte(script), 0o700))
	return fmt.Sprintf("http://127.0.0.1:%d", ports[0])
}
