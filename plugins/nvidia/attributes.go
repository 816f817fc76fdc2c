package nvidia

import (
	"fmt"
	"strconv"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// An attribute is one line of the table of attributes, from which the plugin's
// page is written.
type attribute struct {
	name string
	// kind is how a job compares it: int, string or version.
	kind string
	unit core.Unit
	// on says which devices can have it.
	on          scope
	description string
}

// The first nine have the names of HashiCorp's plugin, because jobs ask for
// them.
var (
	attrMemory         = &attribute{"memory", "int", core.MiB, onBoth, "Memory of the device. On a GPU that shares the node's memory, the node's."}
	attrPower          = &attribute{"power", "int", core.Watt, onBoth, "Power limit that is enforced on the GPU."}
	attrBAR1           = &attribute{"bar1", "int", core.MiB, onBoth, "Size of the window (BAR1) through which the node reaches the memory of the GPU."}
	attrDriver         = &attribute{"driver_version", "version", core.NoUnit, onBoth, "Version of the NVIDIA driver."}
	attrCoresClock     = &attribute{"cores_clock", "int", core.MHz, onBoth, "Highest graphics clock."}
	attrMemoryClock    = &attribute{"memory_clock", "int", core.MHz, onBoth, "Highest memory clock."}
	attrBandwidth      = &attribute{"pci_bandwidth", "int", core.MBPerS, onBoth, "What the PCIe link can carry in one direction, by the generation and width that the GPU and the node reach together."}
	attrDisplay        = &attribute{"display_state", "string", core.NoUnit, onBoth, "Whether a display is connected: Enabled or Disabled."}
	attrPersistence    = &attribute{"persistence_mode", "string", core.NoUnit, onBoth, "Whether the driver stays loaded for the GPU while nobody uses it: Enabled or Disabled."}
	attrCUDA           = &attribute{"cuda_driver_version", "version", core.NoUnit, onBoth, "Newest CUDA version that the driver supports."}
	attrCapability     = &attribute{"compute_capability", "version", core.NoUnit, onBoth, "CUDA compute capability."}
	attrMajor          = &attribute{"compute_capability_major", "int", core.NoUnit, onBoth, "First part of the compute capability."}
	attrArchitecture   = &attribute{"architecture", "string", core.NoUnit, onBoth, "Architecture in lower case, such as ampere, ada, hopper or blackwell."}
	attrBrand          = &attribute{"brand", "string", core.NoUnit, onBoth, "Product line, such as NVIDIA, NVIDIA RTX or GeForce."}
	attrProduct        = &attribute{"product", "string", core.NoUnit, onBoth, "Name of the GPU, for MIG instances too."}
	attrMIGMode        = &attribute{"mig_mode", "string", core.NoUnit, onBoth, "Whether the GPU is split into MIG instances: Enabled or Disabled. Absent where it cannot be."}
	attrECC            = &attribute{"ecc_mode", "string", core.NoUnit, onBoth, "Whether memory errors are corrected: Enabled or Disabled. Absent where they cannot be."}
	attrComputeMode    = &attribute{"compute_mode", "string", core.NoUnit, onBoth, "How many processes may compute at a time: default, exclusive-process or prohibited."}
	attrVirtualization = &attribute{"virtualization", "string", core.NoUnit, onBoth, "How the GPU reached the node: none, passthrough, vgpu, host-vgpu or host-vsga."}
	attrAddressing     = &attribute{"addressing_mode", "string", core.NoUnit, onBoth, "How the GPU shares the address space of processes: none, hmm or ats."}
	attrGeneration     = &attribute{"pcie_generation", "int", core.NoUnit, onBoth, "PCIe generation that the GPU and the node reach together."}
	attrWidth          = &attribute{"pcie_width", "int", core.NoUnit, onBoth, "Most PCIe lanes that the GPU can use."}
	attrNUMA           = &attribute{"numa_node", "string", core.NoUnit, onBoth, "NUMA node that the GPU is near to, as node0. Only if all GPUs of the group are near the same one; a job's numa block works in any case."}
	attrVBIOS          = &attribute{"vbios_version", "string", core.NoUnit, onBoth, "Version of the GPU's BIOS."}
	attrGSP            = &attribute{"gsp_firmware_version", "version", core.NoUnit, onBoth, "Version of the firmware on the GPU's system processor."}
	attrPart           = &attribute{"board_part_number", "string", core.NoUnit, onBoth, "Part number of the board."}
	attrSerial         = &attribute{"serial", "string", core.NoUnit, onBoth, "Serial number of the board, with SN in front so that it does not read as a number. Only if the group has one board."}
	attrCores          = &attribute{"cuda_cores", "int", core.NoUnit, onGPU, "Number of CUDA cores."}
	attrBusWidth       = &attribute{"memory_bus_width", "int", core.NoUnit, onGPU, "Width of the memory bus in bits."}
	attrNVLinks        = &attribute{"nvlink_links", "int", core.NoUnit, onGPU, "Number of active NVLinks. Absent where there are none to activate."}
	attrClique         = &attribute{"fabric_clique", "string", core.NoUnit, onGPU, "NVLink clique of the GPU over several nodes: UUID of the cluster, dot, number. Present once the GPU has joined its fabric."}
	attrProfile        = &attribute{"mig_profile", "string", core.NoUnit, onMIG, "MIG profile, such as 1g.10gb."}
	attrGISlices       = &attribute{"mig_gi_slices", "int", core.NoUnit, onMIG, "Slices of the GPU instance."}
	attrCISlices       = &attribute{"mig_ci_slices", "int", core.NoUnit, onMIG, "Slices of the compute instance."}
	attrSMs            = &attribute{"multiprocessors", "int", core.NoUnit, onMIG, "Number of streaming multiprocessors."}
	attrCopyEngines    = &attribute{"copy_engines", "int", core.NoUnit, onMIG, "Number of copy engines."}
	attrDecoders       = &attribute{"decoders", "int", core.NoUnit, onMIG, "Number of video decoders."}
	attrEncoders       = &attribute{"encoders", "int", core.NoUnit, onMIG, "Number of video encoders."}
	attrJPEGs          = &attribute{"jpegs", "int", core.NoUnit, onMIG, "Number of JPEG engines."}
	attrOFAs           = &attribute{"ofas", "int", core.NoUnit, onMIG, "Number of optical flow engines."}
)

// attributeDocs is the table of all attributes, in the order of the page.
var attributeDocs = []*attribute{
	attrMemory, attrPower, attrBAR1, attrDriver, attrCoresClock, attrMemoryClock, attrBandwidth, attrDisplay, attrPersistence,
	attrCUDA, attrCapability, attrMajor, attrArchitecture, attrBrand, attrProduct,
	attrMIGMode, attrECC, attrComputeMode, attrVirtualization, attrAddressing,
	attrGeneration, attrWidth, attrNUMA, attrNVLinks, attrClique,
	attrCores, attrBusWidth, attrVBIOS, attrGSP, attrPart, attrSerial,
	attrProfile, attrGISlices, attrCISlices, attrSMs, attrCopyEngines, attrDecoders, attrEncoders, attrJPEGs, attrOFAs,
}

// scanned are the attributes that no fact gives: a scan knows them anyway.
var scanned = []*attribute{attrDriver, attrCUDA, attrProduct, attrMIGMode, attrClique, attrProfile}

// facts are the questions that give the other attributes.
var facts = []*fact{
	{gives: []*attribute{attrMemory}, own: true, read: readMemory},
	{gives: []*attribute{attrBAR1}, own: true, read: one(nvml.Device.BAR1, func(b nvml.BAR1) core.Value { return size(b.Total) })},
	{gives: []*attribute{attrPower}, changes: true, read: one(nvml.Device.PowerLimit, func(mw uint32) core.Value {
		if mw == 0 {
			return core.Value{}
		}
		return core.Int(int64(mw+500)/1000, core.Watt)
	})},
	{gives: []*attribute{attrCoresClock}, read: one(maxClock(nvml.ClockGraphics), clock)},
	{gives: []*attribute{attrMemoryClock}, read: one(maxClock(nvml.ClockMemory), clock)},
	{gives: []*attribute{attrGeneration, attrWidth, attrBandwidth}, read: readLink},
	{gives: []*attribute{attrDisplay}, changes: true, read: one(nvml.Device.DisplayMode, enabled)},
	{gives: []*attribute{attrPersistence}, changes: true, read: one(nvml.Device.PersistenceMode, enabled)},
	{gives: []*attribute{attrCapability, attrMajor}, read: readCapability},
	{gives: []*attribute{attrArchitecture}, read: one(nvml.Device.Architecture, word)},
	{gives: []*attribute{attrBrand}, read: one(nvml.Device.Brand, word)},
	{gives: []*attribute{attrECC}, changes: true, read: one(func(d nvml.Device) (bool, error) {
		current, _, err := d.ECCMode()
		return current, err
	}, enabled)},
	{gives: []*attribute{attrComputeMode}, changes: true, read: one(nvml.Device.ComputeMode, word)},
	{gives: []*attribute{attrVirtualization}, read: one(nvml.Device.Virtualization, word)},
	{gives: []*attribute{attrAddressing}, read: one(nvml.Device.AddressingMode, word)},
	{gives: []*attribute{attrNUMA}, read: readNUMA},
	{gives: []*attribute{attrVBIOS}, read: one(nvml.Device.VBIOS, text)},
	{gives: []*attribute{attrGSP}, read: one(nvml.Device.GSPFirmware, func(v string) core.Value {
		if v == "" {
			return core.Value{}
		}
		return core.Version(v)
	})},
	{gives: []*attribute{attrPart}, read: one(nvml.Device.BoardPartNumber, text)},
	{gives: []*attribute{attrSerial}, read: one(nvml.Device.Serial, func(s string) core.Value {
		if s == "" || s == "0" { // what boards without one answer
			return core.Value{}
		}
		return core.String("SN" + s)
	})},
	{gives: []*attribute{attrCores}, read: one(nvml.Device.Cores, positive)},
	{gives: []*attribute{attrBusWidth}, read: one(nvml.Device.MemoryBusWidth, positive)},
	{gives: []*attribute{attrNVLinks}, read: one(activeLinks, func(n int) core.Value { return core.Count(int64(n)) })},
	{
		gives: []*attribute{attrGISlices, attrCISlices, attrSMs, attrCopyEngines, attrDecoders, attrEncoders, attrJPEGs, attrOFAs},
		own:   true, read: readParts,
	},
}

// readMemory falls back to the node's memory for GPUs that have none of their
// own.
func readMemory(s *source) ([]core.Value, error) {
	m, err := s.device.Memory()
	if err == nil {
		return []core.Value{size(m.Total)}, nil
	}
	if !nvml.Unsupported(err) {
		return nil, err
	}
	data, readErr := s.host.Read(meminfoPath)
	if readErr != nil {
		return nil, err
	}
	system, readErr := parseMeminfo(data)
	if readErr != nil {
		return nil, err
	}
	return []core.Value{size(system.total)}, nil
}

// size is the value of a size in bytes, none if it is 0.
func size(bytes uint64) core.Value {
	if bytes == 0 {
		return core.Value{}
	}
	return core.Int(int64(bytes>>20), core.MiB)
}

func maxClock(c nvml.Clock) func(nvml.Device) (uint32, error) {
	return func(d nvml.Device) (uint32, error) { return d.MaxClock(c) }
}

func readLink(s *source) ([]core.Value, error) {
	generation, err := s.device.MaxPCIeGeneration()
	if err != nil && !nvml.Unsupported(err) {
		return nil, err
	}
	width, err := s.device.MaxPCIeWidth()
	if err != nil && !nvml.Unsupported(err) {
		return nil, err
	}
	var bandwidth core.Value
	if rate, ok := pci.Bandwidth(generation, width); ok {
		bandwidth = core.Int(rate, core.MBPerS)
	}
	return []core.Value{positive(generation), positive(width), bandwidth}, nil
}

func readCapability(s *source) ([]core.Value, error) {
	major, minor, err := s.device.ComputeCapability()
	if err != nil {
		return nil, err
	}
	if major <= 0 {
		return nil, nil
	}
	return []core.Value{core.Version(fmt.Sprintf("%d.%d", major, minor)), core.Count(int64(major))}, nil
}

// readNUMA reads the node from sysfs: NVML's own answer is about GPUs whose
// memory is a node.
func readNUMA(s *source) ([]core.Value, error) {
	if s.pci == "" {
		return nil, nil
	}
	node, err := s.host.ReadInt(pci.Path(s.pci) + "/numa_node")
	if err != nil || node < 0 {
		return nil, nil //nolint:nilerr // a host that does not tell has no such fact
	}
	return []core.Value{core.String("node" + strconv.FormatInt(node, 10))}, nil
}

func readParts(s *source) ([]core.Value, error) {
	a, err := s.device.MIGAttributes()
	if err != nil {
		return nil, err
	}
	numbers := []int{
		a.GPUInstanceSlices, a.ComputeInstanceSlices, a.Multiprocessors, a.CopyEngines,
		a.Decoders, a.Encoders, a.JPEGs, a.OFAs,
	}
	values := make([]core.Value, len(numbers))
	for i, n := range numbers {
		values[i] = core.Count(int64(n))
	}
	return values, nil
}
