package nvidia

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// machines are the machines of the goldens.
var machines = map[string]func() []*nvmltest.GPU{
	"h100": func() []*nvmltest.GPU { return []*nvmltest.GPU{nvmltest.H100(0), nvmltest.H100(1)} },
	"a100-mig": func() []*nvmltest.GPU {
		return []*nvmltest.GPU{nvmltest.SplitA100(0), nvmltest.A100(1)}
	},
	"t4":   func() []*nvmltest.GPU { return []*nvmltest.GPU{nvmltest.T4(0), nvmltest.T4(1)} },
	"gb10": func() []*nvmltest.GPU { return []*nvmltest.GPU{nvmltest.GB10()} },
}

func TestGoldenMachines(t *testing.T) {
	t.Parallel()
	for name, gpus := range machines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(gpus()...))
			got := b.good().text(t)
			golden := filepath.Join("testdata", "golden", name+".json")
			if pagetest.Update() {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("devices differ from %s (-want +got):\n%s", golden, diff)
			}
			if again := b.good().text(t); again != got {
				t.Errorf("the second look differs from the first:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

// TestCallsPerScan bounds what a scan costs. HashiCorp's plugin makes 16 calls
// for each whole GPU, and 17 for each MIG instance beside 4 and one for each
// empty slot.
func TestCallsPerScan(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		gpus          []*nvmltest.GPU
		first, steady int
	}{
		{"2 x H100", []*nvmltest.GPU{nvmltest.H100(0), nvmltest.H100(1)}, 2*31 + 4, 2*6 + 1},
		{"2 x T4", []*nvmltest.GPU{nvmltest.T4(0), nvmltest.T4(1)}, 2*33 + 4, 2*3 + 1},
		{"GB10", []*nvmltest.GPU{nvmltest.GB10()}, 35 + 4, 2 + 1},
		{"A100 with 2 instances", []*nvmltest.GPU{nvmltest.SplitA100(0)}, 50 + 4, 5 + 2*5 + 5 + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(tt.gpus...))
			first := b.calls(func() { b.good() })
			if first > tt.first {
				t.Errorf("the first scan made %d calls, want at most %d: %v", first, tt.first, b.lib.Counts())
			}
			for range 20 {
				if n := b.calls(func() { b.good() }); n > tt.steady {
					t.Fatalf("a later scan made %d calls, want at most %d: %v", n, tt.steady, b.lib.Counts())
				}
			}
		})
	}
}

// TestDiscoverAsksNoGPU is why one GPU that hangs cannot hide the others.
func TestDiscoverAsksNoGPU(t *testing.T) {
	t.Parallel()
	gpus := []*nvmltest.GPU{nvmltest.H100(0), nvmltest.H100(1)}
	b := newBench(t, nvmltest.New(gpus...))
	b.good()
	release := gpus[0].Hang(b.lib)
	defer release()
	if n := b.calls(func() {
		if _, err := b.Discover(t.Context()); err != nil {
			t.Error(err)
		}
	}); n != 1 {
		t.Errorf("Discover made %d calls, want 1 that counts", n)
	}
	devices, err := b.reader(gpus[1].PCI.Address())(t.Context())
	if err != nil || len(devices) != 1 {
		t.Errorf("the other GPU: %v, %v", devices, err)
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	gpus := []*nvmltest.GPU{nvmltest.H100(0), nvmltest.H100(1), nvmltest.SplitA100(3)}
	for _, tt := range []struct {
		name    string
		ids     []string
		ours    []string
		list    bool // the kernel's list of GPUs is there
		devices int
		unseen  int           // GPUs that are never asked at all
		free    *nvmltest.GPU // no further call may reach it
	}{
		{"by UUID", []string{gpus[0].UUID}, nil, true, 3, 0, gpus[0]},
		{"by UUID in capitals, without the list", []string{strings.ToUpper(gpus[0].UUID)}, nil, false, 3, 0, gpus[0]},
		{"by address", []string{gpus[1].PCI.Address()}, nil, true, 3, 1, gpus[1]},
		{"by NVML's form of the address", []string{"00000000:2C:00.0"}, nil, true, 3, 1, gpus[1]},
		{"by address under our name, without the list", nil, []string{" 2c:00.0"}, false, 3, 0, gpus[1]},
		{"an instance", []string{gpus[2].Slots[0].UUID}, nil, true, 3, 0, nil},
		{"all", []string{gpus[0].UUID, gpus[2].PCI.Address()}, []string{gpus[1].UUID}, true, 0, 1, gpus[2]},
		{"something else", []string{"GPU-does-not-exist"}, nil, true, 4, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(gpus...), func(c *Config) { c.IgnoredGPUIDs, c.IgnoredIDs = tt.ids, tt.ours })
			if !tt.list {
				b.remove(gpusPath)
			}
			b.good()
			if n := b.lib.Counts()[nvml.CallHandleByPCI]; tt.list && n != len(gpus)-tt.unseen {
				t.Errorf("%d handles were got", n)
			}
			if s := b.good(); len(s.devices) != tt.devices {
				t.Errorf("devices %v, want %d", s.ids(), tt.devices)
			}
			if tt.free == nil {
				return
			}
			release := tt.free.Hang(b.lib)
			defer release()
			done := make(chan struct{})
			go func() { defer close(done); b.scan() }()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("an ignored GPU was asked")
			}
		})
	}
}

func TestDisplayIsNotOffered(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.T4(0)
	gpu.Name = "NVIDIA DGX Display"
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	s := b.good()
	if len(s.devices) != 0 || len(s.notes) != 1 || s.notes[0].Subject != "GPU 0000:3b:00.0" {
		t.Errorf("devices %v, notes %v", s.ids(), s.notes)
	}
}

// TestLists compares the kernel's list of GPUs with the driver's count.
func TestLists(t *testing.T) {
	t.Parallel()
	t.Run("no list: a container, WSL", func(t *testing.T) {
		t.Parallel()
		gpu := nvmltest.T4(0)
		b := newBench(t, nvmltest.New(gpu))
		want := b.good().text(t)
		b = newBench(t, nvmltest.New(gpu))
		b.remove(gpusPath)
		if diff := cmp.Diff(want, b.good().text(t)); diff != "" {
			t.Errorf("by index (-by address +by index):\n%s", diff)
		}
	})
	t.Run("the list is shorter", func(t *testing.T) {
		t.Parallel()
		gpus := []*nvmltest.GPU{nvmltest.T4(0), nvmltest.T4(1)}
		b := newBench(t, nvmltest.New(gpus...))
		b.remove(gpusPath + "/" + gpus[0].PCI.Address())
		if s := b.good(); len(s.devices) != 2 {
			t.Errorf("devices %v", s.ids())
		}
	})
	t.Run("the list is longer: a container with one of the host's GPUs", func(t *testing.T) {
		t.Parallel()
		gpus := []*nvmltest.GPU{nvmltest.T4(0), nvmltest.T4(1)}
		b := newBench(t, nvmltest.New(gpus...))
		b.lib.GPUs = gpus[:1]
		b.good()
		s := b.good()
		if len(s.devices) != 1 || len(s.notes) != 1 || !strings.Contains(s.notes[0].Text, "does not offer it") {
			t.Errorf("devices %v, notes %v", s.ids(), s.notes)
		}
	})
	t.Run("a GPU goes and comes", func(t *testing.T) {
		t.Parallel()
		gpus := []*nvmltest.GPU{nvmltest.T4(0), nvmltest.T4(1)}
		b := newBench(t, nvmltest.New(gpus...))
		want := b.good().text(t)
		b.lib.Update(func() { b.lib.GPUs = gpus[1:] })
		s := b.scan()
		if d := s.devices[gpus[0].PCI.Address()+"?"]; len(s.devices) != 2 || !slices.Equal(codes(d.Faults), []string{"hard lost"}) {
			t.Errorf("gone from the library: %v, faults %v", s.ids(), codes(d.Faults))
		}
		b.remove(gpusPath + "/" + gpus[0].PCI.Address())
		if s := b.good(); len(s.devices) != 1 {
			t.Errorf("gone altogether: %v", s.ids())
		}
		b.write(gpusPath+"/"+gpus[0].PCI.Address()+"/information", "x")
		b.lib.Update(func() { b.lib.GPUs = gpus })
		if diff := cmp.Diff(want, b.good().text(t)); diff != "" {
			t.Errorf("back (-want +got):\n%s", diff)
		}
	})
	t.Run("another GPU at the same place", func(t *testing.T) {
		t.Parallel()
		gpu := nvmltest.T4(0)
		b := newBench(t, nvmltest.New(gpu))
		b.good()
		other := nvmltest.H100(5)
		other.PCI = gpu.PCI
		b.lib.Update(func() { *gpu = *other })
		if d := b.good().only(t); d.ID != other.UUID || d.Group.Name != other.Name || d.Attributes["memory"] != core.Int(81559, core.MiB) {
			t.Errorf("device %v", plain(d))
		}
	})
}

// TestSlowRead has a reading that was given up while it went on: what it leaves
// behind must be sound.
func TestSlowRead(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	b := newBench(t, nvmltest.New(gpu))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the deadline passed while the first calls were made
	if _, err := b.reader(gpu.PCI.Address())(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the time was over", err)
	}
	if d := b.good().only(t); len(d.Attributes) < 25 {
		t.Errorf("only %d attributes", len(d.Attributes))
	}
}

// TestChangesAreSeen changes what an operator can change.
func TestChangesAreSeen(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	b := newBench(t, nvmltest.New(gpu))
	b.good()
	b.lib.Update(func() { gpu.Persistence, gpu.PowerLimit, gpu.ComputeMode, gpu.ECC = false, 500_000, 3, false })
	for range 6 {
		b.good()
	}
	got := b.good().only(t).Attributes
	for name, want := range map[string]string{
		"persistence_mode": "Disabled", "power": "500 W", "compute_mode": "exclusive-process", "ecc_mode": "Disabled",
	} {
		if got[name].String() != want {
			t.Errorf("%s = %v, want %s", name, got[name], want)
		}
	}
	r, err := refOf(b.good().only(t))
	if err != nil || r.limit != core.Int(500, core.Watt) {
		t.Errorf("the limit beside the draw is %v", r.limit)
	}
}

// TestUnknownAndAbsent tells apart what failed and what is not there.
func TestUnknownAndAbsent(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	gpu.Fail(nvml.CallPowerLimit, nvml.ErrUnknown)
	gpu.Fail(nvml.CallBAR1, nvml.ErrNotSupported)
	b := newBench(t, nvmltest.New(gpu))
	for range 40 {
		d := b.good().only(t)
		if v := d.Attributes["power"]; v.Kind() != core.KindUnknown {
			t.Errorf("power = %v, want unknown", v)
		}
		if v, ok := d.Attributes["bar1"]; ok {
			t.Errorf("bar1 = %v, want none", v)
		}
	}
	if n := b.lib.Counts()[nvml.CallBAR1]; n != 1 {
		t.Errorf("asked %d times for what is not supported", n)
	}
	if n := b.lib.Counts()[nvml.CallPowerLimit]; n < patience+1 || n > 15 {
		t.Errorf("asked %d times for what fails, want it less often after a while", n)
	}
}

// TestFailingFactIsAskedAgain has a fact that failed too often to be asked each
// time, and that works later.
func TestFailingFactIsAskedAgain(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.H100(0)
	gpu.Fail(nvml.CallVBIOS, nvml.ErrUnknown)
	b := newBench(t, nvmltest.New(gpu))
	for range 2 * patience {
		b.good()
	}
	b.lib.Update(func() { gpu.Fail(nvml.CallVBIOS, nvml.Success) })
	for range 2 * len(facts) {
		if b.good().only(t).Attributes["vbios_version"].Known() {
			return
		}
	}
	t.Error("never asked again")
}
