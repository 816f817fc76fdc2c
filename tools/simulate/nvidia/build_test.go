package nvidia

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func built(t *testing.T, api string, without ...string) string {
	t.Helper()
	library, err := Build(t.Context(), api, without...)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	check(t, err)
	return library
}

// exported gives the functions that a library has for others.
func exported(t *testing.T, library string) []string {
	t.Helper()
	f, err := elf.Open(library)
	check(t, err)
	defer func() { check(t, f.Close()) }()
	symbols, err := f.DynamicSymbols()
	check(t, err)
	var names []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	soname, err := f.DynString(elf.DT_SONAME)
	check(t, err)
	if diff := cmp.Diff([]string{libraryName}, soname); diff != "" {
		t.Errorf("soname (-want +got):\n%s", diff)
	}
	return names
}

// TestDriversHaveTheirFunctions compares the table of functions with what the
// compiled library has: a function that is only in one of them is a mistake.
func TestDriversHaveTheirFunctions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		api     string
		number  int
		without []string
	}{{"11.0", 1100, nil}, {"12.2", 1202, nil}, {"13.4", 1304, []string{"nvmlDeviceGetName"}}} {
		t.Run(tt.api, func(t *testing.T) {
			t.Parallel()
			want, err := exports(tt.number, tt.without)
			check(t, err)
			slices.Sort(want)
			if diff := cmp.Diff(want, exported(t, built(t, tt.api, tt.without...))); diff != "" {
				t.Errorf("functions (-table +library):\n%s", diff)
			}
		})
	}
}

func TestSourcesGiveNoWarnings(t *testing.T) {
	t.Parallel()
	built(t, "13.4") // or skip
	names, err := exports(newestAPI, nil)
	check(t, err)
	v := variant{cc: "cc", api: newestAPI, names: names, flags: []string{"-Werror"}}
	check(t, v.compile(t.Context(), filepath.Join(t.TempDir(), libraryName)))
}

func TestBuildWithoutACompilerSaysWhatToInstall(t *testing.T) {
	t.Setenv("CC", "no-such-compiler")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := Build(t.Context(), "12.2")
	if !errors.Is(err, ErrNoCompiler) || !strings.Contains(err.Error(), "install gcc") {
		t.Errorf("Build without a compiler: %v", err)
	}
}

func TestBuildWithoutTheHeaderSaysWhatToDo(t *testing.T) {
	built(t, "12.2") // or skip
	t.Setenv("NVML_INCLUDE", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := Build(t.Context(), "12.2"); err == nil || !strings.Contains(err.Error(), "nvml.h") {
		t.Errorf("Build without nvml.h: %v", err)
	}
}

func TestBuildIsKept(t *testing.T) {
	t.Parallel()
	first := built(t, "12.2")
	before, err := os.Stat(first)
	check(t, err)
	after, err := os.Stat(built(t, "12.2"))
	check(t, err)
	if !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
		t.Error("the library was compiled again")
	}
}

func TestAPIVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"11.0": 1100, "12.4": 1204, "13.0": 1300} {
		if got, err := apiVersion(text); got != want || err != nil {
			t.Errorf("apiVersion(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "12", "12.x", "10.2", "12.-1", "12.100"} {
		if got, err := apiVersion(text); err == nil {
			t.Errorf("apiVersion(%q) = %d, want an error", text, got)
		}
	}
}
