package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

const pluginName = "nomad-device-nvidia"

// shared is where the plugin is built, once for all tests.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "bench-test-"); err != nil {
		fmt.Fprintln(os.Stderr, "making a place for the plugin:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(shared); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var built = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(shared, pluginName)
	return binary, agent.Build(context.Background(), agent.Program{
		Module: filepath.Join("plugins", "nvidia"), Package: "./cmd/" + pluginName, Output: binary,
		Env: []string{"CGO_ENABLED=1"}, Tags: "grpcnotrace,netgo,osusergo,nethttpomithttp2", LinkerFlags: "-extldflags=-Wl,-z,lazy",
	})
})

// build returns the NVIDIA plugin.
func build(t *testing.T) string {
	t.Helper()
	if _, err := nvidia.Build(t.Context(), "13.0"); errors.Is(err, nvidia.ErrNoCompiler) {
		t.Skip(err)
	}
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestQuick runs everything once. It says nothing about speed.
func TestQuick(t *testing.T) {
	t.Parallel()
	result, err := Run(t.Context(), Options{Plugin: build(t), Quick: true, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, result.Rows)
	for _, row := range result.Rows {
		if len(row.Values) != 1 || row.Values[0].Missing != "" || row.Ratio != nil {
			t.Errorf("%s, %s: %+v, ratio %v", row.Section, row.Name, row.Values, row.Ratio)
		}
	}
	byName := map[string]float64{}
	for _, row := range result.Rows {
		byName[row.Section+": "+row.Name] = row.Values[0].Number
	}
	// What does not depend on how fast the machine is.
	if got := byName["messages to Nomad while only statistics change: fingerprint messages per hour, 2 devices"]; got != 0 {
		t.Errorf("%v messages per hour while nothing changed", got)
	}
	one, two := byName["driver calls: per statistics cycle, 1 device"], byName["driver calls: per statistics cycle, 2 devices"]
	if one < 5 || two != 2*one {
		t.Errorf("%v calls for the statistics of one device, %v for those of two", one, two)
	}

	var text, data bytes.Buffer
	if err := errors.Join(result.WriteTable(&text), result.WriteJSON(&data)); err != nil {
		t.Fatal(err)
	}
	for _, row := range result.Rows {
		if !strings.Contains(text.String(), "\n"+row.Section+"\n") || !strings.Contains(text.String(), "\n  "+row.Name+"  ") {
			t.Errorf("the table lacks %s, %s:\n%s", row.Section, row.Name, text.String())
		}
	}
	var again Result
	if err := json.Unmarshal(data.Bytes(), &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*result, again); diff != "" {
		t.Errorf("the result after JSON (-want +got):\n%s", diff)
	}
}

func wantRows(t *testing.T, rows []Row) {
	t.Helper()
	var got []string
	for _, row := range rows {
		if !slices.Contains(got, row.Section) {
			got = append(got, row.Section)
		}
	}
	want := []string{
		"growth from 1 to 2 devices (linear is 2×)",
		"start",
		"processor time",
		"driver calls",
		"memory",
		"messages to Nomad while only statistics change",
		"time for the statistics of all devices, 1 ms per driver call",
		"from a fault to the fingerprint message",
		"while one of 2 devices hangs",
		"size",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if len(rows) < 30 {
		t.Errorf("%d rows", len(rows))
	}
}

// TestPeer starts a plugin that has its library from its configuration, and one
// that is told by its environment.
func TestPeer(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, tt := range []struct{ name, config, env string }{
		{name: "the settings that its schema has"},
		{name: "configuration", config: `nvml_library = "{dir}/libnvidia-ml.so.1"` + "\n" + `host_root = "{root}"`},
		{name: "environment", config: `nvml_library = ""`, env: "UNUSED={library}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Plugin: binary, Peer: binary, PeerConfig: tt.config, PeerEnv: strings.Fields(tt.env), Quick: true}
			r, err := newRunner(t.Context(), t.TempDir(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.launches(t.Context()); err != nil {
				t.Fatal(err)
			}
			result := r.finish()
			if len(result.Notes) > 0 || len(result.Plugins) != 2 || result.Plugins[1].Label != "peer" {
				t.Errorf("plugins %+v, notes %q", result.Plugins, result.Notes)
			}
			for _, row := range result.Rows {
				if len(row.Values) != 2 || row.Ratio == nil {
					t.Errorf("%s, %s: %+v, ratio %v", row.Section, row.Name, row.Values, row.Ratio)
				}
			}
		})
	}
}

// TestPeerFails makes sure that a peer that does not work costs its own figures.
func TestPeerFails(t *testing.T) {
	t.Parallel()
	binary := build(t)
	o := Options{Plugin: binary, Peer: binary, PeerConfig: `no_such_key = 1`, Quick: true}
	r, err := newRunner(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.launches(t.Context()); err != nil {
		t.Fatal(err)
	}
	result := r.finish()
	if r.broken != nil || len(result.Notes) != len(r.plan.sizes) || !strings.Contains(result.Notes[0], "no_such_key") {
		t.Errorf("error %v, notes %q", r.broken, result.Notes)
	}
	for _, row := range result.Rows {
		if row.Section != "start" {
			continue
		}
		if row.Ratio != nil || row.Values[0].Missing != "" || row.Values[1].Missing == "" {
			t.Errorf("%s: %+v, ratio %v", row.Name, row.Values, row.Ratio)
		}
	}
}

func TestPluginMissing(t *testing.T) {
	t.Parallel()
	_, err := Run(t.Context(), Options{Plugin: filepath.Join(t.TempDir(), "none"), Quick: true})
	if errors.Is(err, nvidia.ErrNoCompiler) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v", err)
	}
}
