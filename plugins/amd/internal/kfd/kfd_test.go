package kfd

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

// nodes is where the files are, nodesPath the link that leads there.
const nodes = "/sys/devices/virtual/kfd/kfd/topology/nodes"

// machine has a CPU, a divided MI300X, an MI25 as an old kernel shows it, and an
// APU of that time; and things that are no nodes.
const machine = `
/sys/class/kfd/kfd	-> ../../devices/virtual/kfd/kfd
/sys/devices/virtual/kfd/kfd/topology/generation_id	7\n
` + nodes + `/0/properties	cpu_cores_count 48\nsimd_count 0\nsimd_per_cu 0\n
` + nodes + `/1/properties	cpu_cores_count 0\nsimd_count 152\nsimd_per_cu 4\ngfx_target_version 90402\nvendor_id 4098\ndevice_id 29857\nlocation_id 536872192\ndomain 1\ndrm_render_minor 130\nhive_id 16404946649897475633\nunique_id 18446744073709551615\nnum_xcc 1\nmax_engine_clk_fcompute 2100\nfw_version 138\nsdma_fw_version 19\nlater_property text\n
` + nodes + `/1/mem_banks/0/properties	heap_type 1\nsize_in_bytes 25767706624\nmem_clk_max 1300\n
` + nodes + `/1/mem_banks/1/properties	heap_type 0\nsize_in_bytes 99\n
` + nodes + `/10/properties	cpu_cores_count 0\nsimd_count 256\nsimd_per_cu 4\nvendor_id 4098\ndevice_id 26720\nlocation_id 1280\ndrm_render_minor 128\n
` + nodes + `/2/properties	cpu_cores_count 4\nsimd_count 32\nsimd_per_cu 4\nlocation_id 8\ndrm_render_minor 129\n
` + nodes + `/1/gpu_id	41097\n
` + nodes + `/2/gpu_id	99999999999\n
` + nodes + `/note	x
/sys/devices/virtual/kfd/kfd/proc/100/vram_41097	1048576\n
/sys/devices/virtual/kfd/kfd/proc/100/vram_7	0\n
/sys/devices/virtual/kfd/kfd/proc/100/sdma_41097	5\n
/sys/devices/virtual/kfd/kfd/proc/200/vram_41097	4096\n
/sys/devices/virtual/kfd/kfd/proc/200/vram_x	4096\n
/sys/devices/virtual/kfd/kfd/proc/300/vram_41097	garbage\n
`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := Read(sysfs.New(sysfstest.UnpackText(t, machine)))
	if err != nil {
		t.Fatal(err)
	}
	want := Topology{GPUs: []Node{
		{
			Number: 1, ID: 41097, RenderMinor: 130, Domain: 1, Location: 2<<28 | 0x500, VendorID: 0x1002, DeviceID: 0x74a1, ComputeUnits: 38, XCC: 1,
			GFXVersion: 90402, UniqueID: 1<<64 - 1, HiveID: 16404946649897475633, MaxClock: 2100, Memory: 25767706624, MemoryClock: 1300,
			MECFirmware: 138, SDMAFirmware: 19,
		},
		{Number: 2, RenderMinor: 129, Location: 8, ComputeUnits: 8, CPUCores: 4},
		{Number: 10, RenderMinor: 128, Location: 0x500, VendorID: 0x1002, DeviceID: 0x6860, ComputeUnits: 64},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for i, test := range []struct {
		address   core.PCIAddress
		partition int
		gfx       string
	}{{"0001:05:00.0", 2, "gfx942"}, {"0000:00:01.0", 0, ""}, {"0000:05:00.0", 0, ""}} {
		n := got.GPUs[i]
		if address, err := n.Address(); address != test.address || err != nil || n.Partition() != test.partition || n.GFX() != test.gfx {
			t.Errorf("node %d: %s, %v, partition %d, %q; want %+v", n.Number, address, err, n.Partition(), n.GFX(), test)
		}
	}
}

func TestGFX(t *testing.T) {
	t.Parallel()
	for version, want := range map[uint32]string{0: "", 90000: "gfx900", 90010: "gfx90a", 90402: "gfx942", 100306: "gfx1036", 110000: "gfx1100", 120001: "gfx1201"} {
		if got := (Node{GFXVersion: version}).GFX(); got != want {
			t.Errorf("%d: %q, want %q", version, got, want)
		}
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		path   string
		err    error
		gpus   []int
		unread string // what is said, if a node could not be read
		failed bool
	}{
		"hidden by the cgroup":    {nodesPath + "/1/properties", syscall.EPERM, []int{2, 10}, "cgroup", false},
		"unreadable":              {nodesPath + "/10/properties", syscall.EIO, []int{1, 2}, "KFD node 10", false},
		"goes meanwhile":          {nodesPath + "/10/properties", syscall.ENOENT, []int{1, 2}, "", false},
		"no generation":           {generationPath, syscall.ENOENT, []int{1, 2, 10}, "", false},
		"generation not readable": {generationPath, syscall.EIO, []int{1, 2, 10}, "", false},
		"no driver":               {nodesPath, syscall.ENOENT, nil, "", false},
		"topology not readable":   {nodesPath, syscall.EACCES, nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var faults sysfstest.Faults
			faults.Set(test.path, test.err)
			topology, err := Read(sysfs.New(sysfstest.UnpackText(t, machine), faults.Option()))
			if (err != nil) != test.failed {
				t.Fatalf("error %v", err)
			}
			var gpus []int
			for _, n := range topology.GPUs {
				gpus = append(gpus, n.Number)
			}
			if diff := cmp.Diff(test.gpus, gpus); diff != "" {
				t.Errorf("nodes, -want +got:\n%s", diff)
			}
			if said := fmt.Sprint(topology.Unread); (len(topology.Unread) > 0) != (test.unread != "") || !strings.Contains(said, test.unread) {
				t.Errorf("unread: %s", said)
			}
		})
	}
	var faults sysfstest.Faults
	faults.Set(nodesPath+"/1/mem_banks/0/properties", syscall.EIO)
	topology, err := Read(sysfs.New(sysfstest.UnpackText(t, machine), faults.Option()))
	if err != nil || topology.GPUs[0].Memory != 0 || topology.GPUs[0].MemoryErr == nil || topology.GPUs[1].MemoryErr != nil {
		t.Errorf("a bank that cannot be read: %+v, %v", topology.GPUs, err)
	}
	if _, err := Read(sysfs.New("/nowhere")); err == nil {
		t.Error("no error about a host root that is not there")
	}
}

// A topology that changes while it is read is read again.
func TestReadWhileItChanges(t *testing.T) {
	t.Parallel()
	generations := 0
	root := sysfstest.UnpackText(t, machine)
	host := sysfs.New(root, sysfs.WithHook(func(_, path string) error {
		if path != generationPath {
			return nil
		}
		generations++
		if generations == 1 {
			return syscall.EIO // generation 0, and 7 after it
		}
		return nil
	}))
	topology, err := Read(host)
	if err != nil || len(topology.GPUs) != 3 || generations != 4 {
		t.Errorf("%d GPUs, the generation was read %d times, %v", len(topology.GPUs), generations, err)
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	var faults sysfstest.Faults
	host := sysfs.New(sysfstest.UnpackText(t, machine), faults.Option())
	uses, ok := Uses(host, 41097, 12)
	if diff := cmp.Diff(map[uint32]Use{41097: {Processes: 2, Memory: 1052672}}, uses); diff != "" || !ok {
		t.Errorf("%v, -want +got:\n%s", ok, diff)
	}
	if uses, ok := Uses(host); !ok || len(uses) > 0 {
		t.Errorf("of no node: %v, %v", uses, ok)
	}
	if uses, ok := Uses(sysfs.New(t.TempDir()), 41097); ok {
		t.Errorf("without the driver: %v", uses)
	}
}

func FuzzNode(f *testing.F) {
	f.Add([]byte("simd_count 152\nsimd_per_cu 4\nlocation_id 1280\n"))
	f.Add([]byte("simd_count 18446744073709551615\nsimd_per_cu 1\ndomain 99999999999\n"))
	f.Add([]byte("simd_count 152\nsimd_per_cu 4\nlocation_id 18446744073709551615\n"))
	f.Add([]byte("\xff\x00 \n\n simd_count"))
	f.Fuzz(func(t *testing.T, data []byte) {
		node, err := parseNode(data)
		if err != nil {
			if !cmp.Equal(node, Node{}, cmpopts.EquateErrors()) {
				t.Errorf("%+v beside %v", node, err)
			}
			return
		}
		numbers := []int{node.RenderMinor, node.ComputeUnits, node.XCC, node.MaxClock, node.Partition(), node.GFXMajor()}
		if slices.Min(numbers) < 0 {
			t.Errorf("%v", numbers)
		}
		if _, err := node.Address(); err != nil {
			t.Errorf("an address that is none: %v", err)
		}
		_ = node.GFX()
	})
}
