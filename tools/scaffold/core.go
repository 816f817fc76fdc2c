package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// The project's module paths.
const (
	projectPath = "github.com/nomad-devices/nomad-devices"
	corePath    = projectPath + "/core"
)

// Core says where a plugin gets the core from. One of the two is set.
type Core struct {
	// Version is a released version: "v1.2.3".
	Version string
	// Dir is the absolute path of the core in a checkout of the project.
	Dir string
}

// ParseCore reads a version, or the directory of a checkout or of the core in it.
func ParseCore(text string) (Core, error) {
	if semver.IsValid(text) {
		if semver.Canonical(text) != text || module.Check(corePath, text) != nil {
			return Core{}, fmt.Errorf("the version %s: want three numbers, the first of them v0 or v1, such as v0.1.0", text)
		}
		return Core{Version: text}, nil
	}
	dir, err := filepath.Abs(text)
	if err != nil {
		return Core{}, err
	}
	for _, dir := range []string{dir, filepath.Join(dir, "core")} {
		switch is, err := isCore(dir); {
		case err != nil:
			return Core{}, err
		case is:
			return Core{Dir: dir}, nil
		}
	}
	return Core{}, fmt.Errorf("%q is neither a version such as v0.1.0 nor a directory with the module %s", text, corePath)
}

// FindCore returns the core of the checkout that a directory lies in, which need not
// exist yet. It returns false for a directory outside.
func FindCore(dir string) (Core, bool, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Core{}, false, err
	}
	for ; ; dir = filepath.Dir(dir) {
		at := filepath.Join(dir, "core")
		if is, err := isCore(at); err != nil || is {
			return Core{Dir: at}, is, err
		}
		if filepath.Dir(dir) == dir {
			return Core{}, false, nil
		}
	}
}

// isCore reports whether a directory holds the core's module.
func isCore(dir string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && modfile.ModulePath(text) == corePath, err
}

// replacement returns the directory of the core as the go.mod of a module in dir
// names it: relative within one checkout, absolute else.
func (c Core) replacement(dir string) (string, error) {
	if c.Dir == "" {
		return "", nil
	}
	if !c.Holds(dir) {
		return c.Dir, nil
	}
	relative, err := filepath.Rel(dir, c.Dir)
	return filepath.ToSlash(relative), err
}

// Holds reports whether a directory, named by its absolute path, is in the checkout
// that the core is from.
func (c Core) Holds(dir string) bool {
	inside, err := filepath.Rel(filepath.Dir(c.Dir), dir)
	return c.Dir != "" && err == nil && filepath.IsLocal(inside)
}

// modulePath returns the path of a module in dir, unless its author gives another.
func (c Core) modulePath(dir, binary string) string {
	if inside, err := filepath.Rel(filepath.Dir(c.Dir), dir); c.Holds(dir) && err == nil {
		return path.Join(projectPath, filepath.ToSlash(inside))
	}
	return "example.com/" + binary
}

// checkModule returns what is wrong with a module path.
func checkModule(name string) error {
	err := module.CheckImportPath(name)
	if err == nil && !strings.HasPrefix(name, corePath+"/") && name != corePath {
		return nil
	}
	if err == nil {
		err = errors.New("it is the core's")
	}
	return fmt.Errorf("the module path %q: want a path such as example.com/acme/nomad-device-acme: %w", name, err)
}
