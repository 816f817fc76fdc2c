package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// stopGrace is how long the agent may take to end itself.
const stopGrace = 10 * time.Second

// Agent is a Nomad agent. Its methods may be called from several goroutines,
// except those that start and stop it.
type Agent struct {
	config Config
	ports  ports
	client *api.Client
	// state is whom to ask about the cluster: for a node of a [Cluster] its
	// server, since a client asks on, and sends a heartbeat each time.
	state *api.Client

	mu      sync.Mutex
	process *process
}

// process is one life of the agent.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; to be read after done
}

// StartError says that the agent ended instead of becoming ready.
type StartError struct {
	// Status is how the process ended: "exit status 1".
	Status string
	// Output is what it wrote.
	Output string
}

// Error returns the lines in which the agent says what is wrong.
func (e *StartError) Error() string {
	return fmt.Sprintf("the Nomad agent did not start (%s):\n%s", e.Status, strings.Join(reasons(e.Output), "\n"))
}

// logLine matches a line of the agent's log, after its time.
var logLine = regexp.MustCompile(`^\S+ \[[A-Z]+\]`)

// reasons picks what an agent says about its end: what follows "==> Error" and
// is no line of its log, else the errors of the log.
func reasons(output string) []string {
	var said, logged []string
	telling := false
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, " \n")
		switch {
		case logLine.MatchString(strings.TrimSpace(line)):
			telling = false
			if strings.Contains(line, "[ERROR]") {
				logged = append(logged, strings.TrimSpace(line))
			}
		case strings.HasPrefix(line, "==> Error"):
			telling = true
			said = append(said, line)
		case telling && line != "":
			said = append(said, line)
		}
	}
	if len(said) > 0 {
		return said
	}
	return logged
}

// Start starts an agent and waits until its node is ready for work, or without
// a node until it leads. A
// [StartError] says that the agent refused to start; its directory is removed
// then.
func Start(ctx context.Context, config Config) (*Agent, error) { return start(ctx, config, nil) }

func start(ctx context.Context, config Config, state *api.Client) (*Agent, error) {
	// Nomad resolves links in some of its paths and not in others.
	dir, err := filepath.EvalSymlinks(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("the agent's directory: %w", err)
	}
	config.Dir = dir
	p, err := freePorts()
	if err != nil {
		return nil, err
	}
	if err := config.write(p); err != nil {
		return nil, fmt.Errorf("preparing the agent: %w", err)
	}
	a := &Agent{config: config, ports: p}
	a.client, err = api.NewClient(&api.Config{Address: a.Address()})
	if err != nil {
		return nil, fmt.Errorf("preparing the agent: %w", err)
	}
	a.state = cmp.Or(state, a.client)
	if err := a.launch(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// launch starts the process and waits until it is ready.
func (a *Agent) launch(ctx context.Context) error {
	log, err := os.OpenFile(a.config.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own
	from, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	p := &process{
		cmd:  exec.Command(a.config.Nomad.Path, "agent", "-config", a.config.file()),
		done: make(chan struct{}),
	}
	p.cmd.Dir = a.config.Dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = cleanEnvironment()
	p.cmd.SysProcAttr = ownGroup() // an interrupt at the terminal is for us to handle
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", a.config.Nomad.Path, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	a.mu.Lock()
	a.process = p
	a.mu.Unlock()

	err = poll(ctx, "the agent to be ready", func(ctx context.Context) (string, bool, error) {
		select {
		case <-p.done:
			text, err := os.ReadFile(a.config.logFile())
			if err != nil {
				return "", false, err
			}
			return "", false, &StartError{Status: p.cmd.ProcessState.String(), Output: string(text[from:])}
		default:
		}
		health, err := a.client.Agent().Health()
		if err != nil {
			return "the agent does not answer yet", false, nil
		}
		well := func(part *api.AgentHealth) bool { return part != nil && part.Ok }
		if a.config.Role != ServerOnly && !well(health.Client) || a.config.Role != ClientOnly && !well(health.Server) {
			return "the agent is not well yet", false, nil
		}
		if a.config.Role == ServerOnly {
			leader, err := a.client.Status().Leader()
			return "there is no leader", err == nil && leader != "", nil
		}
		node, err := a.Node(ctx)
		if err != nil {
			return err.Error(), false, nil
		}
		return "the node is " + node.Status, node.Status == api.NodeStatusReady, nil
	})
	return err
}

// cleanEnvironment is ours, without what the agent or its tasks would take as
// meant for them.
func cleanEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return slices.ContainsFunc([]string{"NOMAD_", "CONSUL_", "VAULT_", "NVIDIA_", "CUDA_"}, func(prefix string) bool {
			return strings.HasPrefix(entry, prefix)
		})
	})
}

// Address returns the URL of the agent's HTTP API.
func (a *Agent) Address() string { return fmt.Sprintf("http://127.0.0.1:%d", a.ports.http) }

// RPCAddress returns where a server's clients reach it.
func (a *Agent) RPCAddress() string { return fmt.Sprintf("127.0.0.1:%d", a.ports.rpc) }

// Client returns a client of the agent's HTTP API.
func (a *Agent) Client() *api.Client { return a.client }

// Version returns the agent's version.
func (a *Agent) Version() string { return a.config.Nomad.Version }

// PluginFile returns where the agent has a plugin's binary.
func (a *Agent) PluginFile(name string) string { return filepath.Join(a.config.pluginDir(), name) }

// Log returns everything that the agent has logged in all its lives.
func (a *Agent) Log() string {
	text, err := os.ReadFile(a.config.logFile())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Stop ends the agent as an operator does. Tasks go on running.
func (a *Agent) Stop() error { return a.end(os.Interrupt) }

// Crash ends the agent with SIGKILL. Tasks and plugins go on running.
func (a *Agent) Crash() error { return a.end(syscall.SIGKILL) }

func (a *Agent) end(signal os.Signal) error {
	a.mu.Lock()
	p := a.process
	a.process = nil
	a.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the agent: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopGrace):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("the agent did not end within %s after %s and was killed", stopGrace, signal)
}

// Restart starts the agent again after [Agent.Stop] or [Agent.Crash], with the
// same data, and waits until its node is ready.
func (a *Agent) Restart(ctx context.Context) error {
	a.mu.Lock()
	running := a.process != nil
	a.mu.Unlock()
	if running {
		return errors.New("the agent is running")
	}
	return a.launch(ctx)
}

// Close stops all jobs, the agent and everything that it started, and removes
// its directory. An agent that is only a client leaves the jobs of its cluster
// alone. It may be called more than once.
func (a *Agent) Close() error {
	a.mu.Lock()
	p := a.process
	a.mu.Unlock()
	var errs []error
	if p != nil {
		select {
		case <-p.done:
		default:
			if a.config.Role != ClientOnly {
				a.stopJobs()
			}
		}
		errs = append(errs, a.end(os.Interrupt))
	}
	return errors.Join(append(errs, cleanUp(a.config.Dir))...)
}

// stopJobs lets the agent take its allocations down itself, as far as it can;
// what it leaves is removed by force afterwards.
func (a *Agent) stopJobs() {
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	jobs, _, err := a.client.Jobs().List(query(ctx))
	if err != nil {
		return
	}
	for _, job := range jobs {
		_, _, _ = a.client.Jobs().Deregister(job.ID, true, write(ctx))
	}
	_ = poll(ctx, "the allocations to end", func(ctx context.Context) (string, bool, error) {
		allocs, _, err := a.client.Allocations().List(query(ctx))
		if err != nil {
			return "", false, err
		}
		return "", !slices.ContainsFunc(allocs, func(s *api.AllocationListStub) bool { return !ended(s.ClientStatus) }), nil
	})
	_ = a.client.System().GarbageCollect()
}

// poll calls f until it reports true or fails, or ctx ends. f also returns the
// state of affairs, which is part of the error when the time is over.
func poll(ctx context.Context, what string, f func(context.Context) (state string, done bool, err error)) error {
	for {
		state, done, err := f(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if err == nil && done {
			return nil
		}
		select {
		case <-ctx.Done():
			if state != "" {
				state = "; " + state
			}
			return fmt.Errorf("waiting for %s: %w%s", what, context.Cause(ctx), state)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func query(ctx context.Context) *api.QueryOptions { return new(api.QueryOptions).WithContext(ctx) }

func write(ctx context.Context) *api.WriteOptions { return new(api.WriteOptions).WithContext(ctx) }
