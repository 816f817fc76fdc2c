package release

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// emulated returns a program that runs one for arm64 on this machine, under the
// same name.
func emulated(t *testing.T, program string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(program))
	text := fmt.Sprintf("#!/bin/sh\nexec qemu-aarch64-static -L /usr/aarch64-linux-gnu '%s' \"$@\"\n", program)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// profiles are the simulated machines that the plugins are run on, and something
// that they say of the devices there.
var profiles = map[string]struct{ name, says string }{
	"nomad-device-nvidia": {"8xh100", "nvidia/gpu/NVIDIA H100 80GB HBM3: 8 devices, 8 healthy"},
	"nomad-device-amd":    {"8xmi300x", "amd/gpu/AMD Instinct MI300X: 8 devices, 8 healthy"},
	"nomad-device-fpga":   {"mixed-fpga", "/fpga/"},
}

// simulated starts a simulated machine and returns the file with the plugin's
// configuration.
func simulated(t *testing.T, devctl, program, compiler string) string {
	t.Helper()
	dir := t.TempDir()
	start := exec.CommandContext(t.Context(), devctl, "simulate", "start", profiles[program].name, "--dir", filepath.Join(dir, "machine"))
	start.Env = append(os.Environ(), "CC="+compiler)
	var complaint strings.Builder
	start.Stderr = &complaint
	config, err := start.Output()
	if err != nil {
		t.Fatalf("starting a simulated machine: %v\n%s", err, &complaint)
	}
	path := filepath.Join(dir, "config.hcl")
	if err := os.WriteFile(path, config, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// watch runs a program until it has written what is wanted, or for too long. Under an
// emulator on a busy machine a plugin takes its time to find everything.
func watch(t *testing.T, want, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it ends the plugin
	cmd.WaitDelay = time.Minute
	cmd.Stderr = t.Output()
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	found := false
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if !found && strings.Contains(lines.Text(), want) {
			found = true
			cancel()
		}
	}
	if err := cmd.Wait(); !found {
		t.Errorf("%s %s never said %q (%v) but\n%s", name, strings.Join(args, " "), want, err, &said)
	}
}

// TestSnapshotPlugins runs the released plugins on simulated machines, those for
// arm64 under an emulator, with the released devctl for the same architecture.
func TestSnapshotPlugins(t *testing.T) {
	s := snapshots(t)
	need(t, map[string]string{"qemu-aarch64-static": "qemu-user-static", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu"})
	for program, profile := range profiles {
		for arch, compiler := range map[string]string{"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"} {
			t.Run(program+"/"+arch, func(t *testing.T) {
				plugin, devctl := s.program(t, program, arch), s.program(t, "devctl", arch)
				if arch == "arm64" {
					plugin, devctl = emulated(t, plugin), emulated(t, devctl)
				}
				alone, err := exec.CommandContext(t.Context(), plugin).CombinedOutput()
				if err == nil || !strings.Contains(string(alone), "This binary is a plugin") {
					t.Errorf("by itself it says %q, %v", alone, err)
				}
				watch(t, profile.says, devctl, "inspect", plugin, "--config", simulated(t, devctl, program, compiler), "--watch")
				// Without the hardware and what drives it.
				if got := run(t, devctl, "inspect", plugin, "--set", "host_root="+t.TempDir()); strings.Contains(got, "healthy") {
					t.Errorf("without hardware it says\n%s", got)
				}
			})
		}
	}
}
