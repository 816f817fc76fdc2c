package amd

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
)

func rw(paths ...string) []core.Node {
	var nodes []core.Node
	for _, p := range paths {
		nodes = append(nodes, core.Node{Path: p, Permissions: "rw"})
	}
	return nodes
}

func TestGrant(t *testing.T) {
	t.Parallel()
	noUID := radeon
	noUID.uid = 0
	twin := server
	twin.address = "0000:c2:00.0"
	gpuEnv := map[string]string{"AMD_GPU_GPU_9E3779B97F4A7C15": "/dev/dri/renderD128"}
	list := func(key string, values ...string) map[string][]string { return map[string][]string{key: values} }
	for _, tt := range []struct {
		name   string
		gpus   []gpu
		change func(*Config)
		id     string
		want   core.Grant
	}{
		{
			"by default",
			[]gpu{server},
			nil, "GPU-9e3779b97f4a7c15",
			core.Grant{Env: gpuEnv, Lists: list(envROCR, "GPU-9e3779b97f4a7c15"), Nodes: rw("/dev/kfd", "/dev/dri/renderD128")},
		},
		{
			"with the card node",
			[]gpu{server},
			func(c *Config) { c.CardNode = true }, "GPU-9e3779b97f4a7c15",
			core.Grant{Env: gpuEnv, Lists: list(envROCR, "GPU-9e3779b97f4a7c15"), Nodes: rw("/dev/kfd", "/dev/dri/renderD128", "/dev/dri/card1")},
		},
		{
			"by index",
			[]gpu{radeon, server},
			func(c *Config) { c.ROCRVisibleDevices = visibleIndex }, "GPU-9e3779b97f4a7c15",
			core.Grant{
				Env:   map[string]string{"AMD_GPU_GPU_9E3779B97F4A7C15": "/dev/dri/renderD129"},
				Lists: list(envROCR, "1"), Nodes: rw("/dev/kfd", "/dev/dri/renderD129"),
			},
		},
		{
			"without the variable",
			[]gpu{server},
			func(c *Config) { c.ROCRVisibleDevices = visibleNone }, "GPU-9e3779b97f4a7c15",
			core.Grant{Env: gpuEnv, Nodes: rw("/dev/kfd", "/dev/dri/renderD128")},
		},
		{
			"the runtime",
			[]gpu{server},
			func(c *Config) { c.Access = accessRuntime }, "GPU-9e3779b97f4a7c15",
			core.Grant{Lists: list(envRuntime, "0x9e3779b97f4a7c15")},
		},
		{
			"a partition",
			[]gpu{cpx},
			func(c *Config) { c.CardNode = true }, "GPU-71c0a1d2e3f40501/cpx7",
			core.Grant{
				Env:   map[string]string{"AMD_GPU_GPU_71C0A1D2E3F40501_CPX7": "/dev/dri/renderD135"},
				Nodes: rw("/dev/kfd", "/dev/dri/renderD135", "/dev/dri/card8"), // all partitions show one unique ID: a token would mean eight
			},
		},
		{
			"a partition by index",
			[]gpu{server, cpx},
			func(c *Config) { c.ROCRVisibleDevices = visibleIndex }, "GPU-71c0a1d2e3f40501/cpx7",
			core.Grant{
				Env:   map[string]string{"AMD_GPU_GPU_71C0A1D2E3F40501_CPX7": "/dev/dri/renderD136"},
				Lists: list(envROCR, "8"), Nodes: rw("/dev/kfd", "/dev/dri/renderD136"),
			},
		},
		{
			"a whole GPU beside a divided one of its model",
			[]gpu{cpx, spx},
			nil, "GPU-71c0a1d2e3f40500",
			core.Grant{
				Env:   map[string]string{"AMD_GPU_GPU_71C0A1D2E3F40500": "/dev/dri/renderD136"},
				Lists: list(envROCR, "GPU-71c0a1d2e3f40500"), Nodes: rw("/dev/kfd", "/dev/dri/renderD136"),
			},
		},
		{
			"without a unique ID",
			[]gpu{noUID, server},
			nil, "PCI-0000:03:00.0",
			core.Grant{Env: map[string]string{"AMD_GPU_PCI_0000_03_00_0": "/dev/dri/renderD128"}, Nodes: rw("/dev/kfd", "/dev/dri/renderD128")},
		},
		{
			"with another one's unique ID",
			[]gpu{server, twin},
			nil, "PCI-0000:c1:00.0",
			core.Grant{Env: map[string]string{"AMD_GPU_PCI_0000_C1_00_0": "/dev/dri/renderD128"}, Nodes: rw("/dev/kfd", "/dev/dri/renderD128")},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			b := newBench(t, machine(tt.gpus...), change...)
			d, ok := b.good().devices[tt.id]
			if !ok {
				t.Fatal("there is no such device")
			}
			got, err := b.Grant(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestGrantErrors(t *testing.T) {
	t.Parallel()
	runtime := func(c *Config) { c.Access = accessRuntime }
	card := func(c *Config) { c.CardNode = true }
	noUID, plain, twin := radeon, radeon, server
	noUID.uid, plain.noKFD, twin.address = 0, true, "0000:c2:00.0"
	for _, tt := range []struct {
		name   string
		gpus   []gpu
		change func(*Config)
		id     string
		happen func(b *bench) // between the scan and the grant
		says   string
	}{
		{"the runtime and a partition", []gpu{cpx}, runtime, "GPU-71c0a1d2e3f40501/cpx0", nil, "all partitions"},
		{"the runtime and no unique ID", []gpu{noUID}, runtime, "PCI-0000:03:00.0", nil, `access = "devices"`},
		{"the runtime and another one's unique ID", []gpu{server, twin}, runtime, "PCI-0000:c1:00.0", nil, "to itself"},
		{"no card node", []gpu{server}, card, "GPU-9e3779b97f4a7c15", func(b *bench) {
			dir, _ := b.host.Resolve("/sys/bus/pci/devices/0000:c1:00.0")
			b.remove(dir + "/drm/card1")
		}, "card_node = true"},
		{"no DRM class", []gpu{server}, card, "GPU-9e3779b97f4a7c15", func(b *bench) { b.remove("/sys/class/drm") }, "card node of /dev/dri/renderD128"},
		{"the node is gone", []gpu{server}, nil, "GPU-9e3779b97f4a7c15", func(b *bench) { b.remove("/sys/devices/virtual/kfd/kfd/topology/nodes/1") }, "no node in KFD's topology"},
		{"the node cannot be read", []gpu{server}, nil, "GPU-9e3779b97f4a7c15", func(b *bench) {
			b.faults.Set("/sys/class/kfd/kfd/topology/nodes/1/properties", syscall.EPERM)
		}, "device cgroup"},
		{"nothing can be read", []gpu{server}, nil, "GPU-9e3779b97f4a7c15", func(b *bench) {
			b.faults.Set("/sys/class/kfd/kfd/topology/nodes", syscall.EIO)
		}, "input/output error"},
		{"no render node", []gpu{plain}, func(c *Config) { c.RequireCompute = false }, "GPU-1122334455667788", func(b *bench) {
			b.fail(radeon.address, "drm", syscall.ENOENT)
		}, "no DRM devices"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var change []func(*Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			b := newBench(t, machine(tt.gpus...), change...)
			d, ok := b.good().devices[tt.id]
			if !ok {
				t.Fatal("there is no such device")
			}
			if tt.happen != nil {
				tt.happen(b)
			}
			if g, err := b.Grant(t.Context(), d); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%+v, error %v, want one that says %q", g, err, tt.says)
			}
		})
	}
	b := newBench(t, machine(server))
	if _, err := b.Grant(t.Context(), core.Device{ID: "GPU-x"}); err == nil || !strings.Contains(err.Error(), "GPU-x") {
		t.Errorf("a device that was never read: %v", err)
	}
}

// TestGrantAfterAReload has a driver that was reloaded since the scan: minors and
// numbers of nodes are others. The grant is of now.
func TestGrantAfterAReload(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(server))
	d := b.good().only(t)
	b.faults.Set("/sys/class/kfd/kfd/topology/nodes/1/mem_banks/0/properties", syscall.EIO)
	if _, err := b.Grant(t.Context(), d); err != nil {
		t.Errorf("its memory cannot be read: %v", err)
	}
	later := newBench(t, machine(radeon, server)) // has node 2 and renderD129
	for _, path := range []string{"/sys/devices/virtual/kfd/kfd/topology/nodes", "/sys/class/drm"} {
		b.remove(path)
	}
	for _, name := range []string{"properties", "gpu_id", "mem_banks/0/properties"} {
		path := "/sys/devices/virtual/kfd/kfd/topology/nodes/2/" + name
		text, err := later.host.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		b.write(path, string(text))
	}
	g, err := b.Grant(t.Context(), d)
	if diff := cmp.Diff(rw("/dev/kfd", "/dev/dri/renderD129"), g.Nodes); diff != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
}

func TestAccessNotes(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(server))
	b.good()
	notes := b.good().notes
	if len(notes) != 1 || notes[0].Subject != kfdNode || !strings.Contains(notes[0].Text, "udev") {
		t.Errorf("notes %v", notes)
	}
	chmod(t, b, kfdNode, 0o666)
	if notes := b.good().notes; len(notes) != 0 {
		t.Errorf("open to everybody: %v", notes)
	}
}

func TestIdentifier(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"GPU-3a68248a3b6d0598/cpx3": "GPU_3A68248A3B6D0598_CPX3", "PCI-0000:c4:00.0": "PCI_0000_C4_00_0", "${evil}=\n": "__EVIL___",
	} {
		if got := identifier(id); got != want {
			t.Errorf("identifier(%q) = %q, want %q", id, got, want)
		}
	}
}
