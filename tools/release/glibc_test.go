package release

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// oldestGlibc is the oldest version of the C library that the NVIDIA plugin
// promises to run with: that of RHEL 8.
const oldestGlibc = "2.28"

// atMost says whether a symbol's version, like "GLIBC_2.3.2", is there in a
// release of the C library.
func atMost(version, release string) bool {
	number, ok := strings.CutPrefix(version, "GLIBC_")
	if !ok {
		return false
	}
	have, limit := strings.Split(number, "."), strings.Split(release, ".")
	for i := range have {
		if i == len(limit) {
			return false
		}
		a, err := strconv.Atoi(have[i])
		if err != nil {
			return false
		}
		b, err := strconv.Atoi(limit[i])
		if err != nil {
			return false
		}
		if a != b {
			return a < b
		}
	}
	return true
}

func TestAtMost(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"GLIBC_2.2.5": true, "GLIBC_2.28": true, "GLIBC_2.3.4": true, "GLIBC_2.29": false, "GLIBC_2.34": false,
		"GLIBC_2.28.1": false, "GLIBC_3.0": false, "GLIBC_PRIVATE": false, "GLIBC_ABI_DT_RELR": false, "GCC_3.0": false, "": false,
	} {
		if got := atMost(version, "2.28"); got != want {
			t.Errorf("%q is in 2.28: %t, want %t", version, got, want)
		}
	}
}

// glibcSymbols reads build/release/glibc/symbols: the library and the version of
// each symbol, per architecture.
func glibcSymbols(t *testing.T) map[string]map[string][2]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "build", "release", "glibc", "symbols"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string][2]string{"amd64": {}, "arm64": {}}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(fields) == 0 {
			continue
		}
		if len(fields) < 4 {
			t.Fatalf("symbols: %q: want a library, two versions and names", line)
		}
		for _, name := range fields[3:] {
			name, _, _ = strings.Cut(name, "/")
			for i, arch := range []string{"amd64", "arm64"} {
				if _, twice := found[arch][name]; twice {
					t.Errorf("symbols: %s is there twice", name)
				}
				found[arch][name] = [2]string{fields[0], fields[1+i]}
			}
		}
	}
	return found
}

// TestGlibcSymbols holds the table that the release links against below the
// promised version.
func TestGlibcSymbols(t *testing.T) {
	t.Parallel()
	for arch, symbols := range glibcSymbols(t) {
		for name, from := range symbols {
			if !atMost(from[1], oldestGlibc) {
				t.Errorf("%s: %s has version %s, newer than %s", arch, name, from[1], oldestGlibc)
			}
		}
	}
}
