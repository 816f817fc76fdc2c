package monitoring

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/fpga"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// patience is how long a plugin may take on a busy machine.
const patience = 90 * time.Second

// simulated is a plugin on a simulated machine.
type simulated struct {
	binary, config string
	// spoil breaks a device once the plugin knows it, so that what tells of
	// trouble is served as well; nil breaks none.
	spoil func() error
	// last are metrics that come late: after trouble, or as rates.
	last []string
}

var plugins = map[string]func(t *testing.T, dir string) simulated{
	"nvidia": func(t *testing.T, dir string) simulated {
		t.Helper()
		if err := rig.BuildRequirements(); err != nil {
			t.Skipf("the NVIDIA plugin and its simulated driver cannot be built here, they need %v", err)
		}
		m, err := nvidia.Start(t.Context(), filepath.Join(dir, "machine"), "8xh100", nvidia.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Stop() })
		binary, err := rig.BuildPlugin(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		return simulated{
			binary, m.Config(), func() error { return m.XID(1, 79) },
			[]string{"nomad_device_health_info", "nomad_device_last_xid", "nomad_device_graphics_activity_ratio"},
		}
	},
	"amd": func(t *testing.T, dir string) simulated {
		t.Helper()
		m, err := amd.Start(filepath.Join(dir, "machine"), "8xmi300x", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Stop() })
		return simulated{static(t, dir, "amd"), m.Config(), nil, []string{"nomad_device_gpu_utilization_ratio"}}
	},
	"fpga": func(t *testing.T, dir string) simulated {
		t.Helper()
		m, err := fpga.Start(filepath.Join(dir, "machine"), "mixed-fpga", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Stop() })
		return simulated{static(t, dir, "fpga"), m.Config(), nil, []string{"nomad_device_power_watts"}}
	},
}

func static(t *testing.T, dir, vendor string) string {
	t.Helper()
	binary, err := rig.BuildStatic(t.Context(), dir, vendor)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// served returns what a plugin serves when it has looked at all devices.
func served(t *testing.T, vendor string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "metrics-") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	plugin := plugins[vendor](t, dir)
	config, err := pluginclient.ParseConfig(plugin.config, pluginclient.NameOf(plugin.binary))
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	if err := config.Set("metrics.address=" + address); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, err := pluginclient.Start(ctx, plugin.binary, pluginclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Configure(ctx, config); err != nil {
		t.Fatal(err)
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	streams.Go(func() {
		for range p.Fingerprints(ctx) { // held open, as an agent does
		}
	})
	spoilt, body := plugin.spoil == nil, ""
	for range p.Stats(ctx, 200*time.Millisecond) {
		if body, err = get("http://" + address + "/metrics"); err != nil {
			continue // it listens soon
		}
		there := names(body)
		if !spoilt && there["nomad_device_healthy"] {
			spoilt = true
			if err := plugin.spoil(); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.ContainsFunc(plugin.last, func(name string) bool { return !there[name] }) {
			return body
		}
	}
	t.Fatalf("%s does not serve all of %v; its log is %v", vendor, plugin.last, p.Logs())
	return ""
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

var sample = regexp.MustCompile(`(?m)^(nomad_device_[a-z0-9_]+)[{ ]`)

// names returns the names of the metrics in a scrape.
func names(text string) map[string]bool {
	all := map[string]bool{}
	for _, match := range sample.FindAllStringSubmatch(text, -1) {
		all[match[1]] = true
	}
	return all
}

// lint returns what breaks the conventions of Prometheus in a scrape.
func lint(text string) ([]promlint.Problem, error) {
	return promlint.New(strings.NewReader(text)).Lint()
}

// file reads a file of the repository.
func file(t *testing.T, path string) string {
	t.Helper()
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
