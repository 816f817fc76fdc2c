package release

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// needRoot fails a test that cannot do its work without root.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("packages are installed into a system below a directory: this needs root")
	}
}

// plugins are the names of the shipped plugins.
func plugins() []string {
	var names []string
	for name := range products {
		if name != "devctl" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// files lists what is below a directory, links and directories included; nothing
// if it is not there.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		found = append(found, strings.TrimPrefix(path, dir))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDebianPackages installs the packages in a Debian 11, whose C library is the
// oldest that a mirror of today has: one in which dlopen and threads are libraries
// of their own. A real agent runs what was installed, and then it is removed.
func TestDebianPackages(t *testing.T) {
	s := snapshots(t)
	needRoot(t)
	need(t, map[string]string{"debootstrap": "debootstrap"})
	system := filepath.Join(s.work, "debian")
	run(t, "debootstrap", "--variant=minbase", "bullseye", system, "http://deb.debian.org/debian")
	inside := func(args ...string) string { t.Helper(); return run(t, "chroot", append([]string{system}, args...)...) }

	packages := []string{"dpkg", "--install"}
	for program := range products {
		path := s.deb(program, "amd64")
		run(t, "cp", path, filepath.Join(system, "tmp"))
		packages = append(packages, "/tmp/"+filepath.Base(path))
	}
	inside(packages...)

	t.Run("an old C library", func(t *testing.T) {
		if got := inside("ldd", "--version"); !strings.Contains(got, " 2.31") {
			t.Errorf("the C library is not the one that this test is about: %s", got)
		}
		for _, name := range plugins() {
			got := inside("devctl", "inspect", defaultPluginDir+"/"+name)
			if !strings.Contains(got, name+" "+s.version) {
				t.Errorf("%s says\n%s", name, got)
			}
		}
		config := inside("devctl", "simulate", "start", "8xmi300x", "--dir", "/tmp/machine")
		if err := os.WriteFile(filepath.Join(system, "tmp", "machine.hcl"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := inside("devctl", "inspect", defaultPluginDir+"/nomad-device-amd", "--config", "/tmp/machine.hcl"); !strings.Contains(got, "8 healthy") {
			t.Errorf("on a simulated machine the AMD plugin says\n%s", got)
		}
		inside("devctl", "simulate", "stop", "/tmp/machine")
	})
	t.Run("a real agent", func(t *testing.T) { testAgent(t, s, system) })

	removal := []string{"dpkg", "--remove"}
	for _, pkg := range products {
		removal = append(removal, pkg)
	}
	inside(removal...)
	places := []string{"/opt/nomad", "/usr/bin/devctl", "/usr/share/bash-completion/completions/devctl"}
	for _, pkg := range products {
		places = append(places, "/usr/share/doc/"+pkg)
	}
	for _, place := range places {
		if left := files(t, filepath.Join(system, place)); len(left) > 0 {
			t.Errorf("removed packages leave %s: %q", place, left)
		}
	}
}

// testAgent has a real agent load the installed plugins with the examples that were
// installed with them.
func testAgent(t *testing.T, s snapshot, system string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	nomad, err := agent.FindNomad(ctx, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	config := agent.Config{Nomad: nomad, Dir: filepath.Join(s.work, "agent")}
	if err := os.Mkdir(config.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	devctl := filepath.Join(system, "usr/bin/devctl")
	for _, name := range plugins() {
		example, err := os.ReadFile(filepath.Join(system, "usr/share/doc", products[name], name+".hcl.example"))
		if err != nil {
			t.Fatal(err)
		}
		machine, err := os.ReadFile(simulated(t, devctl, name, "cc"))
		if err != nil {
			t.Fatal(err)
		}
		config.Plugins = append(config.Plugins, agent.Plugin{
			Binary: filepath.Join(system, defaultPluginDir, name),
			Config: configBlock(t, string(example), name) + string(machine),
		})
	}
	a, err := agent.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if _, err := a.WaitDevices(ctx, "8 GPUs of NVIDIA, 8 of AMD, and FPGAs", func(groups []*api.NodeDeviceResource) bool {
		healthy := map[string]int{}
		for _, group := range groups {
			for _, device := range group.Instances {
				if device.Healthy {
					healthy[group.Vendor+"/"+group.Type]++
				}
			}
		}
		return healthy["nvidia/gpu"] == 8 && healthy["amd/gpu"] == 8 && healthy["intel/fpga"] > 0
	}); err != nil {
		t.Error(err)
	}
}

// configBlock returns what is in the config block of a plugin in an agent's
// configuration.
func configBlock(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\nplugin \""+name+"\" {\n  config {\n")
	block, _, ended := strings.Cut(rest, "\n  }\n}\n")
	if !found || !ended {
		t.Fatalf("there is no block for %s in\n%s", name, text)
	}
	return block + "\n"
}

// TestRPMs installs and removes the packages in an empty system.
func TestRPMs(t *testing.T) {
	s := snapshots(t)
	needRoot(t)
	need(t, map[string]string{"rpm": "rpm"})
	system := t.TempDir()
	rpm := func(args ...string) (string, error) {
		output, err := exec.CommandContext(t.Context(), "rpm", append([]string{"--root", system, "--dbpath", "/var/lib/rpm"}, args...)...).CombinedOutput()
		return string(output), err
	}
	must := func(args ...string) {
		t.Helper()
		if output, err := rpm(args...); err != nil {
			t.Fatalf("rpm %q: %v\n%s", args, err, output)
		}
	}
	must("--initdb")

	// An empty system has no C library.
	nvidia := s.rpm("nomad-device-nvidia", "amd64")
	if output, err := rpm("--install", nvidia); err == nil || !strings.Contains(output, "glibc >= "+oldestGlibc+" is needed") {
		t.Errorf("without a C library: %q, %v", output, err)
	}
	must("--install", "--nodeps", nvidia)
	must("--install", s.rpm("nomad-device-amd", "amd64"), s.rpm("devctl", "amd64"))
	must("--install", "--relocate", defaultPluginDir+"=/srv/plugins", s.rpm("nomad-device-fpga", "amd64"))
	for path, mode := range map[string]fs.FileMode{
		defaultPluginDir + "/nomad-device-nvidia":                             0o755,
		defaultPluginDir + "/nomad-device-amd":                                0o755,
		"/srv/plugins/nomad-device-fpga":                                      0o755,
		"/usr/bin/devctl":                                                     0o755,
		"/usr/share/bash-completion/completions/devctl":                       0o644,
		"/usr/share/doc/nomad-devices-nvidia/nomad-device-nvidia.hcl.example": 0o644,
		"/usr/share/doc/nomad-devices-nvidia/" + mpsUnit:                      0o644,
		"/usr/share/doc/nomad-devices-amd/THIRD-PARTY-NOTICES":                0o644,
	} {
		info, err := os.Lstat(filepath.Join(system, path))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info, err, mode)
		}
	}
	for _, pkg := range products {
		must("--verify", "--nodeps", pkg)
		must("--erase", pkg)
	}
	for _, dir := range []string{defaultPluginDir, "/srv/plugins", "/usr/bin", "/usr/share/doc"} {
		for _, path := range files(t, filepath.Join(system, dir)) {
			if strings.Contains(path, "nomad") || strings.Contains(path, "devctl") {
				t.Errorf("removed packages leave %s%s", dir, path)
			}
		}
	}
}
