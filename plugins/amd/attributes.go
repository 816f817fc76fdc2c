package amd

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"unicode"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

// Which devices have an attribute or a statistic, in the words of the page.
const (
	onBoth      = "GPU, partition"
	onGPU       = "GPU"
	onPartition = "partition"
)

// The attributes. Those that NVIDIA's plugin has too mean the same there, so that
// a job's constraint reads the same for both.
var (
	attrMemory      = &describe.Attribute{Name: "memory", Kind: core.KindInt, Unit: core.MiB, On: onBoth, Description: "Memory of the device: a partition's own share. Of an APU it is the part of the node's memory that the firmware set aside for it."}
	attrPower       = &describe.Attribute{Name: "power", Kind: core.KindInt, Unit: core.Watt, On: onBoth, Description: "Power cap that the GPU has by default; of a partition, that of the whole GPU."}
	attrCoresClock  = &describe.Attribute{Name: "cores_clock", Kind: core.KindInt, Unit: core.MHz, On: onBoth, Description: "Highest clock of the compute and graphics engines."}
	attrMemoryClock = &describe.Attribute{Name: "memory_clock", Kind: core.KindInt, Unit: core.MHz, On: onBoth, Description: "Highest clock of the memory controller. The data clock of GDDR6 is a multiple of it."}
	attrBandwidth   = &describe.Attribute{Name: "pci_bandwidth", Kind: core.KindInt, Unit: core.MBPerS, On: onBoth, Description: "What the board's PCIe link can carry in one direction."}
	attrGeneration  = &describe.Attribute{Name: "pcie_generation", Kind: core.KindInt, On: onBoth, Description: "PCIe generation that the board can use."}
	attrWidth       = &describe.Attribute{Name: "pcie_width", Kind: core.KindInt, On: onBoth, Description: "Most PCIe lanes that the board can use."}
	attrDriver      = &describe.Attribute{Name: "driver_version", Kind: core.KindVersion, On: onBoth, Description: "Version of the amdgpu driver: its own if it was installed apart from the kernel, else the kernel's."}
	attrDriverFrom  = &describe.Attribute{Name: "driver_source", Kind: core.KindString, On: onBoth, Description: "Where the driver is from: dkms if it was installed apart from the kernel, kernel if it came with it."}
	attrVBIOS       = &describe.Attribute{Name: "vbios_version", Kind: core.KindString, On: onBoth, Description: "Version or part number of the GPU's BIOS."}
	attrProduct     = &describe.Attribute{Name: "product", Kind: core.KindString, On: onBoth, Description: "Model of the GPU, whatever its group is named by, for partitions too."}
	attrGFX         = &describe.Attribute{Name: "gfx_target", Kind: core.KindString, On: onBoth, Description: "Instruction set, as compilers name it: gfx942."}
	attrGFXMajor    = &describe.Attribute{Name: "gfx_major", Kind: core.KindInt, On: onBoth, Description: "Major version of the instruction set: 9 for the Instinct line, 10 to 12 for RDNA."}
	attrUnits       = &describe.Attribute{Name: "compute_units", Kind: core.KindInt, On: onBoth, Description: "Compute units of the device: a partition's own."}
	attrXCC         = &describe.Attribute{Name: "xcc", Kind: core.KindInt, On: onBoth, Description: "Compute dies (XCC) of the device: a partition's own."}
	attrPCIID       = &describe.Attribute{Name: "pci_id", Kind: core.KindString, On: onBoth, Description: "PCI device number: 0x74a1."}
	attrRevision    = &describe.Attribute{Name: "pci_revision", Kind: core.KindString, On: onBoth, Description: "PCI revision: 0x00. Models that share a device number differ in it."}
	attrForm        = &describe.Attribute{Name: "form_factor", Kind: core.KindString, On: onBoth, Description: "oam for a module, cem for a plug-in card."}
	attrMemoryMaker = &describe.Attribute{Name: "memory_vendor", Kind: core.KindString, On: onBoth, Description: "Maker of the memory."}
	attrNUMA        = &describe.Attribute{Name: "numa_node", Kind: core.KindString, On: onBoth, Description: "NUMA node that the GPU is near to, as node0. Only if all GPUs of the group are near the same one; a job's numa block works in any case."}
	attrXGMI        = &describe.Attribute{Name: "xgmi", Kind: core.KindBool, On: onBoth, Description: "Whether the GPU is linked to others by XGMI."}
	attrHive        = &describe.Attribute{Name: "xgmi_hive", Kind: core.KindString, On: onBoth, Description: "Number of the hive, the set of GPUs that XGMI links. Only if all GPUs of the group are in the same one."}
	attrECC         = &describe.Attribute{Name: "ecc", Kind: core.KindBool, On: onBoth, Description: "Whether memory errors are corrected and counted."}
	attrAPU         = &describe.Attribute{Name: "apu", Kind: core.KindBool, On: onGPU, Description: "Whether the GPU is part of a processor."}
	attrCompute     = &describe.Attribute{Name: "compute_partition", Kind: core.KindString, On: onBoth, Description: "How the GPU is divided: spx, dpx, tpx, qpx or cpx. Absent where it cannot be."}
	attrMemPart     = &describe.Attribute{Name: "memory_partition", Kind: core.KindString, On: onBoth, Description: "How its memory is divided: nps1 to nps8. Absent where it cannot be."}
	attrPartitions  = &describe.Attribute{Name: "partitions", Kind: core.KindInt, On: onBoth, Description: "Number of partitions of the GPU that can be used, 1 if it is whole. Absent where the GPU cannot be divided."}
	attrMEC         = &describe.Attribute{Name: "mec_firmware", Kind: core.KindInt, On: onBoth, Description: "Version of the firmware (MEC) that runs the compute queues."}
	attrSDMA        = &describe.Attribute{Name: "sdma_firmware", Kind: core.KindInt, On: onBoth, Description: "Version of the firmware of the copy engines (SDMA)."}
)

// attributes are all attributes, in the order of the page.
var attributes = []*describe.Attribute{
	attrMemory, attrPower, attrCoresClock, attrMemoryClock, attrGFX, attrGFXMajor, attrUnits, attrXCC, attrProduct,
	attrCompute, attrMemPart, attrPartitions, attrXGMI, attrHive, attrECC, attrAPU,
	attrBandwidth, attrGeneration, attrWidth, attrNUMA, attrDriver, attrDriverFrom,
	attrPCIID, attrRevision, attrForm, attrMemoryMaker, attrVBIOS, attrMEC, attrSDMA,
}

// facts gathers attributes.
type facts map[string]core.Value

// put adds what was read, unless the GPU has no such fact. What could not be read
// this time keeps the value known last.
func (f facts) put(a *describe.Attribute, v core.Value, err error) {
	switch {
	case err == nil && v.Kind() != core.KindNone:
		f[a.Name] = v
	case err != nil && !unsupported(err):
		f[a.Name] = core.Unknown()
	}
}

// readAttributes returns the attributes that all devices of the card share.
func (c *card) readAttributes(s sighting, awake bool) facts {
	f := make(facts, len(attributes))
	host := c.vendor.host
	text := func(a *describe.Attribute, name string) {
		v, err := host.ReadString(c.file(name))
		f.put(a, word(v), err)
	}
	total, err := host.ReadUint(c.file("mem_info_vram_total"))
	if total > kfd.MaxMemory {
		err = errImplausible
	}
	f.put(attrMemory, mebibytes(total), err)
	c.putPower(f, awake)
	c.putClocks(f, s, awake)
	if err == nil || !unsupported(err) { // the MI300A has neither memory of its own nor a PCIe link
		c.putLink(f, awake)
	}
	f.put(attrDriver, core.Version(s.driver.version), s.driver.err)
	f.put(attrDriverFrom, core.String(s.driver.source), s.driver.err)
	text(attrVBIOS, "vbios_version")
	text(attrMemoryMaker, "mem_info_vram_vendor")
	form, err := host.ReadString(c.file("board_info"))
	f.put(attrForm, word(strings.TrimSpace(strings.TrimPrefix(form, "type :"))), err)
	f[attrProduct.Name] = core.String(c.name)
	f[attrPCIID.Name] = core.String(fmt.Sprintf("0x%04x", s.function.Device))
	if s.onBus {
		f[attrRevision.Name] = core.String(fmt.Sprintf("0x%02x", s.function.Revision))
	}
	if s.function.NUMANode >= 0 {
		c.numaNode = s.function.NUMANode
	}
	if c.numaNode >= 0 {
		f[attrNUMA.Name] = core.String("node" + strconv.Itoa(c.numaNode))
	}
	ecc, err := host.Exists(c.file("ras/umc_err_count"))
	f.put(attrECC, core.Bool(ecc), err)
	if apu := c.isAPU(s); apu || c.hwmon.labelled {
		f[attrAPU.Name] = core.Bool(apu)
	}
	if c.mode.divisible {
		f[attrCompute.Name] = word(strings.ToLower(c.mode.compute))
		f[attrMemPart.Name] = word(strings.ToLower(c.mode.memory))
		f[attrPartitions.Name] = core.Count(int64(len(s.nodes)))
		if s.unsure != nil {
			f[attrPartitions.Name] = core.Unknown()
		}
	}
	maps.DeleteFunc(f, func(_ string, v core.Value) bool { return v.Kind() == core.KindNone })
	return f
}

// putPower adds the power cap. Cards without a default have a cap all the same;
// APUs and some virtual functions have none.
func (c *card) putPower(f facts, awake bool) {
	if !awake {
		f[attrPower.Name] = core.Unknown()
		return
	}
	var microwatts int64
	err := errNoSensor
	for _, what := range []string{"cap_default", "cap"} {
		microwatts, err = within(1, most)(c.hwmon.readChannel(c, "power1", what))
		if !unsupported(err) && !errors.Is(err, errImplausible) {
			break
		}
	}
	f.put(attrPower, core.Int((microwatts+500_000)/1_000_000, core.Watt), err)
}

// putClocks adds the highest clocks: KFD's, which are there while the GPU sleeps,
// or else the driver's tables.
func (c *card) putClocks(f facts, s sighting, awake bool) {
	var engine, memory int
	var memoryErr error
	for _, n := range s.nodes {
		engine, memory = max(engine, n.MaxClock), max(memory, n.MemoryClock)
		memoryErr = errors.Join(memoryErr, n.MemoryErr)
	}
	for _, clock := range []struct {
		attribute *describe.Attribute
		mhz       int
		err       error
		levels    string
	}{{attrCoresClock, engine, nil, "pp_dpm_sclk"}, {attrMemoryClock, memory, memoryErr, "pp_dpm_mclk"}} {
		if clock.mhz > 0 {
			f[clock.attribute.Name] = core.Int(int64(clock.mhz), core.MHz)
			continue
		}
		if !awake || clock.err != nil {
			f[clock.attribute.Name] = core.Unknown()
			continue
		}
		data, err := c.vendor.host.Read(c.file(clock.levels))
		var mhz int64
		if err == nil {
			mhz, err = parseLevels(data)
		}
		f.put(clock.attribute, core.Int(mhz, core.MHz), err)
	}
}

// putLink adds the PCIe link of the board, which stays what it is.
func (c *card) putLink(f facts, awake bool) {
	if awake && (c.link.Speed == 0 || c.link.Width == 0) {
		_, c.link = pci.ReadLinks(c.vendor.host, c.outermost())
	}
	for a, n := range map[*describe.Attribute]int{attrGeneration: c.link.Generation(), attrWidth: c.link.Width} {
		if f[a.Name] = core.Unknown(); n > 0 {
			f[a.Name] = core.Count(int64(n))
		}
	}
	f[attrBandwidth.Name] = core.Unknown()
	if rate, ok := c.link.Bandwidth(); ok {
		f[attrBandwidth.Name] = core.Int(rate, core.MBPerS)
	}
}

// outermost returns the function whose link leads from the board to the node.
func (c *card) outermost() core.PCIAddress {
	if c.bridge != "" {
		return c.bridge
	}
	return c.address
}

// withNode adds what KFD says about a device to the attributes of its card.
func withNode(shared facts, n *kfd.Node, part int) facts {
	all := maps.Clone(shared)
	if part != whole {
		delete(all, attrMemory.Name) // that is the whole GPU's
		delete(all, attrAPU.Name)
	}
	if n == nil {
		return all
	}
	if _, known := all[attrMemory.Name]; !known {
		all.put(attrMemory, mebibytes(n.Memory), n.MemoryErr)
	}
	for a, number := range map[*describe.Attribute]int{
		attrUnits: n.ComputeUnits, attrXCC: n.XCC, attrGFXMajor: n.GFXMajor(), attrMEC: n.MECFirmware, attrSDMA: n.SDMAFirmware,
	} {
		if number > 0 {
			all[a.Name] = core.Count(int64(number))
		}
	}
	if gfx := n.GFX(); gfx != "" {
		all[attrGFX.Name] = core.String(gfx)
	}
	all[attrXGMI.Name] = core.Bool(n.HiveID != 0)
	if n.HiveID != 0 {
		all[attrHive.Name] = core.String(fmt.Sprintf("0x%016x", n.HiveID))
	}
	return all
}

// word is the value of a text, none if it says nothing, or is none. A mere number is
// no text for Nomad.
func word(text string) core.Value {
	const longest = 96
	text = strings.TrimSpace(text)
	if strings.Trim(text, "0123456789") == "" || len(text) > longest || strings.ContainsFunc(text, unicode.IsControl) ||
		strings.EqualFold(text, "unknown") || strings.EqualFold(text, "n/a") {
		return core.Value{}
	}
	return core.String(text)
}

// mebibytes is the value of a size in bytes, none if it is 0.
func mebibytes(bytes uint64) core.Value {
	if bytes == 0 {
		return core.Value{}
	}
	return core.Int(int64(bytes>>20), core.MiB)
}
