package nvidia

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// failInit makes the next Inits of a library fail; Success lets them work.
func (b *bench) failInit(r nvml.Return) {
	b.lib.Update(func() { b.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallInit: r} })
}

// TestNoDriver is the normal state of a machine without GPUs, and of one whose
// driver comes later.
func TestNoDriver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		r    nvml.Return
		file bool // the kernel module is loaded
		says string
	}{
		{"no library", nvml.ErrLibraryNotFound, false, "was not found"},
		{"no library for the driver", nvml.ErrLibraryNotFound, true, "install the library of the same version"},
		{"no driver", nvml.ErrDriverNotLoaded, false, "not loaded"},
		{"driver not ready", nvml.ErrUninitialized, true, "not initialised"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(nvmltest.T4(0)))
			if !tt.file {
				b.remove(moduleVersionPath)
			}
			b.failInit(tt.r)
			for range 3 {
				s := b.good()
				if len(s.devices) != 0 || len(s.notes) != 1 || !strings.Contains(s.notes[0].Text, tt.says) {
					t.Fatalf("devices %v, notes %v", s.ids(), s.notes)
				}
			}
			b.failInit(nvml.Success)
			b.write(moduleVersionPath, "580.95.05\n") // the module was loaded just now
			if s := b.good(); len(s.devices) != 1 || len(s.notes) != 0 {
				t.Errorf("with a driver: devices %v, notes %v", s.ids(), s.notes)
			}
		})
	}
}

// TestRetries bounds how often a driver that is not there is asked for: each
// time, the library runs a program that tries to load it.
func TestRetries(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New(nvmltest.T4(0))
	b := newBench(t, lib)
	b.remove(moduleVersionPath)
	b.remove(gpusPath)
	b.failInit(nvml.ErrDriverNotLoaded)
	synctest.Test(t, func(*testing.T) {
		for range 3600 {
			if _, err := b.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := lib.Counts()[nvml.CallInit]; n < 12 || n > 20 {
			t.Errorf("%d attempts in an hour", n)
		}
		b.failInit(nvml.Success)
		found := false
		for range int(lastRetry/time.Second) + 1 {
			inventory, err := b.Discover(t.Context())
			if found = err == nil && len(inventory.Probes) == 1; found {
				break
			}
			time.Sleep(time.Second)
		}
		if !found {
			t.Error("a driver without files on the host was never found")
		}
	})
}

// TestDriverGoes keeps the devices listed, with a fault, and finds them again.
func TestDriverGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, nvmltest.New(nvmltest.T4(0)))
	want := b.good().text(t) // one look is enough for them to be offered
	b.lib.Update(func() {
		b.lib.Errors = map[nvml.Call]nvml.Return{
			nvml.CallDeviceCount: nvml.ErrDriverNotLoaded, nvml.CallInit: nvml.ErrDriverNotLoaded,
		}
	})
	b.remove(moduleVersionPath)
	for range 3 {
		s := b.scan()
		fault, ok := errors.AsType[*core.Fault](s.err)
		if !ok || fault.Code != codeDriver || fault.Severity != core.Hard || !errors.Is(s.err, nvml.ErrDriverNotLoaded) {
			t.Fatalf("error %v", s.err)
		}
	}
	b.lib.Update(func() { b.lib.Errors = nil })
	b.write(moduleVersionPath, "580.82.07\n")
	if got := b.good().text(t); got != want {
		t.Errorf("after it came back:\n%s", got)
	}
}

// TestDriverReplaced ends the process: a library that is mapped stays so.
func TestDriverReplaced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		replace func(b *bench)
		scans   int // until it is noticed
	}{
		{"the module's version", func(b *bench) { b.write(moduleVersionPath, "590.10\n") }, 1},
		{"the driver's sentence", func(b *bench) {
			b.remove(moduleVersionPath)
			b.write(driverVersionPath, "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.10  Release Build\nGCC version: gcc 12.2.0\n")
		}, 1},
		{"a call of the library", func(b *bench) {
			b.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallDeviceCount: nvml.ErrVersionMismatch}
		}, 1},
		{"a call of a GPU", func(b *bench) { b.lib.GPUs[0].Fail(nvml.CallUUID, nvml.ErrVersionMismatch) }, 2},
		{"after it was gone", func(b *bench) {
			b.lib.Errors = map[nvml.Call]nvml.Return{nvml.CallDeviceCount: nvml.ErrDriverNotLoaded, nvml.CallInit: nvml.ErrVersionMismatch}
		}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(nvmltest.T4(0)))
			b.good()
			b.good()
			tt.replace(b)
			for range tt.scans - 1 {
				if s := b.scan(); s.err != nil && errors.Is(s.err, core.ErrRestart) {
					t.Fatalf("too early: %v", s.err)
				}
			}
			s := b.scan()
			if !errors.Is(s.err, core.ErrRestart) || strings.Contains(s.err.Error(), "\n") {
				t.Errorf("error %v, want one line that asks for a fresh process", s.err)
			}
		})
	}
	t.Run("the same version again", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, nvmltest.New(nvmltest.T4(0)))
		b.good()
		b.remove(moduleVersionPath) // unreadable for a moment
		b.good()
		b.write(moduleVersionPath, "580.82.07\n")
		b.good()
	})
}

// TestNeverFitted has a library that did not fit from the start, as after an
// update of packages without a reboot. A fresh process would map the same file
// again, so there is no hurry.
func TestNeverFitted(t *testing.T) {
	t.Parallel()
	b := newBench(t, nvmltest.New(nvmltest.T4(0)))
	b.failInit(nvml.ErrVersionMismatch)
	synctest.Test(t, func(*testing.T) {
		begun := time.Now()
		for {
			_, err := b.Discover(t.Context())
			if errors.Is(err, core.ErrRestart) {
				break
			}
			fault, ok := errors.AsType[*core.Fault](err)
			if !ok || !strings.Contains(fault.Remedy, "reboot") {
				t.Fatalf("error %v", err)
			}
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took < mismatchPatience || took > 2*mismatchPatience {
			t.Errorf("asked for a fresh process after %v", took)
		}
	})
	b = newBench(t, nvmltest.New(nvmltest.T4(0)))
	b.failInit(nvml.ErrVersionMismatch)
	b.scan()
	b.failInit(nvml.Success)
	b.write(moduleVersionPath, "590.10\n") // the matching module was loaded
	if s := b.good(); len(s.devices) != 1 {
		t.Errorf("devices %v", s.ids())
	}
}

func TestOtherLibrary(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New()
	lib.InitErr = nvml.ErrOtherLibrary
	if s := newBench(t, lib).scan(); !errors.Is(s.err, core.ErrRestart) {
		t.Errorf("error %v", s.err)
	}
}

func TestInitFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, nvmltest.New(nvmltest.T4(0)))
	b.failInit(nvml.ErrUnknown)
	if s := b.scan(); s.err == nil || !errors.Is(s.err, nvml.ErrUnknown) {
		t.Errorf("error %v", s.err)
	}
}

// TestVersionsLater reads versions that could not be read at first.
func TestVersionsLater(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New(nvmltest.T4(0))
	lib.Errors = map[nvml.Call]nvml.Return{nvml.CallDriverVersion: nvml.ErrUnknown}
	b := newBench(t, lib)
	if v := b.good().only(t).Attributes["driver_version"]; v.Kind() != core.KindUnknown {
		t.Errorf("driver_version = %v, want unknown", v)
	}
	lib.Update(func() { lib.Errors = nil })
	calls := b.calls(func() {
		if v := b.good().only(t).Attributes["driver_version"]; v != core.Version("580.82.07") {
			t.Errorf("driver_version = %v", v)
		}
	})
	if calls > 8 {
		t.Errorf("%d calls: the GPU was read anew", calls)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New(nvmltest.T4(0))
	b := newBench(t, lib)
	if err := b.Close(); err != nil || lib.Total() != 0 {
		t.Errorf("closing what was never opened: %v, calls %v", err, lib.Counts())
	}
	b.good()
	if err := b.Close(); err != nil || lib.Initialised() != 0 {
		t.Errorf("%v, still attached %d times", err, lib.Initialised())
	}
}

func TestNewTouchesNothing(t *testing.T) {
	t.Parallel()
	lib := nvmltest.New(nvmltest.T4(0))
	newBench(t, lib)
	if n := lib.Total(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestParseDriverVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc version 12.2.0\n": "535.129.03",
		"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.82.07  Release Build  (dvs@x)":                                  "580.82.07",
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.10":                                                                       "590.10",
		"NVRM version: none\nGCC version: gcc 12.2.0":                                                                                  "",
		"": "",
	} {
		if got := parseDriverVersion(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzParseDriverVersion(f *testing.F) {
	f.Add("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19")
	f.Fuzz(func(t *testing.T, text string) {
		got := parseDriverVersion(text)
		if got != "" && (!strings.Contains(text, got) || strings.ContainsAny(got, " \n") || !strings.Contains(got, ".")) {
			t.Errorf("%q: %q", text, got)
		}
	})
}
