package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// BinaryVariable names the environment variable with the path of a Nomad binary
// to use before all others.
const BinaryVariable = "NOMAD_BINARY"

// Nomad is a binary of Nomad.
type Nomad struct {
	Path    string
	Version string // "v1.11.3"
}

// FindNomad returns the Nomad to run: the one that [BinaryVariable] names, else
// the one on PATH, else the version pinned in build/nomad, built once and kept
// in the user's cache directory. What takes long is told to progress.
func FindNomad(ctx context.Context, progress io.Writer) (Nomad, error) {
	if path := os.Getenv(BinaryVariable); path != "" {
		return inspectNomad(ctx, path)
	}
	if path, err := exec.LookPath("nomad"); err == nil {
		return inspectNomad(ctx, path)
	}
	root, err := RepositoryRoot()
	if err != nil {
		return Nomad{}, fmt.Errorf("there is no nomad on PATH, and none can be built: %w", err)
	}
	module := filepath.Join(root, "build", "nomad")
	version, err := pinnedVersion(filepath.Join(module, "go.mod"))
	if err != nil {
		return Nomad{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Nomad{}, fmt.Errorf("looking for a place to keep Nomad: %w", err)
	}
	path := filepath.Join(cache, "nomad-devices", "nomad-"+version)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := buildNomad(ctx, module, version, path, progress); err != nil {
			return Nomad{}, err
		}
	}
	return inspectNomad(ctx, path)
}

// buildNomad builds the agent to path. Two processes that want it at the same
// time build it once.
func buildNomad(ctx context.Context, module, version, path string, progress io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making a place to keep Nomad: %w", err)
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("waiting for another build of Nomad: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	fmt.Fprintf(progress, "There is no nomad on PATH: building Nomad %s. This is done once and takes about 6 minutes on two cores.\n", version)
	begun := time.Now()
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()

	var output bytes.Buffer
	partial := path + ".partial"
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", partial, "github.com/hashicorp/nomad")
	build.Dir = module
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	build.Stdout, build.Stderr = &output, &output
	if err := build.Start(); err != nil {
		return fmt.Errorf("building Nomad: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- build.Wait() }()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(progress, "  still building Nomad, %s\n", time.Since(begun).Round(time.Second))
		case err := <-done:
			if err != nil {
				_ = os.Remove(partial)
				return fmt.Errorf("building Nomad %s: %w\n%s", version, err, output.String())
			}
			fmt.Fprintf(progress, "Nomad %s is built: %s\n", version, path)
			return os.Rename(partial, path)
		}
	}
}

var versionLine = regexp.MustCompile(`(?m)^Nomad (v\S+)`)

func inspectNomad(ctx context.Context, path string) (Nomad, error) {
	output, err := exec.CommandContext(ctx, path, "version").CombinedOutput()
	if err != nil {
		return Nomad{}, fmt.Errorf("asking %s for its version: %w: %s", path, err, strings.TrimSpace(string(output)))
	}
	found := versionLine.FindSubmatch(output)
	if found == nil {
		return Nomad{}, fmt.Errorf("%s does not answer like Nomad: %q", path, strings.TrimSpace(string(output)))
	}
	return Nomad{Path: path, Version: string(found[1])}, nil
}

var nomadRequirement = regexp.MustCompile(`(?m)^\s*(?:require )?github\.com/hashicorp/nomad (v\S+)`)

func pinnedVersion(modFile string) (string, error) {
	text, err := os.ReadFile(modFile)
	if err != nil {
		return "", fmt.Errorf("looking for the pinned version of Nomad: %w", err)
	}
	found := nomadRequirement.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s does not require github.com/hashicorp/nomad", modFile)
	}
	return string(found[1]), nil
}

// RepositoryRoot returns the directory of the workspace that holds the current
// directory.
func RepositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "build", "nomad", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this is not the repository of nomad-devices, nor a directory in it")
		}
		dir = parent
	}
}

// Program is a Go program of this repository.
type Program struct {
	// Module is the module's directory below the root: "tools".
	Module string
	// Package is the program in it: "./cmd/devctl".
	Package string
	// Output is the file to write.
	Output string
	// Env is added to the environment of the build.
	Env []string
	// Tags are build tags, and LinkerFlags further flags for the linker.
	Tags, LinkerFlags string
}

// Build builds a program as a release would.
func Build(ctx context.Context, p Program) error {
	root, err := RepositoryRoot()
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", p.Tags,
		"-ldflags", "-s -w "+p.LinkerFlags, "-o", p.Output, p.Package)
	build.Dir = filepath.Join(root, p.Module)
	build.Env = append(os.Environ(), p.Env...)
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", p.Package, p.Module, err, output)
	}
	return nil
}
