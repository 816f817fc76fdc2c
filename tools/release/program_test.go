package release

import (
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-version"
)

// machines are ELF's names of the architectures, and the loaders that their
// systems have.
var machines = map[string]struct {
	machine elf.Machine
	loader  string
}{
	"amd64": {elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2"},
	"arm64": {elf.EM_AARCH64, "/lib/ld-linux-aarch64.so.1"},
}

// loader returns the program that has to load another one; "" means that it is
// static.
func loader(t *testing.T, f *elf.File) string {
	t.Helper()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err != nil {
				t.Fatal(err)
			}
			return strings.TrimRight(string(name), "\x00")
		}
	}
	return ""
}

// TestSnapshotPrograms reads the programs: what they need of the system, and how
// large they are.
func TestSnapshotPrograms(t *testing.T) {
	s := snapshots(t)
	limits := sizeLimits(t)
	for name := range products {
		for arch, want := range machines {
			t.Run(name+"/"+arch, func(t *testing.T) {
				path := s.program(t, name, arch)
				f, err := elf.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				if f.Machine != want.machine {
					t.Errorf("built for %v, want %v", f.Machine, want.machine)
				}
				if name == "nomad-device-nvidia" {
					if got := loader(t, f); got != want.loader {
						t.Errorf("loaded by %q, want %q", got, want.loader)
					}
					testLibraries(t, f, glibcSymbols(t)[arch])
				} else if got := loader(t, f); got != "" {
					t.Errorf("loaded by %q, want a static program", got)
				}
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if limit := limits[name]; limit > 0 && info.Size() > limit {
					t.Errorf("%d bytes, at most %d", info.Size(), limit)
				}
			})
		}
	}
}

// testLibraries holds what a program needs of the C library against the table.
func testLibraries(t *testing.T, f *elf.File, table map[string][2]string) {
	t.Helper()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(libraries)
	if diff := gocmp.Diff([]string{"libc.so.6", "libdl.so.2", "libpthread.so.0"}, libraries); diff != "" {
		t.Errorf("libraries (-want +got):\n%s", diff)
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	for _, symbol := range symbols {
		if symbol.Section != elf.SHN_UNDEF {
			continue
		}
		switch from, known := table[symbol.Name]; {
		case known:
			used++
			if got := [2]string{symbol.Library, symbol.Version}; got != from || !atMost(symbol.Version, oldestGlibc) {
				t.Errorf("%s is from %q, want %q", symbol.Name, got, from)
			}
		case strings.HasPrefix(symbol.Name, "nvml"):
			// Bound when NVIDIA's library was loaded, or never.
		case elf.ST_BIND(symbol.Info) == elf.STB_WEAK:
		default:
			t.Errorf("%s is in no library that the program names: add it to build/release/glibc/symbols", symbol.Name)
		}
	}
	if used != len(table) {
		t.Errorf("%d symbols of build/release/glibc/symbols are used, and it has %d", used, len(table))
	}
	flags, err := f.DynValue(elf.DT_FLAGS)
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range flags {
		if elf.DynFlag(flag)&elf.DF_BIND_NOW != 0 {
			t.Error("all functions are bound at the start, which fails without NVIDIA's library")
		}
	}
}

// sizeLimits reads from the Makefile how large the plugins may be.
func sizeLimits(t *testing.T) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for _, m := range regexp.MustCompile(`limit nomad-device-(nvidia|\$\$v) (\d+)`).FindAllStringSubmatch(string(text), -1) {
		limit, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		vendors := []string{m[1]}
		if m[1] == "$$v" {
			vendors = []string{"amd", "fpga"}
		}
		for _, vendor := range vendors {
			found["nomad-device-"+vendor] = limit
		}
	}
	if len(found) != len(products)-1 {
		t.Fatalf("the limits in the Makefile are %v, want one for each plugin", found)
	}
	return found
}

// TestSnapshotVersion asks the programs who they are.
func TestSnapshotVersion(t *testing.T) {
	s := snapshots(t)
	if _, err := version.NewVersion(s.version); err != nil {
		t.Errorf("Nomad would refuse plugins of this version: %v", err)
	}
	devctl := s.program(t, "devctl", "amd64")
	if got, want := run(t, devctl, "version"), "devctl "+s.version+" (commit "+s.commit+", go"; !strings.HasPrefix(got, want) {
		t.Errorf("devctl says %q, want %q", got, want)
	}
	for name := range products {
		if name == "devctl" {
			continue
		}
		got := run(t, devctl, "inspect", s.program(t, name, "amd64"), "--set", "host_root="+t.TempDir())
		if want := " " + name + " " + s.version + ","; !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", name, got, want)
		}
	}
}
