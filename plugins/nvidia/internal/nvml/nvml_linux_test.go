//go:build linux && cgo

package nvml

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoLibrary asks for libraries that cannot be used. None of them may be
// called into.
func TestNoLibrary(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.so")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{
		"/does/not/exist/libnvidia-ml.so.1": "/does/not/exist",
		empty:                               "empty.so",
		"libc.so.6":                         "libc.so.6 is not an NVIDIA management library",
	} {
		lib := New(file)
		err := lib.Init()
		if !errors.Is(err, ErrLibraryNotFound) || ClassOf(err) != ClassNotLoaded || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", file, err)
		}
		for _, c := range Calls() {
			if lib.Has(c) {
				t.Errorf("%s: has %v", file, c)
			}
		}
		if _, err := lib.DeviceCount(); !errors.Is(err, ErrFunctionNotFound) {
			t.Errorf("%s: a call before Init: %v", file, err)
		}
		if _, err := lib.DeviceByIndex(0); !errors.Is(err, ErrFunctionNotFound) {
			t.Errorf("%s: a handle before Init: %v", file, err)
		}
		if err := lib.Shutdown(); err != nil {
			t.Errorf("%s: Shutdown: %v", file, err)
		}
	}
}

// TestLazyBinding looks at the program that go-nvml is linked into: bound at
// start, it would die of the first symbol that no library has.
func TestLazyBinding(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it was only read
	const now1 = 0x1   // DF_1_NOW
	for tag, bit := range map[elf.DynTag]uint64{elf.DT_FLAGS: uint64(elf.DF_BIND_NOW), elf.DT_FLAGS_1: now1} {
		values, err := file.DynValue(tag)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if v&bit != 0 {
				t.Errorf("%v = %#x binds at start; build with -ldflags '-extldflags=-Wl,-z,lazy'", tag, v)
			}
		}
	}
	if values, err := file.DynValue(elf.DT_BIND_NOW); err != nil || len(values) > 0 {
		t.Errorf("DT_BIND_NOW is set (%v)", err)
	}
}
