package outside

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/scaffold"
)

// TestScaffold makes a plugin from nothing outside the repository, holds it to what
// its own tests and ours ask for, and runs its example under an agent.
func TestScaffold(t *testing.T) {
	t.Parallel()
	if err := agent.Requirements(); err != nil {
		t.Skipf("this machine cannot run a plugin under an agent, it needs %v", err)
	}
	p := newScaffold(t, scaffold.Plugin{Vendor: "acme", Type: "fpga", Core: scaffold.Core{Dir: coreDir(t)}})
	p.run(t, "go", "mod", "tidy")
	if listed := p.run(t, "gofmt", "-l", "."); listed != "" {
		t.Errorf("gofmt would change:\n%s", listed)
	}
	p.run(t, "go", "vet", "./...")
	p.run(t, "go", "test", "./...")
	p.run(t, "go", "build", "-o", "bin/", "./cmd/"+p.Binary)
	p.run(t, "go", "run", "./cmd/simulate", "machine")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // Nomad may have to be built first
	defer cancel()
	nomad, err := agent.FindNomad(ctx, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "outside-") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, os.RemoveAll(dir)) })
	a, err := agent.Start(ctx, agent.Config{
		Nomad: nomad, Dir: dir,
		Plugins: []agent.Plugin{{
			Binary: filepath.Join(p.Dir, "bin", p.Binary),
			Config: rig.Quick + "host_root = \"" + filepath.Join(p.Dir, "machine") + "\"\n",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { do(t, a.Close()) })

	groups, err := a.WaitDevices(ctx, "the simulated devices", func(groups []*api.NodeDeviceResource) bool { return len(groups) == 2 })
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, g := range groups {
		found[g.Vendor+"/"+g.Type+"/"+g.Name] = agent.Healthy(g)
	}
	want := map[string][]string{
		"acme/fpga/One 16G": {"acme-A24-0017", "acme-A24-0023"},
		"acme/fpga/Two 32G": {"acme-B25-0004"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Fatalf("healthy devices (-want +got):\n%s", diff)
	}

	text, err := os.ReadFile(filepath.Join(p.Dir, "examples", "task.nomad.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	job, err := a.Client().Jobs().ParseHCL(string(text), true)
	if err != nil {
		t.Fatalf("Nomad cannot read the example: %v", err)
	}
	registered, err := a.Register(ctx, job)
	if err != nil {
		t.Fatal(err)
	}
	alloc, err := registered.Wait(ctx, api.AllocClientStatusComplete)
	if err != nil {
		t.Fatal(err)
	}
	given := agent.Given(alloc)
	if len(given) != 1 || !slices.Contains(slices.Concat(want["acme/fpga/One 16G"], want["acme/fpga/Two 32G"]), given[0]) {
		t.Errorf("the task was given %v, want one device", given)
	}
	// Nomad's log collector passes a task's lines on with a little delay.
	output := ""
	for !strings.Contains(output, "\n") && ctx.Err() == nil {
		if output, err = a.Output(ctx, alloc); err != nil {
			time.Sleep(100 * time.Millisecond)
		}
	}
	if !strings.HasPrefix(output, "this task has /dev/acme_fpga") {
		t.Errorf("the task says %q (%v)", output, err)
	}
}

// do ends the test if a step of it went wrong.
func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRequired requires the core at a version, as a module outside the workspace
// does: from a module proxy, by its archive, with nothing replaced. The plugin's
// names are those that Go has a meaning for.
func TestRequired(t *testing.T) {
	t.Parallel()
	const core = "github.com/nomad-devices/nomad-devices/core"
	// A version of this run's own: what the module cache holds never changes.
	version := "v0.1.0-test." + strconv.FormatInt(time.Now().UnixNano(), 10)
	proxy := serve(t, module.Version{Path: core, Version: version}, coreDir(t))
	t.Cleanup(func() { forget(t, core, version) })

	p := newScaffold(t, scaffold.Plugin{
		Vendor: "func", Type: "type", Module: "example.com/func/type", Core: scaffold.Core{Version: version},
	})
	p.env = append(p.env, "GOPROXY=file://"+proxy+","+strings.TrimSpace(p.run(t, "go", "env", "GOPROXY")), "GOFLAGS=-trimpath -modcacherw")
	p.run(t, "go", "mod", "tidy")
	p.run(t, "go", "vet", "./...")
	p.run(t, "go", "test", "-short", "./...")
	p.run(t, "go", "build", "-o", "bin/", "./cmd/"+p.Binary)
	if got := p.run(t, "go", "list", "-m", "-f", "{{.Version}} {{.Replace}}", core); got != version+" <nil>\n" {
		t.Errorf("the plugin is built with the core %s, want %s", got, version)
	}
}

// scaffolded is a plugin that was written by scaffold, and how commands are run in
// its directory.
type scaffolded struct {
	scaffold.Written
	env []string
}

// newScaffold writes a plugin outside the repository.
func newScaffold(t *testing.T, p scaffold.Plugin) *scaffolded {
	t.Helper()
	p.Dir = filepath.Join(t.TempDir(), "plugin")
	written, err := scaffold.Write(p)
	if err != nil {
		t.Fatal(err)
	}
	return &scaffolded{Written: written, env: outside()}
}

// outside is the environment for modules outside the workspace: ours, without the
// workspace, and without asking for checksums of modules that were checked when they
// came into the cache. Packages are built as the other programs that the tests build,
// so that they are built once.
func outside() []string {
	return append(os.Environ(), "GOWORK=off", "GOSUMDB=off", "GONOSUMDB=*", "CGO_ENABLED=0", "GOFLAGS=-trimpath")
}

// run runs a command that must succeed, and returns what it writes to stdout.
func (s *scaffolded) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = s.Dir, s.env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr.String())
	}
	return string(stdout)
}

// coreDir returns the directory of the core.
func coreDir(t *testing.T) string {
	t.Helper()
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "core")
}

// serve makes a module proxy of files with one version of a module, and returns its
// directory.
func serve(t *testing.T, m module.Version, dir string) string {
	t.Helper()
	proxy := t.TempDir()
	at := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
	do(t, os.MkdirAll(at, 0o755))
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"list":              []byte(m.Version + "\n"),
		m.Version + ".info": []byte(`{"Version":"` + m.Version + `"}`),
		m.Version + ".mod":  mod,
	} {
		do(t, os.WriteFile(filepath.Join(at, name), content, 0o600))
	}
	archive, err := os.Create(filepath.Join(at, m.Version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	do(t, zip.CreateFromDir(archive, m, dir))
	do(t, archive.Close())
	return proxy
}

// forget takes a version of a module out of the module cache.
func forget(t *testing.T, path, version string) {
	t.Helper()
	output, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache := strings.TrimSpace(string(output))
	do(t, os.RemoveAll(filepath.Join(cache, filepath.FromSlash(path)+"@"+version)))
	files, err := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(path), "@v", version+".*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		do(t, os.Remove(file))
	}
}
