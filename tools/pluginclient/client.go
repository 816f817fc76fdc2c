package pluginclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"google.golang.org/grpc"
)

// DefaultStartTimeout is how long a plugin may take from exec to its handshake.
// Nomad waits one minute, and then does not start.
const DefaultStartTimeout = time.Minute

// DefaultCallTimeout bounds the calls for which Nomad itself knows no deadline:
// PluginInfo, ConfigSchema, SetConfig and Reserve.
const DefaultCallTimeout = 30 * time.Second

// Options says how to start a plugin. The zero value starts it as Nomad does.
type Options struct {
	// Args are passed to the plugin, as the args of its plugin block are.
	Args []string
	// Env is added to the environment of this process, each as "KEY=value"; a
	// later entry wins.
	Env []string
	// OnLog is called with each line of the plugin's log, one at a time. It
	// may be nil: the last lines are kept anyway, see [Plugin.Logs].
	OnLog func(LogLine)
	// DialOptions are added to the connection's, such as a handler that counts
	// its bytes.
	DialOptions []grpc.DialOption
	// StartTimeout bounds the time from exec to handshake; 0 means
	// [DefaultStartTimeout].
	StartTimeout time.Duration
	// CallTimeout bounds each call that is not a stream; 0 means
	// [DefaultCallTimeout].
	CallTimeout time.Duration
}

// Timings are the durations that a person waits for, each counted from the
// moment the process was started. One that did not happen yet is 0.
type Timings struct {
	// Handshake is when the connection stood.
	Handshake time.Duration
	// FirstFingerprint is when the first message of the first fingerprint
	// stream arrived. It includes whatever the caller did before it opened the
	// stream.
	FirstFingerprint time.Duration
}

// Plugin is a running device plugin. Its methods may be called from several
// goroutines.
type Plugin struct {
	path   string
	client *plugin.Client
	cmd    *exec.Cmd
	kill   context.CancelFunc // ends the process at once
	remote device.DevicePlugin
	done   context.Context // ends with the process
	log    *logRecorder
	limit  time.Duration
	calls  sync.WaitGroup // goroutines of calls that outlived their deadline

	started time.Time

	mu      sync.Mutex
	timings Timings
}

// Start starts the plugin binary at path and connects to it. The caller must
// [Plugin.Close] it. If ctx ends before the connection stands, the process is
// killed; later it has no say.
//
// An error says what Nomad would have stumbled over, with the last lines that
// the plugin logged.
func Start(ctx context.Context, path string, opts Options) (*Plugin, error) {
	path, err := executable(path)
	if err != nil {
		return nil, err
	}
	life, kill := context.WithCancel(context.Background())
	p := &Plugin{
		path:  path,
		cmd:   exec.CommandContext(life, path, opts.Args...),
		kill:  kill,
		log:   &logRecorder{onLine: opts.OnLog},
		limit: cmp.Or(opts.CallTimeout, DefaultCallTimeout),
	}
	p.cmd.Env = slices.Concat(os.Environ(), opts.Env)
	devicePlugin := &watchedPlugin{}
	p.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: base.Handshake,
		Plugins: map[string]plugin.Plugin{
			base.PluginTypeBase:   &base.PluginBase{},
			base.PluginTypeDevice: devicePlugin,
		},
		Cmd:              p.cmd,
		SkipHostEnv:      true, // it is in cmd.Env already, below what the caller set
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(), // only go-plugin's own chatter
		Stderr:           p.log,
		GRPCDialOptions:  opts.DialOptions,
		StartTimeout:     cmp.Or(opts.StartTimeout, DefaultStartTimeout),
	})

	// go-plugin's start knows no context and holds the lock that its Kill needs.
	stop := context.AfterFunc(ctx, kill)
	p.started = time.Now()
	err = p.connect()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		kill()
		p.Close()
		return nil, p.startError(ctx, err)
	}
	p.done = devicePlugin.done
	p.mu.Lock()
	p.timings.Handshake = time.Since(p.started)
	p.mu.Unlock()
	return p, nil
}

func (p *Plugin) connect() error {
	rpc, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := rpc.Dispense(base.PluginTypeDevice)
	if err != nil {
		return err
	}
	remote, ok := raw.(device.DevicePlugin)
	if !ok {
		return fmt.Errorf("the device interface is a %T", raw)
	}
	p.remote = remote
	return nil
}

func (p *Plugin) startError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("starting %s: %w", p.path, context.Cause(ctx))
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "timeout while waiting for plugin to start"):
		err = errors.New("no handshake on stdout in time")
	case strings.Contains(text, "Unrecognized remote plugin message:"):
		said := strings.TrimSpace(strings.TrimPrefix(strings.SplitN(text, "\n", 2)[0], "Unrecognized remote plugin message:"))
		if said == "" {
			err = errors.New("it ended without a handshake; is this a Nomad plugin for this machine?")
		} else {
			err = fmt.Errorf("its first line on stdout is %q and not the handshake; a plugin must write nothing else there", said)
		}
	}
	return fmt.Errorf("starting %s: %w%s", p.path, err, p.log.tail())
}

// executable resolves path like a shell does not: never through PATH, because
// Nomad starts plugins by their file.
func executable(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("plugin binary: %w", err)
	}
	if info.IsDir() {
		return "", fmt.Errorf("plugin binary: %s is a directory; Nomad skips directories in its plugin_dir", path)
	}
	if info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("plugin binary: %s is not executable; Nomad would skip it: chmod +x it", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("plugin binary: %w", err)
	}
	return abs, nil
}

// Path returns the absolute path of the plugin's binary.
func (p *Plugin) Path() string { return p.path }

// Name returns the name under which Nomad looks for the plugin's configuration:
// the name of its file.
func (p *Plugin) Name() string { return NameOf(p.path) }

// NameOf returns the name under which Nomad looks for the configuration of the
// plugin binary at path.
func NameOf(path string) string { return strings.TrimSuffix(filepath.Base(path), ".exe") }

// PID returns the process ID.
func (p *Plugin) PID() int { return p.cmd.Process.Pid }

// Remote returns the connection behind the methods of Plugin, which knows no
// deadlines.
func (p *Plugin) Remote() device.DevicePlugin { return p.remote }

// Timings returns what has been timed so far.
func (p *Plugin) Timings() Timings {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.timings
}

// Logs returns the last lines of the plugin's log, oldest first.
func (p *Plugin) Logs() []LogLine { return p.log.lines() }

// Exited returns a channel that is closed when the process has ended.
func (p *Plugin) Exited() <-chan struct{} { return p.done.Done() }

// ExitStatus says how the process ended ("exit status 1", "signal: killed"),
// or "" while it runs.
func (p *Plugin) ExitStatus() string {
	select {
	case <-p.done.Done():
	default:
		return ""
	}
	if p.cmd.ProcessState == nil {
		return "ended"
	}
	return p.cmd.ProcessState.String()
}

// Kill ends the process with SIGKILL and returns when it is gone, as a crash
// would.
func (p *Plugin) Kill() {
	p.kill()
	<-p.Exited()
}

// Close asks the plugin to end, kills it if it has not after two seconds as
// Nomad does, and waits for everything that Plugin started. It may be called
// more than once.
func (p *Plugin) Close() {
	p.client.Kill()
	p.kill()
	p.calls.Wait()
}

// call runs f, which knows no context, under a deadline. A call that outlives
// it ends when the plugin does.
func call[T any](ctx context.Context, p *Plugin, what string, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	p.calls.Go(func() {
		value, err := f()
		answers <- answer{value, err}
	})
	limit := time.NewTimer(p.limit)
	defer limit.Stop()
	var zero T
	select {
	case a := <-answers:
		if a.err != nil {
			return zero, p.callError(what, a.err)
		}
		return a.value, nil
	case <-limit.C:
		return zero, fmt.Errorf("%s: no answer from %s within %s; Nomad would wait for ever", what, p.Name(), p.limit)
	case <-ctx.Done():
		return zero, fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
}

// callError adds to err what became of the process, if it died over the call.
func (p *Plugin) callError(what string, err error) error {
	// The connection breaks a moment before the process is reaped.
	if isShutdown(err) {
		select {
		case <-p.Exited():
		case <-time.After(time.Second):
		}
	}
	if status := p.ExitStatus(); status != "" {
		return fmt.Errorf("%s: the plugin died (%s)%s", what, status, p.log.tail())
	}
	return fmt.Errorf("%s: %w", what, plain(err))
}

// watchedPlugin is Nomad's device plugin that also keeps the context which
// go-plugin ends with the process.
type watchedPlugin struct {
	device.PluginDevice
	done context.Context
}

// GRPCClient implements plugin.GRPCPlugin.
func (w *watchedPlugin) GRPCClient(ctx context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	w.done = ctx
	return w.PluginDevice.GRPCClient(ctx, broker, conn)
}

var _ plugin.GRPCPlugin = (*watchedPlugin)(nil)
