package conformance

import (
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
	"github.com/hashicorp/go-plugin/runner"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"google.golang.org/grpc"
)

// startTimeout is how long a plugin may take to its handshake. Nomad waits a
// minute, and then its agent does not start.
const startTimeout = 15 * time.Second

// Binary is a target that launches a plugin's binary as Nomad does.
type Binary struct {
	// Path is the plugin's file.
	Path string
	// Args are passed to it, as the args of its plugin block are.
	Args []string
	// Env is added to the environment of this process, each as "KEY=value".
	Env []string
}

// Label implements [Target].
func (b Binary) Label() string { return filepath.Base(b.Path) }

// name is the name by which Nomad looks for the plugin's configuration.
func (b Binary) name() string { return strings.TrimSuffix(filepath.Base(b.Path), ".exe") }

// command prepares a process with a place of its own for temporary files: a
// plugin may remember there that a process before it died, which here means
// nothing.
func (b Binary) command(args ...string) (*exec.Cmd, func(), error) {
	path, err := filepath.Abs(b.Path)
	if err != nil {
		return nil, nil, err
	}
	tmp, err := os.MkdirTemp("", "check-")
	if err != nil {
		return nil, nil, fmt.Errorf("a place for the plugin's temporary files: %w", err)
	}
	cmd := exec.Command(path, slices.Concat(b.Args, args)...)
	cmd.Env = slices.Concat(os.Environ(), []string{"TMPDIR=" + tmp, "GOTRACEBACK=all"}, b.Env)
	return cmd, func() { _ = os.RemoveAll(tmp) }, nil
}

func (b Binary) launch(ctx context.Context, args ...string) (*instance, error) {
	cmd, cleanUp, err := b.command(args...)
	if err != nil {
		return nil, err
	}
	p := newProcess(cmd)
	wired := &wiredPlugin{}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  base.Handshake,
		Plugins:          map[string]plugin.Plugin{base.PluginTypeBase: &base.PluginBase{}, base.PluginTypeDevice: wired},
		RunnerFunc:       p.run,
		SkipHostEnv:      true, // it is in cmd.Env already
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		StartTimeout:     startTimeout,
	})
	end := sync.OnceFunc(func() {
		client.Kill()
		p.kill()
		p.wait()
		cleanUp()
	})
	// go-plugin's start knows no context.
	stop := context.AfterFunc(ctx, p.kill)
	remote, err := connect(client)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		end()
		return nil, startError(err, p)
	}
	return &instance{
		DevicePlugin: remote,
		process:      p,
		gone:         p.exited,
		panics:       func() []string { return nil },
		shutdown:     end,
		kill: func() {
			p.kill()
			<-p.exited
		},
		disconnect: func() { _ = wired.conn.Close() },
	}, nil
}

func connect(client *plugin.Client) (device.DevicePlugin, error) {
	rpc, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := rpc.Dispense(base.PluginTypeDevice)
	if err != nil {
		return nil, err
	}
	remote, ok := raw.(device.DevicePlugin)
	if !ok {
		return nil, fmt.Errorf("the device interface is a %T", raw)
	}
	return remote, nil
}

// startError says in plain words why a plugin did not start.
func startError(err error, p *process) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "timeout while waiting for plugin to start"):
		err = fmt.Errorf("no handshake on stdout within %v", startTimeout)
	case strings.Contains(text, "Unrecognized remote plugin message:"):
		if first, _, _ := strings.Cut(p.stdout.String(), "\n"); first != "" {
			err = fmt.Errorf("the first line on stdout is %q and not the handshake", first)
		} else {
			err = errors.New("it ended without a handshake")
		}
	}
	return fmt.Errorf("the plugin %s does not start: %w%s", p.cmd.Path, err, p.lastWords())
}

// wiredPlugin keeps the connection, so that it can be broken.
type wiredPlugin struct {
	device.PluginDevice
	conn *grpc.ClientConn
}

// GRPCClient implements plugin.GRPCPlugin.
func (w *wiredPlugin) GRPCClient(ctx context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	w.conn = conn
	return w.PluginDevice.GRPCClient(ctx, broker, conn)
}

var (
	_ plugin.GRPCPlugin = (*wiredPlugin)(nil)
	_ runner.Runner     = (*process)(nil)
)
