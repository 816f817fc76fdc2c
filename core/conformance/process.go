package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// process is a plugin's process. It is the runner that go-plugin drives, so that
// nothing of what the process writes and how it ends is lost.
type process struct {
	cmd            *exec.Cmd
	started        time.Time
	stdout, stderr transcript
	outPipe        io.ReadCloser
	errPipe        io.ReadCloser
	exited         chan struct{} // closed when the process was waited for
	waited         sync.Once
}

func newProcess(cmd *exec.Cmd) *process {
	return &process{cmd: cmd, exited: make(chan struct{})}
}

// run gives the process to go-plugin, which has put into spec what the plugin's
// environment must have.
func (p *process) run(_ hclog.Logger, spec *exec.Cmd, _ string) (runner.Runner, error) {
	p.cmd.Env = append(p.cmd.Env, spec.Env...)
	var err error
	if p.outPipe, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if p.errPipe, err = p.cmd.StderrPipe(); err != nil {
		return nil, err
	}
	return p, nil
}

// Start implements runner.Runner.
func (p *process) Start(context.Context) error {
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		close(p.exited)
		return err
	}
	return nil
}

// Wait implements runner.Runner.
func (p *process) Wait(context.Context) error {
	err := p.cmd.Wait()
	p.waited.Do(func() { close(p.exited) })
	return err
}

// Kill implements runner.Runner.
func (p *process) Kill(context.Context) error {
	p.kill()
	return nil
}

func (p *process) kill() {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
}

// wait waits for the end of a process that was started.
func (p *process) wait() {
	if p.cmd.Process != nil {
		<-p.exited
	}
}

func (p *process) signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// ended waits for the end of the process and returns whether it came in time.
func (p *process) ended(limit time.Duration) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.exited:
		return true
	case <-timeout.C:
		return false
	}
}

// Stdout implements runner.Runner.
func (p *process) Stdout() io.ReadCloser { return p.stdout.of(p.outPipe, p.started) }

// Stderr implements runner.Runner.
func (p *process) Stderr() io.ReadCloser { return p.stderr.of(p.errPipe, p.started) }

// Name implements runner.Runner.
func (p *process) Name() string { return p.cmd.Path }

// ID implements runner.Runner.
func (p *process) ID() string {
	if p.cmd.Process == nil {
		return ""
	}
	return strconv.Itoa(p.cmd.Process.Pid)
}

// Diagnose implements runner.Runner.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin implements runner.Runner.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// status says how the process ended, or that it did not.
func (p *process) status() string {
	select {
	case <-p.exited:
	default:
		return "still running"
	}
	if p.cmd.ProcessState == nil {
		return "never started"
	}
	return p.cmd.ProcessState.String()
}

// lastWords returns what the process said on stderr, as far as it explains its
// end: the head of a panic, or else the last lines.
func (p *process) lastWords() string {
	const most = 5
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			lines = lines[i:min(i+most, len(lines))]
			break
		}
	}
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	return "; on stderr:\n  " + strings.Join(lines[max(0, len(lines)-most):], "\n  ")
}

// logLine is a line of the plugin's log.
type logLine struct {
	level string // "" if the line is not in Nomad's format
	text  string // the whole line
}

// log returns the lines on stderr.
func (p *process) log() []logLine {
	var lines []logLine
	for line := range strings.Lines(p.stderr.String()) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		var fields struct {
			Level   string  `json:"@level"`
			Message *string `json:"@message"`
		}
		l := logLine{text: line}
		if json.Unmarshal([]byte(line), &fields) == nil && fields.Message != nil {
			l.level = fields.Level
		}
		lines = append(lines, l)
	}
	return lines
}

// mostWritten bounds what is kept of a stream of output.
const mostWritten = 8 << 20

// transcript keeps what a process wrote.
type transcript struct {
	mu    sync.Mutex
	bytes bytes.Buffer
	first time.Duration // from the process's start to the first byte
}

// of returns the pipe with everything that is read from it written down.
func (t *transcript) of(pipe io.ReadCloser, started time.Time) io.ReadCloser {
	return &listened{ReadCloser: pipe, transcript: t, started: started}
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bytes.String()
}

type listened struct {
	io.ReadCloser
	*transcript
	started time.Time
}

// Read implements io.Reader.
func (l *listened) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n > 0 && l.first == 0 {
		l.first = time.Since(l.started)
	}
	if l.bytes.Len() < mostWritten {
		l.bytes.Write(b[:n])
	}
	return n, err
}
