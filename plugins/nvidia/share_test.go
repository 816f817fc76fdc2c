package nvidia

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

// sharedBy returns a change of the configuration that shares all GPUs.
func sharedBy(strategy string, change ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Share = []Share{{Share: config.Share{Replicas: 4}, Strategy: strategy}}
		for _, further := range change {
			further(c)
		}
	}
}

// daemon writes the files of an MPS daemon whose process is there.
func (b *bench) daemon() {
	b.write("/tmp/nvidia-mps/control", "")
	b.write("/tmp/nvidia-mps/nvidia-cuda-mps-control.pid", "4711\n")
	b.write("/proc/4711/comm", "nvidia-cuda-mps\n")
}

func TestShareable(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		gpu      *nvmltest.GPU
		mode     nvml.ComputeMode
		strategy string
		says     string // "" if it can be shared
	}{
		"a GPU":                             {nvmltest.H100(0), 0, strategyTimeSlicing, ""},
		"a GPU by MPS":                      {nvmltest.H100(0), 0, strategyMPS, ""},
		"one process at a time":             {nvmltest.H100(0), 3, strategyTimeSlicing, "nvidia-smi -c DEFAULT"},
		"one process at a time, the daemon": {nvmltest.H100(0), 3, strategyMPS, ""},
		"no process":                        {nvmltest.H100(0), 2, strategyMPS, "lets no process compute"},
		"MIG instances":                     {nvmltest.SplitA100(0), 0, strategyTimeSlicing, ""},
		"MIG instances by MPS":              {nvmltest.SplitA100(0), 0, strategyMPS, "MIG instance"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.gpu.ComputeMode = test.mode
			b := newBench(t, nvmltest.New(test.gpu), sharedBy(test.strategy))
			b.daemon()
			for id, d := range b.good().devices {
				err := b.Shareable(d)
				if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
					t.Errorf("%s: error %v, want one that says %q", id, err, test.says)
				}
			}
		})
	}
}

func TestGrantShare(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Config)
		share  core.Share
		env    map[string]string
		memory []string
		mounts []core.Mount
	}{
		"time-slicing": {
			change: sharedBy(strategyTimeSlicing), share: core.Share{Replicas: 4, Held: 1}, env: map[string]string{},
		},
		"mps": {
			change: sharedBy(strategyMPS), share: core.Share{Replicas: 4, Held: 1, Place: 1},
			env:    map[string]string{envMPSPipe: "/tmp/nvidia-mps", envMPSThreads: "25"},
			memory: []string{"1=20389M"},
			mounts: []core.Mount{
				{HostPath: "/tmp/nvidia-mps", TaskPath: "/tmp/nvidia-mps", Writable: true},
				{HostPath: "/dev/shm", TaskPath: "/dev/shm", Writable: true},
			},
		},
		"mps, two of three": {
			change: sharedBy(strategyMPS, func(c *Config) { c.MPS.Mounts = false }), share: core.Share{Replicas: 3, Held: 2},
			env:    map[string]string{envMPSPipe: "/tmp/nvidia-mps", envMPSThreads: "66"},
			memory: []string{"0=54372M"},
		},
		"mps without limits": {
			change: sharedBy(strategyMPS, func(c *Config) {
				c.MPS.LimitMemory, c.MPS.LimitThreads, c.MPS.ShmDirectory = false, false, "/run/mps/shm"
			}),
			share: core.Share{Replicas: 128, Held: 1},
			env:   map[string]string{envMPSPipe: "/tmp/nvidia-mps"},
			mounts: []core.Mount{
				{HostPath: "/tmp/nvidia-mps", TaskPath: "/tmp/nvidia-mps", Writable: true},
				{HostPath: "/run/mps/shm", TaskPath: "/dev/shm", Writable: true},
			},
		},
		"mps, many parts": {
			change: sharedBy(strategyMPS, func(c *Config) { c.MPS.LimitMemory, c.MPS.Mounts = false, false }),
			share:  core.Share{Replicas: 128, Held: 1},
			env:    map[string]string{envMPSPipe: "/tmp/nvidia-mps", envMPSThreads: "1"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nvmltest.New(nvmltest.H100(0)), test.change)
			b.daemon()
			d := b.good().only(t)
			whole, err := b.Grant(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.GrantShare(t.Context(), d, test.share)
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(whole.Env, test.env)
			if test.memory != nil {
				whole.Lists[envMPSMemory] = test.memory
			}
			whole.Mounts = test.mounts
			if diff := cmp.Diff(whole, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Without its daemon a GPU that is shared by MPS is unhealthy and not handed out,
// and with it it is well again.
func TestMPSDaemon(t *testing.T) {
	t.Parallel()
	b := newBench(t, nvmltest.New(nvmltest.H100(0)), sharedBy(strategyMPS, func(c *Config) {
		c.MPS.PipeDirectory = "/run/mps"
	}))
	expect := func(state, says string) {
		t.Helper()
		d := b.scan().only(t)
		_, err := b.GrantShare(t.Context(), d, core.Share{Replicas: 4, Held: 1})
		if says == "" {
			if len(d.Faults) > 0 || err != nil {
				t.Errorf("%s: faults %v, grant: %v", state, d.Faults, err)
			}
			return
		}
		i := slices.IndexFunc(d.Faults, func(f core.Fault) bool { return f.Code == codeMPS })
		if i < 0 || d.Faults[i].Severity != core.Hard || !strings.Contains(d.Faults[i].Reason, says) || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: faults %v, grant: %v; want them to say %q", state, d.Faults, err, says)
		}
	}
	expect("never started", "does not run, or has another CUDA_MPS_PIPE_DIRECTORY")
	b.write("/run/mps/control", "")
	b.write("/run/mps/nvidia-cuda-mps-control.pid", "4711\n")
	b.write("/proc/4711/comm", "nvidia-cuda-mps\n")
	expect("running", "")
	b.write("/proc/4711/comm", "bash\n")
	expect("another process has its number", "has ended and left its files")
	b.remove("/proc/4711")
	expect("ended", "has ended and left its files")
	for _, garbage := range []string{"", "-1", "99999999999", "\x00\xff", strings.Repeat("9", 1<<16)} {
		b.write("/run/mps/nvidia-cuda-mps-control.pid", garbage)
		expect(fmt.Sprintf("a number like %.8q", garbage), "has ended")
	}
	// In a container the daemon's process has another number than on the host.
	b.remove("/run/mps/control")
	l, err := net.Listen("unix", filepath.Join(b.root, "run/mps/control"))
	if err != nil {
		t.Fatal(err)
	}
	expect("listening from a container", "")
	_ = l.Close()
	expect("stopped", "does not run")
}

// A GPU that is not shared by MPS does not ask for the daemon.
func TestNoDaemonNoFault(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"not shared":    func(*Config) {},
		"time-slicing":  sharedBy(strategyTimeSlicing),
		"another model": sharedBy(strategyMPS, func(c *Config) { c.Share[0].Devices = []string{"NVIDIA A10"} }),
	} {
		b := newBench(t, nvmltest.New(nvmltest.H100(0)), change)
		if d := b.good().only(t); len(d.Faults) > 0 {
			t.Errorf("%s: %v", name, d.Faults)
		}
	}
}
