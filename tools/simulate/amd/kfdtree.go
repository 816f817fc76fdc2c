package amd

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

const (
	kfdDir   = "/sys/devices/virtual/kfd/kfd"
	kfdMajor = 234
)

// node is a node of the KFD topology with a GPU or a part of one.
type node struct {
	gpu
	part
	id    int // of the node's directory
	gpuID int
}

// nodes gives the GPU nodes of a machine. The kernel numbers them anew when one
// comes or goes; its CPUs are the first.
func nodes(v machine.View, all []gpu) []node {
	var list []node
	taken := map[int]bool{0: true}
	id := cpuNodes(v)
	for _, g := range all {
		if !g.is("present", true) || !g.kfd() {
			continue
		}
		for _, p := range g.parts {
			n := node{gpu: g, part: p, id: id, gpuID: gpuID(g, p)}
			for taken[n.gpuID] {
				n.gpuID = n.gpuID%0xffff + 1
			}
			taken[n.gpuID] = true
			list = append(list, n)
			id++
		}
	}
	return list
}

// gpuID is a hash of what the node is (kfd_topology.c, kfd_generate_gpu_id):
// another mode makes other nodes, the same mode the same again.
func gpuID(g gpu, p part) int {
	sum := fnv.New32a()
	fmt.Fprintln(sum, g.address, g.text("unique_id"), g.text("compute_partition"), g.text("memory_partition"), p.index)
	return int(sum.Sum32()%0xffff) + 1
}

func cpuNodes(v machine.View) int { return number(v.Machine("cpu.nodes"), 1) }

// kfdTree is what compute can use (drivers/gpu/drm/amd/amdkfd/kfd_topology.c).
func kfdTree(t *tree.Tree, v machine.View, all []gpu) {
	t.Node("/dev/kfd")
	t.Link("/sys/class/kfd/kfd", kfdDir)
	t.File(kfdDir+"/dev", fmt.Sprintf("%d:0", kfdMajor))
	t.File(kfdDir+"/uevent", fmt.Sprintf("MAJOR=%d\nMINOR=0\nDEVNAME=kfd\n", kfdMajor))
	t.Dir(kfdDir + "/proc")
	t.File(kfdDir+"/topology/generation_id", cmp.Or(v.Machine(generationKey), "1"))
	var l lines
	l.add("platform_oem", "2314885531123270725")
	l.add("platform_id", "87232116311372")
	l.add("platform_rev", 2)
	t.File(kfdDir+"/topology/system_properties", l.String())

	list := nodes(v, all)
	for i := range cpuNodes(v) {
		cpuTree(t, v, i, list)
	}
	for _, n := range list {
		nodeTree(t, v, n, list)
		processTree(t, n)
	}
}

func nodeDir(id int) string { return fmt.Sprintf("%s/topology/nodes/%d", kfdDir, id) }

// nearCPU is the CPU node that a GPU is attached to.
func nearCPU(v machine.View, g gpu) int {
	if n := number(g.text("numa_node"), 0); n > 0 && n < cpuNodes(v) {
		return n
	}
	return 0
}

func cpuTree(t *tree.Tree, v machine.View, id int, list []node) {
	dir := nodeDir(id)
	links := 0
	for _, n := range list {
		if nearCPU(v, n.gpu) == id {
			t.File(fmt.Sprintf("%s/io_links/%d/properties", dir, links), ioLink(linkPCIe, id, n.id, 20, pcieBandwidth(n.gpu)))
			links++
		}
	}
	for other := range cpuNodes(v) {
		if other != id {
			t.File(fmt.Sprintf("%s/io_links/%d/properties", dir, links), ioLink(linkHT, id, other, 32, 0))
			links++
		}
	}
	cores := cmp.Or(v.Machine("cpu.cores"), "16")
	t.File(dir+"/gpu_id", "0")
	t.File(dir+"/name", "")
	t.File(dir+"/properties", properties(map[string]string{
		"cpu_cores_count": cores, "mem_banks_count": "1", "io_links_count": strconv.Itoa(links),
		"cpu_core_id_base": strconv.Itoa(id * number(cores, 16)), "max_engine_clk_ccompute": "3700",
		"gfx_target_version": "0",
	}))
	size, _ := machine.Bytes(cmp.Or(v.Machine("cpu.memory"), "256 GiB"))
	t.File(dir+"/mem_banks/0/properties", memoryBank(0, strconv.FormatInt(size, 10), "64", "4800"))
}

func nodeTree(t *tree.Tree, v machine.View, n node, list []node) {
	f := newFiles(t, n.gpu)
	dir := nodeDir(n.id)
	links := 0
	link := func(text string) {
		f.put(fmt.Sprintf("%s/io_links/%d/properties", dir, links), text)
		links++
	}
	link(ioLink(linkPCIe, n.id, nearCPU(v, n.gpu), 20, pcieBandwidth(n.gpu)))
	for _, other := range list {
		switch hive := hiveOf(n.gpu); {
		case other.id == n.id:
		case other.n == n.n:
			link(ioLink(linkXGMI, n.id, other.id, 13, xgmiBandwidth))
		case hive != "0" && hive == hiveOf(other.gpu):
			link(ioLink(linkXGMI, n.id, other.id, 15, xgmiBandwidth))
		}
	}
	t.Dir(dir + "/p2p_links")
	t.Dir(dir + "/caches")
	f.put(dir+"/gpu_id", strconv.Itoa(n.gpuID))
	f.put(dir+"/name", cmp.Or(n.text("kfd.name"), "ip discovery"))
	f.put(dir+"/properties", properties(n.properties(links)))
	f.put(dir+"/mem_banks/0/properties", memoryBank(1, n.size(), n.text("memory.width"), n.text("clock.max.memory")))
	// That of the whole GPU, in every partition.
	f.put(dir+"/mem_banks/0/used_memory", n.memory("memory.used"))
}

// divisor is how many parts the GPU is divided into, also where the kernel had no
// minors left for all of them.
func (n node) divisor() int64 {
	count, err := partitions(cmp.Or(n.text("compute_partition"), "SPX"), n.dies())
	if err != nil {
		return 1
	}
	return int64(count)
}

// size is the memory that the node has to itself, in bytes.
func (n node) size() string {
	// An APU computes in the machine's memory, not in what it has set aside.
	total, ok := n.Bytes(n.n, "kfd.memory")
	if !ok {
		if total, ok = n.Bytes(n.n, "memory.total"); !ok {
			return n.text("memory.total")
		}
	}
	return strconv.FormatInt(total/n.divisor()&^0xfff, 10)
}

// hiveOf is the XGMI hive of a GPU in decimal; 0 is none.
func hiveOf(g gpu) string {
	hive, err := strconv.ParseUint(g.text("hive_id"), 0, 64)
	if err != nil {
		return "0"
	}
	return strconv.FormatUint(hive, 10)
}

func (n node) properties(links int) map[string]string {
	divisor := n.divisor()
	perCU := n.Number(n.n, "simd_per_cu", 4)
	units := n.Number(n.n, "compute_units", 0) / divisor
	decimal := func(v int64) string { return strconv.FormatInt(v, 10) }
	values := map[string]string{
		"simd_count":         decimal(units * perCU),
		"simd_per_cu":        decimal(perCU),
		"mem_banks_count":    "1",
		"io_links_count":     strconv.Itoa(links),
		"simd_id_base":       decimal(1<<31 + 0x1000*int64(n.id)),
		"max_waves_per_simd": "8",
		"lds_size_in_kb":     "64",
		"wave_front_size":    cmp.Or(n.text("wave_front_size"), "64"),
		"array_count":        cmp.Or(n.text("array_count"), "4"),

		"simd_arrays_per_engine": "1",
		"cu_per_simd_array":      "10",
		"max_slots_scratch_cu":   "32",

		"vendor_id":               decimal(n.Number(n.n, "pci.vendor", 0x1002)),
		"device_id":               decimal(n.Number(n.n, "pci.device", 0)),
		"location_id":             strconv.FormatUint(uint64(n.location()), 10),
		"domain":                  strconv.FormatUint(uint64(n.address.Domain), 10),
		"drm_render_minor":        strconv.Itoa(n.render),
		"hive_id":                 hiveOf(n.gpu),
		"max_engine_clk_fcompute": cmp.Or(n.text("clock.max.graphics"), "0"),
		"local_mem_size":          "0",
		"unique_id":               n.uniqueID(),
		"max_engine_clk_ccompute": "3700",
	}
	if version := n.text("gfx_target_version"); version != "" {
		values["gfx_target_version"] = version
		values["num_xcc"] = decimal(max(int64(n.dies())/divisor, 1))
	}
	return values
}

// location is bus, device and function of the GPU and, if it is divided, the
// number of the part: in the upper bits, or with older drivers in the lower ones.
func (n node) location() uint32 {
	location := n.address.Bus<<8 | n.address.Device<<3 | n.address.Function
	if n.divisor() == 1 {
		return location
	}
	if n.Machine("kfd.partition_bits") == "low" {
		return location | uint32(n.index)
	}
	return location | uint32(n.index)<<28
}

// uniqueID is the number of the die. Newer drivers give each partition one of its
// own.
func (n node) uniqueID() string {
	id, err := strconv.ParseUint(n.text("unique_id"), 16, 64)
	if err != nil {
		return "0"
	}
	if n.Machine("kfd.unique_ids") == "own" && n.divisor() > 1 {
		id += uint64(n.index) << 40
	}
	return strconv.FormatUint(id, 10)
}

// propertyNames are the properties of a node in the kernel's order.
var propertyNames = []string{
	"cpu_cores_count", "simd_count", "mem_banks_count", "caches_count", "io_links_count", "p2p_links_count", "cpu_core_id_base", "simd_id_base",
	"max_waves_per_simd", "lds_size_in_kb", "gds_size_in_kb", "num_gws", "wave_front_size", "array_count", "simd_arrays_per_engine",
	"cu_per_simd_array", "simd_per_cu", "max_slots_scratch_cu", "gfx_target_version", "vendor_id", "device_id", "location_id", "domain",
	"drm_render_minor", "hive_id", "num_sdma_engines", "num_sdma_xgmi_engines", "num_sdma_queues_per_engine", "num_cp_queues",
	"max_engine_clk_fcompute", "local_mem_size", "unique_id", "num_xcc", "max_engine_clk_ccompute",
}

// newerNames are the properties that old kernels do not have, or that CPUs lack.
var newerNames = map[string]bool{"gfx_target_version": true, "max_engine_clk_fcompute": true, "local_mem_size": true, "unique_id": true, "num_xcc": true}

func properties(values map[string]string) string {
	var l lines
	for _, name := range propertyNames {
		value, ok := values[name]
		if !ok && newerNames[name] {
			continue
		}
		l.add(name, cmp.Or(value, "0"))
	}
	return l.String()
}

func memoryBank(heap int, size, width, clock string) string {
	var l lines
	l.add("heap_type", heap)
	l.add("size_in_bytes", cmp.Or(size, "0"))
	l.add("flags", 0)
	l.add("width", cmp.Or(width, "0"))
	l.add("mem_clk_max", cmp.Or(clock, "0"))
	return l.String()
}

// Types of links (drivers/gpu/drm/amd/amdkfd/kfd_crat.h).
const (
	linkHT   = 1
	linkPCIe = 2
	linkXGMI = 11
)

// xgmiBandwidth is what a link between two GPUs carries, in MB/s.
const xgmiBandwidth = 64000

// pcieBandwidth is what the kernel says a GPU's slot carries, in MB/s.
func pcieBandwidth(g gpu) int {
	rate, _ := strconv.ParseFloat(pcitree.Rate(g.text("pcie.max_generation")), 64)
	return int(rate) * number(g.text("pcie.max_width"), 0) * 1000 / 8
}

func ioLink(kind, from, to, weight, bandwidth int) string {
	var l lines
	l.add("type", kind)
	l.add("version_major", 0)
	l.add("version_minor", 0)
	l.add("node_from", from)
	l.add("node_to", to)
	l.add("weight", weight)
	l.add("min_latency", 0)
	l.add("max_latency", 0)
	l.add("min_bandwidth", bandwidth)
	l.add("max_bandwidth", bandwidth)
	l.add("recommended_transfer_size", 0)
	l.add("flags", 1)
	return l.String()
}

// processTree is the processes that compute on a node
// (drivers/gpu/drm/amd/amdkfd/kfd_process.c).
func processTree(t *tree.Tree, n node) {
	for i := range 64 {
		text := n.text(fmt.Sprintf("process.%d", i))
		if text == "" {
			continue
		}
		values := map[string]string{}
		for _, word := range words(text) {
			key, value, _ := strings.Cut(word, "=")
			values[key] = value
		}
		if number(values["partition"], 0) != n.index || values["pid"] == "" {
			continue
		}
		dir := path.Join(kfdDir, "proc", values["pid"])
		t.File(fmt.Sprintf("%s/vram_%d", dir, n.gpuID), cmp.Or(values["vram"], "0"))
		t.File(fmt.Sprintf("%s/sdma_%d", dir, n.gpuID), cmp.Or(values["sdma"], "0"))
		t.File(fmt.Sprintf("%s/stats_%d/cu_occupancy", dir, n.gpuID), cmp.Or(values["cu"], "0"))
	}
}
