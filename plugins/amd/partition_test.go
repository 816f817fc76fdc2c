package amd

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

// TestModes has a GPU in CPX/NPS4 whose files say something else, at first sight and
// later. What KFD shows is what counts.
func TestModes(t *testing.T) {
	t.Parallel()
	const model = "amd/gpu-partition/AMD Instinct MI300X "
	at := cpx.address
	var ids []string
	for k := range 8 {
		ids = append(ids, fmt.Sprintf("GPU-71c0a1d2e3f40501/cpx%d", k))
	}
	set := func(compute, memory string) func(b *bench) {
		return func(b *bench) {
			b.set(at, "current_compute_partition", compute)
			b.set(at, "current_memory_partition", memory)
		}
	}
	fail := func(err error) func(b *bench) {
		return func(b *bench) {
			for _, name := range []string{"current_compute_partition", "current_memory_partition", "available_compute_partition"} {
				b.fail(at, name, err)
			}
		}
	}
	for _, tt := range []struct {
		name         string
		change       func(b *bench)
		first, later string // the modes in the group's name
	}{
		{"well", func(*bench) {}, "CPX-NPS4", "CPX-NPS4"},
		{"between two modes", set("UNKNOWN\n", "UNKNOWN\n"), "CPX", "CPX-NPS4"},
		{"garbage", set("\xff\xff", "4"), "CPX", "CPX-NPS4"},
		{"empty", set("", ""), "CPX", "CPX-NPS4"},
		{"in a reset", fail(syscall.EPERM), "CPX", "CPX-NPS4"},
		{"in a reset, by newer kernels", fail(syscall.EBUSY), "CPX", "CPX-NPS4"},
		{"lower case", set("cpx", "nps4\n"), "CPX-NPS4", "CPX-NPS4"},
		{"the file says SPX", set("SPX\n", "NPS4\n"), "CPX-NPS4", "CPX-NPS4"},
		{"the file says QPX", set("QPX\n", "NPS4\n"), "CPX-NPS4", "CPX-NPS4"},
		{"no files", fail(syscall.ENOENT), "CPX", "CPX-NPS4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, machine(cpx))
			tt.change(b)
			if diff := cmp.Diff(map[string][]string{model + tt.first: ids}, groupsOf(b.good())); diff != "" {
				t.Errorf("at first sight: -want +got:\n%s", diff)
			}
			b = newBench(t, machine(cpx))
			b.good()
			tt.change(b)
			if diff := cmp.Diff(map[string][]string{model + tt.later: ids}, groupsOf(b.good())); diff != "" {
				t.Errorf("later: -want +got:\n%s", diff)
			}
		})
	}
	t.Run("the file says CPX and KFD shows the whole", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, machine(spx))
		b.set(spx.address, "current_compute_partition", "CPX\n")
		if diff := cmp.Diff(map[string][]string{"amd/gpu/AMD Instinct MI300X": {"GPU-71c0a1d2e3f40500"}}, groupsOf(b.good())); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// divide puts a GPU into other modes as the driver does: KFD's nodes come anew, with
// other numbers.
func (b *bench) divide(g gpu) {
	b.t.Helper()
	other := newBench(b.t, machine(g))
	b.remove("/sys/devices/virtual/kfd/kfd/topology/nodes")
	for node := range 16 {
		for _, name := range []string{"properties", "gpu_id", "mem_banks/0/properties"} {
			path := fmt.Sprintf("/sys/devices/virtual/kfd/kfd/topology/nodes/%d/%s", node, name)
			if text, err := other.host.Read(path); err == nil {
				b.write(path, string(text))
			}
		}
	}
	b.set(g.address, "current_compute_partition", g.compute+"\n")
	b.set(g.address, "current_memory_partition", g.memory+"\n")
}

// TestDivide changes the modes of a GPU while the plugin runs.
func TestDivide(t *testing.T) {
	t.Parallel()
	whole, parts := cpx, cpx
	whole.compute, whole.memory, whole.parts = modeSPX, "NPS1", nil
	b := newBench(t, machine(whole))
	first := b.good()
	before := first.only(t)
	text := b.text(before)
	if before.Ref.(*ref).part != -1 {
		t.Fatal("it is not whole")
	}
	b.divide(parts)
	second := b.good()
	if len(second.devices) != 8 {
		t.Fatalf("divided: %v", second.ids())
	}
	if _, err := b.Grant(t.Context(), before); err == nil || !strings.Contains(err.Error(), "partitions were changed") {
		t.Errorf("the whole GPU after that: %v", err)
	}
	part := second.devices["GPU-71c0a1d2e3f40501/cpx5"]
	if g, err := b.Grant(t.Context(), part); err != nil || g.Nodes[1].Path != "/dev/dri/renderD133" {
		t.Errorf("a partition: %+v, %v", g, err)
	}
	quarters := cpx
	quarters.compute, quarters.parts = modeQPX, []int{0, 1, 2, 3}
	b.divide(quarters)
	if _, err := b.Grant(t.Context(), part); err == nil || !strings.Contains(err.Error(), "partitions were changed") {
		t.Errorf("a partition of another mode: %v", err)
	}
	if _, err := b.Grant(t.Context(), second.devices["GPU-71c0a1d2e3f40501/cpx1"]); err == nil {
		t.Error("a partition of another mode with the same number was granted")
	}
	if ids := b.good().ids(); len(ids) != 4 || ids[0] != "GPU-71c0a1d2e3f40501/qpx0" {
		t.Errorf("divided otherwise: %v", ids)
	}
	b.divide(whole)
	if diff := cmp.Diff(text, b.text(b.good().only(t))); diff != "" {
		t.Errorf("whole again: -want +got:\n%s", diff)
	}
}

// TestMissingPartition has partitions that cannot be read for once, and one that is
// gone: the others keep their numbers.
func TestMissingPartition(t *testing.T) {
	t.Parallel()
	for _, g := range []gpu{cpx, {model: mi300x, address: cpx.address, uid: cpx.uid, compute: modeCPX, memory: "NPS4", parts: all8, lowBits: true}} {
		b := newBench(t, machine(g))
		want := b.texts(b.good())
		node := "/sys/class/kfd/kfd/topology/nodes/4/properties" // partition 3
		b.faults.Set(node, syscall.EIO)
		s := b.scan()
		if s.errs[g.address] == nil || len(s.devices) != 7 {
			t.Errorf("unreadable: %v, %v", s.ids(), s.errs)
		}
		for id, d := range s.devices {
			now := b.text(d)
			for line := range strings.Lines(now) {
				if !strings.Contains(want[id], line) && line != "  partitions = unknown\n" {
					t.Errorf("%s: %s", id, line)
				}
			}
		}
		b.faults.Set(node, syscall.ENOENT)
		if s := b.good(); len(s.devices) != 7 || s.devices["GPU-71c0a1d2e3f40501/cpx3"].ID != "" {
			t.Errorf("gone: %v", s.ids())
		}
		b.faults.Set(node, nil)
		if diff := cmp.Diff(want, b.texts(b.good())); diff != "" {
			t.Errorf("back: -want +got:\n%s", diff)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	nodes := func(locations ...uint32) (nodes []kfd.Node) {
		for _, l := range locations {
			nodes = append(nodes, kfd.Node{Location: l})
		}
		return nodes
	}
	for _, tt := range []struct {
		name    string
		mode    string
		nodes   []kfd.Node
		want    []int
		certain bool
	}{
		{"high bits", modeDPX, nodes(0x500, 0x10000500), []int{0, 1}, true},
		{"low bits", modeQPX, nodes(0x500, 0x501, 0x502, 0x503), []int{0, 1, 2, 3}, true},
		{"one is missing", modeQPX, nodes(0x500, 0x503), []int{0, 3}, true},
		{"none at all", modeQPX, nodes(0x500, 0x500, 0x500), []int{0, 1, 2}, false},
		{"a virtual function's own number", modeDPX, nodes(0x503, 0x503), []int{0, 1}, false},
		{"more than there can be", modeDPX, nodes(0x502, 0x503), []int{0, 1}, false},
	} {
		got, certain := numbers(tt.mode, tt.nodes)
		if !slices.Equal(got, tt.want) || certain != tt.certain {
			t.Errorf("%s: %v, %v", tt.name, got, certain)
		}
	}
}

// TestUncertainNumbers has an unreadable partition where only the order tells which is
// which: nothing is said about any, rather than something wrong.
func TestUncertainNumbers(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(cpx))
	for node := 1; node <= 8; node++ {
		b.properties(node, "location_id", "5376") // 0x1500
	}
	if s := b.good(); len(s.devices) != 8 {
		t.Fatalf("%v", s.ids())
	}
	b.faults.Set("/sys/class/kfd/kfd/topology/nodes/4/properties", syscall.EIO)
	if s := b.scan(); len(s.devices) != 0 || s.errs[cpx.address] == nil {
		t.Errorf("%v, %v", s.ids(), s.errs)
	}
}
