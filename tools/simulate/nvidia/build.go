package nvidia

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// ErrNoCompiler says that the simulated driver cannot be compiled here for want
// of a C compiler. Tests skip on it.
var ErrNoCompiler = errors.New("no C compiler")

const (
	libraryName = "libnvidia-ml.so.1"
	// headerModule has the nvml.h that the sources are written against.
	headerModule = "github.com/NVIDIA/go-nvml@v0.13.4-1"
)

var compilerFlags = []string{
	"-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-pthread",
	"-Wl,-soname," + libraryName,
	// A driver library stays mapped when a program closes it, and a call that
	// hangs in it must not lose its code.
	"-Wl,-z,nodelete",
}

// Build compiles the simulated driver for an NVML header version ("12.4"): it
// has the functions of that version, except those in without. The result is
// kept in the user's cache directory, and found there the next time. It returns
// the path of the library.
func Build(ctx context.Context, api string, without ...string) (string, error) {
	number, err := apiVersion(api)
	if err != nil {
		return "", err
	}
	names, err := exports(number, without)
	if err != nil {
		return "", err
	}
	cc := os.Getenv("CC")
	if strings.TrimSpace(cc) == "" {
		cc = "cc"
	}
	v := variant{cc: cc, api: number, names: names}
	cache, err := v.cacheDir()
	if err != nil {
		return "", err
	}
	library := filepath.Join(cache, libraryName)
	if _, err := os.Stat(library); err == nil {
		return library, nil
	}
	if err := v.compile(ctx, library); err != nil {
		return "", err
	}
	return library, nil
}

// variant is one way to compile the driver.
type variant struct {
	cc    string   // the compiler, perhaps with flags
	api   int      // the NVML header version as in functions.def
	names []string // the functions to export
	flags []string // besides compilerFlags
}

// cacheDir names the directory by all that the library depends on.
func (v variant) cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place to keep the compiled simulator: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.GOARCH, headerModule, os.Getenv("NVML_INCLUDE"), compilerFlags, v)
	err = fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := sources.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return err
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(base, "nomad-devices", "simulate-nvidia", hex.EncodeToString(sum.Sum(nil))[:24]), nil
}

func (v variant) compile(ctx context.Context, library string) (err error) {
	words := strings.Fields(v.cc)
	if _, err := exec.LookPath(words[0]); err != nil {
		return fmt.Errorf("%w %q: install gcc (and the C library's headers), or name a compiler in CC: %w", ErrNoCompiler, v.cc, err)
	}
	include, err := headerDir(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		return fmt.Errorf("no place to keep the compiled simulator: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(library), ".build-*")
	if err != nil {
		return fmt.Errorf("no place to keep the compiled simulator: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := os.CopyFS(work, sources); err != nil {
		return err
	}
	script := "{ global: " + strings.Join(v.names, "; ") + "; local: *; };\n"
	if err := os.WriteFile(filepath.Join(work, "exports"), []byte(script), 0o644); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(work, "driver", "*.c"))
	if err != nil {
		return err
	}
	built := filepath.Join(work, libraryName)
	args := slices.Concat(words[1:], compilerFlags, v.flags,
		[]string{"-DNVSIM_API=" + strconv.Itoa(v.api), "-I" + include, "-Wl,--version-script," + filepath.Join(work, "exports"), "-o", built}, files, []string{"-ldl"})
	cmd := exec.CommandContext(ctx, words[0], args...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot compile the simulated driver with %s: %w\n%s", v.cc, err, bytes.TrimSpace(output))
	}
	// Another process may have been faster; its library is as good.
	return os.Rename(built, library)
}

// headerDir finds the directory of nvml.h.
func headerDir(ctx context.Context) (string, error) {
	if named := os.Getenv("NVML_INCLUDE"); named != "" {
		if _, err := os.Stat(filepath.Join(named, "nvml.h")); err != nil {
			return "", fmt.Errorf("NVML_INCLUDE names a directory without nvml.h: %w", err)
		}
		return named, nil
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", headerModule)
	// Outside of any module: the version is ours, not that of where we stand.
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	output, err := cmd.Output()
	var module struct{ Dir, Error string }
	if errJSON := json.Unmarshal(output, &module); err == nil {
		err = errJSON
	}
	if err != nil || module.Dir == "" {
		return "", fmt.Errorf("no nvml.h to compile the simulated driver with: install Go, so that %s can be downloaded, "+
			"or set NVML_INCLUDE to the directory of nvml.h: %w", headerModule, errors.Join(err, textError(module.Error)))
	}
	return filepath.Join(module.Dir, "pkg", "nvml"), nil
}

func textError(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
