//go:build linux && cgo

package nvmltest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// dirVariable tells a test process that it is the inner one, and its machine.
const dirVariable = "NVMLTEST_DIR"

// on runs body in a process of its own that has loaded the driver of a new
// machine: a process can load one NVML library in its life.
func on(t *testing.T, profile string, opts nvidia.Options, body func(m *nvidia.Machine, lib nvml.Interface)) {
	t.Helper()
	if dir := os.Getenv(dirVariable); dir != "" {
		m, err := nvidia.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		body(m, nvml.New(nvml.WithLibraryPath(m.Library())))
		return
	}
	output, err := inner(t, start(t, profile, opts), t.Name())
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// A pattern that meets no test succeeds too.
	if !bytes.Contains(output, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("the inner process did not run the test:\n%s", output)
	}
}

// inner runs a test in a new process that uses the machine.
func inner(t *testing.T, m *nvidia.Machine, name string) ([]byte, error) {
	t.Helper()
	steps := strings.Split(name, "/")
	for i := range steps {
		steps[i] = "^" + regexp.QuoteMeta(steps[i]) + "$"
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+strings.Join(steps, "/"), "-test.timeout=60s", "-test.v")
	cmd.Env = append(os.Environ(), dirVariable+"="+m.Dir())
	return cmd.CombinedOutput()
}

func start(t *testing.T, profile string, opts nvidia.Options) *nvidia.Machine {
	t.Helper()
	m, err := nvidia.Start(t.Context(), filepath.Join(t.TempDir(), "machine"), profile, opts)
	if errors.Is(err, nvidia.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want fails the test unless a call returned a code.
func want(t *testing.T, call string, got, want nvml.Return) {
	t.Helper()
	if got != want {
		t.Fatalf("%s returned %d (%v), want %d", call, got, got, want)
	}
}

func initialise(t *testing.T, lib nvml.Interface) {
	t.Helper()
	want(t, "Init", lib.Init(), nvml.SUCCESS)
	t.Cleanup(func() {
		if ret := lib.Shutdown(); ret != nvml.SUCCESS {
			t.Errorf("Shutdown returned %v", ret)
		}
	})
}

func device(t *testing.T, lib nvml.Interface, index int) nvml.Device {
	t.Helper()
	d, ret := lib.DeviceGetHandleByIndex(index)
	want(t, "DeviceGetHandleByIndex", ret, nvml.SUCCESS)
	return d
}

// settle waits until the driver has certainly seen the last edit: it looks at
// the scenario once in 20 ms.
func settle() { time.Sleep(40 * time.Millisecond) }
