package amd

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nodesOf gives what matters of the GPU nodes: gpu_id, render minor, part, CUs,
// dies, memory.
func (h host) nodesOf() []string {
	h.t.Helper()
	var all []string
	for _, dir := range h.gpuNodes() {
		p := h.properties(dir + "/properties")
		bank := h.properties(dir + "/mem_banks/0/properties")
		all = append(all, fmt.Sprintf("%s minor %d part %d: %d CUs, %d dies, %d MiB", h.text(dir+"/gpu_id"), p["drm_render_minor"],
			p["location_id"]>>28, p["simd_count"]/p["simd_per_cu"], p["num_xcc"], bank["size_in_bytes"]>>20))
	}
	return all
}

func TestPartition(t *testing.T) {
	t.Parallel()
	m := start(t, "8xmi300x", nil)
	h := hostOf(t, m)
	whole := h.nodesOf()
	dev := h.list("/dev/dri")
	if !strings.Contains(whole[1], "minor 136 part 0: 304 CUs, 8 dies, 196592 MiB") {
		t.Errorf("the whole GPU: %s", whole[1])
	}
	check(t, m.Partition(1, "cpx", "nps4"))
	divided := h.nodesOf()
	if len(divided) != 15 {
		t.Fatalf("%d GPU nodes with one GPU in CPX, want 15", len(divided))
	}
	for k, line := range divided[1:9] {
		if want := fmt.Sprintf("minor %d part %d: 38 CUs, 1 dies, 24574 MiB", 136+k, k); !strings.HasSuffix(line, want) {
			t.Errorf("partition %d: %s, want %s", k, line, want)
		}
		if id, _, _ := strings.Cut(line, " "); strings.HasPrefix(whole[1], id+" ") {
			t.Errorf("partition %d has the gpu_id of the whole GPU", k)
		}
	}
	if diff := cmp.Diff(append(whole[:1:1], whole[2:]...), append(divided[:1:1], divided[9:]...)); diff != "" {
		t.Errorf("nodes of the other GPUs (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(dev, h.list("/dev/dri")); diff != "" {
		t.Errorf("DRM devices, which are there for all partitions (-before +after):\n%s", diff)
	}
	if got := h.text(device("0000:2b:00.0", "current_compute_partition")) + " " + h.text(device("0000:2b:00.0", "current_memory_partition")); got != "CPX NPS4" {
		t.Errorf("current modes %s", got)
	}
	cards, err := m.Cards()
	check(t, err)
	if got := cards[1].Devices; len(got) != 8 || got[3] != "GPU-e3a94b17c02d5f86/cpx3" {
		t.Errorf("devices %v", got)
	}
	for _, name := range []string{"1", "0000:2b:00.0", "GPU-e3a94b17c02d5f86", "GPU-e3a94b17c02d5f86/cpx7", "e3a94b17c02d5f86"} {
		if n, err := m.Find(name); n != 1 || err != nil {
			t.Errorf("Find(%s) = %d, %v", name, n, err)
		}
	}
	if got := h.text(generationFile); got != "3" {
		t.Errorf("generation %s, want 3", got)
	}
	check(t, m.Partition(1, "SPX", "NPS1"))
	if diff := cmp.Diff(whole, h.nodesOf()); diff != "" {
		t.Errorf("nodes of the GPU that is whole again (-before +after):\n%s", diff)
	}
	if got := h.text(generationFile); got != "4" {
		t.Errorf("generation %s, want 4", got)
	}
	check(t, m.Set("gpu.0.temperature", "60"))
	if got := h.text(generationFile); got != "4" {
		t.Errorf("generation %s after a temperature, want 4", got)
	}
}

func TestPartitionRefuses(t *testing.T) {
	t.Parallel()
	m := start(t, "mixed-instinct", nil)
	for _, tt := range []struct {
		gpu                   int
		compute, memory, want string
	}{
		{3, "CPX", "", "cannot be divided"},
		{0, "TPX", "", "use one of SPX, DPX, QPX, CPX"},
		{0, "CPX", "NPS8", "use one of NPS1, NPS4"},
		{0, "DPX", "NPS4", "too few"},
		{9, "CPX", "", "no GPU 9"},
	} {
		if err := m.Partition(tt.gpu, tt.compute, tt.memory); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Partition(%d, %s, %s): %v, want an error with %q", tt.gpu, tt.compute, tt.memory, err, tt.want)
		}
	}
	check(t, m.Partition(0, "QPX", ""))
	if got := len(hostOf(t, m).gpuNodes()); got != 15 {
		t.Errorf("%d nodes, want 4 + 1 + 8 + 2", got)
	}
}

// TestNumberingOfParts looks at the other forms in which drivers number parts.
func TestNumberingOfParts(t *testing.T) {
	t.Parallel()
	m := start(t, "mi300x-cpx", map[string]string{"kfd.partition_bits": "low", "kfd.unique_ids": "own"})
	h := hostOf(t, m)
	unique := map[uint64]bool{}
	for k, dir := range h.gpuNodes() {
		p := h.properties(dir + "/properties")
		if want := uint64(0x0a00 + k); p["location_id"] != want {
			t.Errorf("location of part %d is %#x, want %#x", k, p["location_id"], want)
		}
		unique[p["unique_id"]] = true
	}
	if len(unique) != 8 {
		t.Errorf("%d unique ids, want 8", len(unique))
	}
	// An old kernel has 64 render nodes: what gets none is no partition.
	check(t, m.Set("drm.render", "185"))
	if got := len(h.gpuNodes()); got != 7 {
		t.Errorf("%d nodes with 7 render minors left", got)
	}
	if !h.exists("/dev/dri/renderD191") || h.exists("/dev/dri/renderD192") {
		t.Error("the render nodes do not end with renderD191")
	}
}

// TestLinks looks at how GPUs are joined: those of one hive by XGMI, all of them
// with the CPU of their NUMA node.
func TestLinks(t *testing.T) {
	t.Parallel()
	h := hostOf(t, start(t, "4xmi210", nil))
	var got []string
	for i, dir := range h.gpuNodes() {
		for _, link := range h.list(dir + "/io_links") {
			p := h.properties(dir + "/io_links/" + link + "/properties")
			got = append(got, fmt.Sprintf("GPU %d to node %d: type %d, weight %d, %d MB/s", i, p["node_to"], p["type"], p["weight"], p["max_bandwidth"]))
		}
	}
	want := []string{ // nodes 0 and 1 are the CPUs
		"GPU 0 to node 0: type 2, weight 20, 32000 MB/s", "GPU 0 to node 3: type 11, weight 15, 64000 MB/s",
		"GPU 1 to node 0: type 2, weight 20, 32000 MB/s", "GPU 1 to node 2: type 11, weight 15, 64000 MB/s",
		"GPU 2 to node 1: type 2, weight 20, 32000 MB/s", "GPU 2 to node 5: type 11, weight 15, 64000 MB/s",
		"GPU 3 to node 1: type 2, weight 20, 32000 MB/s", "GPU 3 to node 4: type 11, weight 15, 64000 MB/s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if got := h.properties(topologyDir + "/nodes/0/properties")["io_links_count"]; got != 3 {
		t.Errorf("the CPU has %d links, want two GPUs and the other CPU", got)
	}
}

// TestManyEditors lets several programs change one machine: what stands at the
// end is the tree of the scenario at the end.
func TestManyEditors(t *testing.T) {
	t.Parallel()
	m := start(t, "mixed-instinct", nil)
	before := snapshot(t, m)
	var wg sync.WaitGroup
	for gpu := range 5 {
		wg.Go(func() {
			mine, err := Open(m.Dir())
			if err != nil {
				t.Error(err)
				return
			}
			for _, fault := range []string{"ecc-ue", "gone"} {
				if err := mine.Break(gpu, fault); err != nil {
					t.Error(err)
				}
				if gpu == 0 {
					if err := mine.Partition(gpu, "CPX", "NPS4"); err != nil {
						t.Error(err)
					}
					if err := mine.Partition(gpu, "SPX", "NPS1"); err != nil {
						t.Error(err)
					}
				}
				if err := mine.Repair(gpu); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	after := snapshot(t, m)
	delete(before, generationFile)
	delete(after, generationFile)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after all were repaired (-before +after):\n%s", diff)
	}
}
