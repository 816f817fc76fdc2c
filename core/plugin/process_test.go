package plugin

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/coretest"
)

// asPlugin, in the environment, makes the test binary a plugin whose driver
// hangs.
const asPlugin = "TEST_AS_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		h := &coretest.Hardware{}
		h.Put("1", coretest.Device("a"))
		h.Hang("1")
		Main(definition(h))
		return
	}
	os.Exit(m.Run())
}

// launch starts the test binary as a plugin, as Nomad does.
func launch(t *testing.T, args ...string) (*goplugin.Client, *exec.Cmd, device.DevicePlugin) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asPlugin+"=1")
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  base.Handshake,
		Plugins:          map[string]goplugin.Plugin{base.PluginTypeBase: &base.PluginBase{}, base.PluginTypeDevice: &device.PluginDevice{}},
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	})
	t.Cleanup(client.Kill)
	rpc, err := client.Client()
	if err != nil {
		t.Fatalf("the plugin does not start: %v", err)
	}
	raw, err := rpc.Dispense(base.PluginTypeDevice)
	if err != nil {
		t.Fatal(err)
	}
	return client, cmd, raw.(device.DevicePlugin)
}

// The plugin serves whatever its arguments, ignores SIGHUP and SIGINT, and ends
// at once when Nomad says so although a driver call hangs.
func TestProcess(t *testing.T) {
	t.Parallel()
	client, cmd, p := launch(t, "--some", "args")
	if err := p.SetConfig(&base.Config{}); err != nil {
		t.Fatal(err)
	}
	stream, err := p.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	<-stream
	for _, signal := range []os.Signal{syscall.SIGHUP, os.Interrupt} {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := p.PluginInfo(); err != nil {
		t.Errorf("a signal that it must ignore ended the plugin: %v", err)
	}
	start := time.Now()
	client.Kill()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v to end; Nomad kills after 2 s", took)
	}
	if state := cmd.ProcessState; state == nil || !state.Success() {
		t.Errorf("the process ended with %v, want in order", state)
	}
}

func TestProcessEndsAtSIGTERM(t *testing.T) {
	t.Parallel()
	client, cmd, p := launch(t)
	if _, err := p.PluginInfo(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); !client.Exited(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process is still there 5 s after SIGTERM")
		}
	}
}

func TestStartedByHand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), asPlugin+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok || !strings.Contains(stderr.String(), "plugin") {
		t.Errorf("started by hand: %v, stderr %q; want a failure that says what this binary is", err, stderr.String())
	}
}

// TestLogThatNobodyReads: a plugin whose stderr is a broken pipe serves on.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	_ = reader.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asPlugin+"=1", base.Handshake.MagicCookieKey+"="+base.Handshake.MagicCookieValue)
	cmd.Stderr = writer
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	// It has logged its address by the time it says hello.
	if hello, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Errorf("the handshake is %q: %v", hello, err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the plugin ended with %v, want in order", err)
	}
}
