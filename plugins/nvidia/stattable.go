package nvidia

import "github.com/nomad-devices/nomad-devices/core"

// A stat is one line of the table of statistics. The code measures by it and the
// plugin's page is written from it.
type stat struct {
	name, unit, description string
	// on says which devices can have it.
	on scope
}

// scope says which devices have a statistic.
type scope uint8

const (
	onGPU scope = 1 << iota
	onMIG
	onBoth = onGPU | onMIG
)

// String returns the devices in words, for the plugin's page.
func (s scope) String() string {
	switch s {
	case onGPU:
		return "GPU"
	case onMIG:
		return "MIG"
	case onBoth:
		return "GPU, MIG"
	default:
		return "none"
	}
}

// is returns the reading of a value.
func (s *stat) is(value core.Value) core.Reading {
	return core.Reading{Name: s.name, Value: value, Unit: s.unit, Description: s.description}
}

// outOf returns the reading of a value out of a limit, if that is known.
func (s *stat) outOf(value, limit core.Value) core.Reading {
	r := s.is(value)
	if limit.Known() {
		r.Limit = limit
	}
	return r
}

// The first eleven have the names, units and descriptions of HashiCorp's plugin,
// because dashboards and scripts look for them.
var (
	statMemory = &stat{
		"Memory state", "MiB", "UsedMemory / TotalMemory", onBoth,
	}
	statPower = &stat{
		"Power usage", "W", "Power usage for this GPU in watts and its associated circuitry (e.g. memory) / Maximum GPU Power", onGPU,
	}
	statUtilization = &stat{
		"GPU utilization", "%", "Percent of time over the past sample period during which one or more kernels were executing on the GPU.", onGPU,
	}
	statMemoryUtilization = &stat{
		"Memory utilization", "%", "Percentage of bandwidth used during the past sample period", onGPU,
	}
	statEncoder = &stat{
		"Encoder utilization", "%", "Percent of time over the past sample period during which GPU Encoder was used", onGPU,
	}
	statDecoder = &stat{
		"Decoder utilization", "%", "Percent of time over the past sample period during which GPU Decoder was used", onGPU,
	}
	statTemperature = &stat{
		"Temperature", "C", "Temperature of the Unit", onGPU,
	}
	statBAR1 = &stat{
		"BAR1 buffer state", "MiB", "UsedBAR1 / TotalBAR1", onBoth,
	}
	statECCL1 = &stat{
		"ECC L1 errors", "#", "Requested L1Cache error counter for the device", onGPU,
	}
	statECCL2 = &stat{
		"ECC L2 errors", "#", "Requested L2Cache error counter for the device", onGPU,
	}
	statECCMemory = &stat{
		"ECC memory errors", "#", "Requested memory error counter for the device", onGPU,
	}
)

// What this plugin adds.
var (
	statMemoryReserved = &stat{
		"Memory reserved", "MiB", "Memory that the driver and firmware keep for themselves", onBoth,
	}
	statMemoryTemperature = &stat{
		"Memory temperature", "C", "Temperature of the memory", onGPU,
	}
	statPowerInstant = &stat{
		"Power instant", "W", "Power drawn at this moment; Power usage is an average over a second on most GPUs", onGPU,
	}
	statEnergy = &stat{
		"Energy consumption", "J", "Energy used since the driver was loaded", onGPU,
	}
	statSMClock = &stat{
		"SM clock", "MHz", "Current clock of the streaming multiprocessors", onGPU,
	}
	statMemoryClock = &stat{
		"Memory clock", "MHz", "Current clock of the memory", onGPU,
	}
	statClockReasons = &stat{
		"Clock event reasons", "", "Why the clocks are not higher at this moment: idle, a power or heat limit, a setting", onGPU,
	}
	statFan = &stat{
		"Fan speed", "%", "Intended speed of the fan; it can exceed 100", onGPU,
	}
	statProcesses = &stat{
		"Compute processes", "#", "Processes with a compute context on the device", onBoth,
	}
	statPCIeReplays = &stat{
		"PCIe replays", "#", "Packets sent again over PCIe", onGPU,
	}
	statNVLinkTX = &stat{
		"NVLink data sent", "KiB", "Payload sent over all NVLinks, a running total", onGPU,
	}
	statNVLinkRX = &stat{
		"NVLink data received", "KiB", "Payload received over all NVLinks, a running total", onGPU,
	}
	statNVLinkRecoveries = &stat{
		"NVLink recoveries", "#", "Link errors that all NVLinks recovered from", onGPU,
	}
	statECCCorrected = &stat{
		"ECC corrected errors", "#", "Corrected memory errors since the driver was loaded", onGPU,
	}
	statECCUncorrected = &stat{
		"ECC uncorrected errors", "#", "Uncorrectable memory errors since the driver was loaded", onGPU,
	}
	statECCCorrectedTotal = &stat{
		"ECC corrected errors, lifetime", "#", "Corrected memory errors over the life of the GPU", onGPU,
	}
	statECCUncorrectedTotal = &stat{
		"ECC uncorrected errors, lifetime", "#", "Uncorrectable memory errors over the life of the GPU", onGPU,
	}
	statRemappedCorrectable = &stat{
		"Remapped rows, correctable", "#", "Memory rows replaced because of correctable errors", onGPU,
	}
	statRemappedUncorrectable = &stat{
		"Remapped rows, uncorrectable", "#", "Memory rows replaced because of uncorrectable errors", onGPU,
	}
	statRemapPending = &stat{
		"Row remapping pending", "", "Whether a memory row is replaced at the next reset of the GPU", onGPU,
	}
	statRemapFailed = &stat{
		"Row remapping failed", "", "Whether a memory row could not be replaced", onGPU,
	}
	statRetiredPages = &stat{
		"Retired pages", "#", "Memory pages that the driver no longer uses, on GPUs that cannot replace rows", onGPU,
	}
	statRetiredPending = &stat{
		"Retired pages pending", "", "Whether a memory page is retired at the next load of the driver", onGPU,
	}
	statRecovery = &stat{
		"Recovery action", "", "What the driver says must be done before the GPU can be used; none if nothing", onBoth,
	}
	statLastXID = &stat{
		"Last XID", "", "Number of the last XID error since the plugin started", onBoth,
	}
	statXIDs = &stat{
		"XID errors", "#", "XID errors since the plugin started", onBoth,
	}
	statParentTemperature = &stat{
		"Parent temperature", "C", "Temperature of the whole GPU that the instance is part of", onMIG,
	}
	statParentPower = &stat{
		"Parent power usage", "W", "Power drawn by the whole GPU that the instance is part of / its limit", onMIG,
	}
)

// Utilisation from the performance counters of Hopper and newer GPUs, between
// two cycles. These are all that there is for a MIG instance.
var (
	statGPMGraphics = &stat{
		"Graphics activity", "%", "Share of the time in which any graphics or compute engine was active", onBoth,
	}
	statGPMSM = &stat{
		"SM activity", "%", "Share of the streaming multiprocessors that were busy", onBoth,
	}
	statGPMOccupancy = &stat{
		"SM occupancy", "%", "Warps that were active, of the most that the multiprocessors can hold", onBoth,
	}
	statGPMTensor = &stat{
		"Tensor activity", "%", "Share of the time in which tensor cores were active", onBoth,
	}
	statGPMDRAM = &stat{
		"DRAM activity", "%", "Memory bandwidth used, of the most that is possible", onBoth,
	}
	statGPMFP64 = &stat{
		"FP64 activity", "%", "Share of the time with FP64 arithmetic outside the tensor cores", onBoth,
	}
	statGPMFP32 = &stat{
		"FP32 activity", "%", "Share of the time with FP32 arithmetic outside the tensor cores", onBoth,
	}
	statGPMFP16 = &stat{
		"FP16 activity", "%", "Share of the time with FP16 arithmetic outside the tensor cores", onBoth,
	}
	statGPMPCIeTX = &stat{
		"PCIe sent", "MiB/s", "PCIe traffic from the GPU", onGPU,
	}
	statGPMPCIeRX = &stat{
		"PCIe received", "MiB/s", "PCIe traffic to the GPU", onGPU,
	}
	statGPMNVLinkRX = &stat{
		"NVLink receive rate", "MiB/s", "NVLink traffic to the GPU, all links", onGPU,
	}
	statGPMNVLinkTX = &stat{
		"NVLink send rate", "MiB/s", "NVLink traffic from the GPU, all links", onGPU,
	}
)

// stats is the table, in the order of the plugin's page.
var stats = []*stat{
	statMemory,
	statPower,
	statUtilization,
	statMemoryUtilization,
	statEncoder,
	statDecoder,
	statTemperature,
	statBAR1,
	statECCL1,
	statECCL2,
	statECCMemory,

	statMemoryReserved,
	statMemoryTemperature,
	statPowerInstant,
	statEnergy,
	statSMClock,
	statMemoryClock,
	statClockReasons,
	statFan,
	statProcesses,
	statPCIeReplays,
	statNVLinkTX,
	statNVLinkRX,
	statNVLinkRecoveries,
	statECCCorrected,
	statECCUncorrected,
	statECCCorrectedTotal,
	statECCUncorrectedTotal,
	statRemappedCorrectable,
	statRemappedUncorrectable,
	statRemapPending,
	statRemapFailed,
	statRetiredPages,
	statRetiredPending,
	statRecovery,
	statLastXID,
	statXIDs,
	statParentTemperature,
	statParentPower,

	statGPMGraphics,
	statGPMSM,
	statGPMOccupancy,
	statGPMTensor,
	statGPMDRAM,
	statGPMFP64,
	statGPMFP32,
	statGPMFP16,
	statGPMPCIeTX,
	statGPMPCIeRX,
	statGPMNVLinkRX,
	statGPMNVLinkTX,
}
