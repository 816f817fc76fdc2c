// Package kfd reads the topology of the amdkfd driver: what of AMD's GPUs compute
// can use, a node for each GPU or partition of one
// (drivers/gpu/drm/amd/amdkfd/kfd_topology.c).
package kfd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

const (
	topologyPath   = "/sys/class/kfd/kfd/topology"
	nodesPath      = topologyPath + "/nodes"
	generationPath = topologyPath + "/generation_id"
	// attempts is how often a topology is read that changes meanwhile.
	attempts = 3
)

// Topology is what the driver shows at one moment.
type Topology struct {
	// GPUs are the nodes with shader units, sorted by number. CPUs are left
	// out; an old kernel's APU is one node that has both.
	GPUs []Node
	// Unread are the nodes that could not be read, each with its reason. A node
	// that the process's device cgroup hides is among them.
	Unread []error
}

// Node is a GPU, or a partition of one. Facts that the kernel does not give are 0.
type Node struct {
	// Number is that of the node's directory. It is a counter of the kernel,
	// never identity; ROCm's runtime numbers the GPUs in its order.
	Number int
	// ID is what the driver itself calls the node, in its ioctls and in the files
	// of its processes. It changes when the GPU is divided anew. 0 is unknown.
	ID uint32
	// RenderMinor is M of the node's /dev/dri/renderDM.
	RenderMinor int
	// Domain and Location are where the GPU is: PCI domain, and bus<<8 |
	// device<<3 with, for a partition, its number in the low three bits or in the
	// highest four, as the driver's version likes.
	Domain, Location uint32
	// VendorID and DeviceID are PCI's.
	VendorID, DeviceID uint16
	// ComputeUnits and XCC are the node's own share of the GPU's compute units and
	// dies.
	ComputeUnits, XCC int
	// CPUCores is not 0 where an old kernel lists an APU as one node.
	CPUCores int
	// GFXVersion is major*10000 + minor*100 + stepping.
	GFXVersion uint32
	// UniqueID is the die's serial number, or that of the partition. HiveID tells
	// the XGMI hives of a host apart.
	UniqueID, HiveID uint64
	// MaxClock is the highest engine clock in MHz.
	MaxClock int
	// Memory is the size of the node's own memory in bytes, and MemoryClock its
	// highest clock in MHz. MemoryErr is why Memory is not known, if that is not
	// just that the node has none.
	Memory      uint64
	MemoryClock int
	MemoryErr   error
	// MECFirmware and SDMAFirmware are the versions of two of its firmwares.
	MECFirmware, SDMAFirmware int
}

// Address returns the PCI address of the node's GPU with function 0: the low bits
// of the location are a function for virtual functions alone.
func (n Node) Address() (core.PCIAddress, error) {
	return pci.Address(n.Domain, n.Location>>8&0xff, n.Location>>3&0x1f, 0)
}

// Function returns the low three bits of the location: the function of a virtual
// function, or a partition's number.
func (n Node) Function() uint32 { return n.Location & 7 }

// Partition returns the number of the partition by the node's location, whichever
// of the two forms it has.
func (n Node) Partition() int {
	if high := n.Location >> 28; high != 0 {
		return int(high)
	}
	return int(n.Location & 7)
}

// GFX returns the name of the instruction set: "gfx942", or "" if it is not known.
// Minor version and stepping are written in hexadecimal (LLVM AMDGPU Usage).
func (n Node) GFX() string {
	if n.GFXVersion == 0 {
		return ""
	}
	return fmt.Sprintf("gfx%d%x%x", n.GFXMajor(), n.GFXVersion/100%100, n.GFXVersion%100)
}

// GFXMajor returns the major version of the instruction set, or 0.
func (n Node) GFXMajor() int { return int(n.GFXVersion / 10000) }

// MaxMemory is more memory than a GPU can have, in bytes. What says that it is more
// is garbage, such as all ones.
const MaxMemory = 1 << 46

const processesPath = "/sys/class/kfd/kfd/proc"

// maxProcesses is the most processes that are asked for what they hold.
const maxProcesses = 512

// Use is what processes hold of a node, through ROCm.
type Use struct {
	// Processes is the number of those that hold memory, Memory how much in bytes.
	Processes int
	Memory    uint64
}

// Uses returns what processes hold of some nodes, by [Node.ID]. ok is false where
// the driver does not tell (kfd_process.c, kfd_procfs_add_sysfs_files).
func Uses(host *sysfs.FS, nodes ...uint32) (uses map[uint32]Use, ok bool) {
	pids, err := host.ReadDir(processesPath)
	if err != nil {
		return nil, false
	}
	uses = make(map[uint32]Use, len(nodes))
	for _, pid := range pids[:min(len(pids), maxProcesses)] {
		for _, node := range nodes {
			bytes, err := host.ReadUint(fmt.Sprintf("%s/%s/vram_%d", processesPath, pid, node))
			if err != nil || bytes == 0 || bytes > MaxMemory {
				continue // it ended, or has nothing there
			}
			use := uses[node]
			use.Processes++
			use.Memory += bytes
			uses[node] = use
		}
	}
	return uses, true
}

// Read reads the topology. A host without the driver has an empty one. The
// error says that nothing could be found out.
func Read(host *sysfs.FS) (Topology, error) {
	for attempt := 1; ; attempt++ {
		before, err := generation(host)
		if err != nil {
			return Topology{}, err
		}
		t, err := read(host)
		if err != nil {
			return Topology{}, err
		}
		after, err := generation(host)
		if err != nil {
			return Topology{}, err
		}
		if before == after || attempt == attempts {
			return t, nil
		}
	}
}

// generation returns the counter that moves when a device is added. A kernel
// without it, and one that it cannot be read from, have a topology all the same.
func generation(host *sysfs.FS) (uint64, error) {
	n, err := host.ReadUint(generationPath)
	if errors.Is(err, sysfs.ErrRoot) {
		return 0, err
	}
	return n, nil
}

func read(host *sysfs.FS) (Topology, error) {
	names, err := host.ReadDir(nodesPath)
	if sysfs.IsAbsent(err) {
		return Topology{}, nil
	}
	if err != nil {
		return Topology{}, fmt.Errorf("reading KFD's topology: %w", err)
	}
	var t Topology
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err != nil || number < 0 {
			continue
		}
		node, gpu, err := readNode(host, nodesPath+"/"+name, number)
		switch {
		case sysfs.IsAbsent(err): // it went while we looked
		case err != nil:
			t.Unread = append(t.Unread, fmt.Errorf("KFD node %d: %w", number, hint(err)))
		case gpu:
			t.GPUs = append(t.GPUs, node)
		}
	}
	slices.SortFunc(t.GPUs, func(a, b Node) int { return a.Number - b.Number })
	return t, nil
}

// hint says what the kernel means by EPERM here (kfd_priv.h,
// kfd_devcgroup_check_permission).
func hint(err error) error {
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: the device cgroup of the Nomad agent hides it", err)
	}
	return err
}

// readNode reads one node, and whether it is a GPU.
func readNode(host *sysfs.FS, dir string, number int) (node Node, gpu bool, err error) {
	data, err := host.Read(dir + "/properties")
	if err != nil {
		return Node{}, false, err
	}
	node, err = parseNode(data)
	if err != nil {
		return Node{}, false, fmt.Errorf("%s/properties: %w", dir, err)
	}
	if node.ComputeUnits == 0 {
		return Node{}, false, nil
	}
	node.Number = number
	if id, err := host.ReadUint(dir + "/gpu_id"); err == nil && id <= math.MaxUint32 {
		node.ID = uint32(id)
	}
	node.readMemory(host, dir+"/mem_banks")
	return node, true, nil
}

// readMemory adds up the banks of local memory.
func (n *Node) readMemory(host *sysfs.FS, dir string) {
	banks, err := host.ReadDir(dir)
	if err != nil && !sysfs.IsAbsent(err) {
		n.MemoryErr = err
	}
	for _, bank := range banks {
		data, err := host.Read(dir + "/" + bank + "/properties")
		if err != nil {
			n.MemoryErr = errors.Join(n.MemoryErr, err)
			continue
		}
		properties := parseProperties(data)
		heap, ok := properties["heap_type"]
		if !ok {
			n.MemoryErr = errors.Join(n.MemoryErr, fmt.Errorf("%s/%s: %w", dir, bank, errNoProperties))
			continue
		}
		if heap != heapPublic && heap != heapPrivate {
			continue
		}
		size := properties["size_in_bytes"]
		if size > MaxMemory {
			n.MemoryErr = errors.Join(n.MemoryErr, fmt.Errorf("%w: a bank of %d bytes", sysfs.ErrMalformed, size))
			continue
		}
		n.Memory += size
		n.MemoryClock = max(n.MemoryClock, small(properties["mem_clk_max"]))
	}
}

// The heap types of a GPU's own memory (kfd_crat.h), that the CPU can reach and
// that it cannot.
const (
	heapPublic  = 1
	heapPrivate = 2
)

// errNoProperties says that a file holds no properties at all, where even a CPU
// has a dozen.
var errNoProperties = fmt.Errorf("%w: it holds no properties", sysfs.ErrMalformed)

// parseNode reads the properties file of a node.
func parseNode(data []byte) (Node, error) {
	p := parseProperties(data)
	simds, ok := p["simd_count"]
	if !ok {
		return Node{}, errNoProperties
	}
	if p["domain"] > math.MaxUint32 || p["location_id"] > math.MaxUint32 {
		return Node{}, fmt.Errorf("%w: domain %d and location_id %d are nowhere", sysfs.ErrMalformed, p["domain"], p["location_id"])
	}
	node := Node{
		RenderMinor:  small(p["drm_render_minor"]),
		Domain:       uint32(p["domain"]),
		Location:     uint32(p["location_id"]),
		VendorID:     uint16(p["vendor_id"]),
		DeviceID:     uint16(p["device_id"]),
		CPUCores:     small(p["cpu_cores_count"]),
		XCC:          small(p["num_xcc"]),
		GFXVersion:   uint32(p["gfx_target_version"]),
		UniqueID:     p["unique_id"],
		HiveID:       p["hive_id"],
		MaxClock:     small(p["max_engine_clk_fcompute"]),
		MECFirmware:  small(p["fw_version"]),
		SDMAFirmware: small(p["sdma_fw_version"]),
	}
	if perUnit := p["simd_per_cu"]; perUnit > 0 {
		node.ComputeUnits = small(simds / perUnit)
	}
	return node, nil
}

// small returns a number that fits an int wherever Go runs; what does not is not
// the number of anything, and 0.
func small(n uint64) int {
	const most = 1<<31 - 1
	if n > most {
		return 0
	}
	return int(n)
}

// parseProperties reads "name value" lines. The values are decimal and may need
// all 64 bits; lines of another form are skipped.
func parseProperties(data []byte) map[string]uint64 {
	properties := make(map[string]uint64, 48)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		name, text, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if !ok {
			continue
		}
		if value, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64); err == nil {
			properties[name] = value
		}
	}
	return properties
}
