package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
)

// programs are what the pages talk about, built once.
type programs struct {
	dir     string // with devctl and the plugins
	devctl  string
	plugins map[string]string // files by their names
	nomad   agent.Nomad
}

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if buildDir, err = os.MkdirTemp("", "nomad-devices-docs-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(buildDir) }()
		return m.Run()
	}())
}

// built returns the programs, or skips where they cannot be built.
func built(t *testing.T) programs {
	t.Helper()
	if err := rig.BuildRequirements(); err != nil {
		t.Skipf("what the pages show cannot be run on this machine, it needs %v", err)
	}
	p, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var buildOnce = sync.OnceValues(func() (programs, error) {
	ctx := context.Background()
	p := programs{dir: filepath.Join(buildDir, "bin"), plugins: map[string]string{}}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return p, err
	}
	nvidia, err := rig.BuildPlugin(ctx, p.dir)
	if err != nil {
		return p, err
	}
	p.plugins[rig.PluginName] = nvidia
	for _, vendor := range rig.StaticVendors {
		path, err := rig.BuildStatic(ctx, p.dir, vendor)
		if err != nil {
			return p, err
		}
		p.plugins[filepath.Base(path)] = path
	}
	p.devctl = filepath.Join(p.dir, "devctl")
	if err := agent.Build(ctx, agent.Program{
		Module: "tools", Package: "./cmd/devctl", Output: p.devctl, Env: []string{"CGO_ENABLED=0"},
	}); err != nil {
		return p, err
	}
	p.nomad, err = agent.FindNomad(ctx, os.Stderr)
	return p, err
})
