package nvidia

import "github.com/nomad-devices/nomad-devices/core"

// A stat is one line of the table of statistics. The code measures by it and the
// plugin's page is written from it.
type stat struct {
	name, unit, description string
	// on says which devices can have it.
	on scope
	// counter is that of [core.Reading].
	counter bool
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
	return core.Reading{Name: s.name, Value: value, Unit: s.unit, Counter: s.counter, Description: s.description}
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
		name: "Memory state", unit: "MiB", description: "UsedMemory / TotalMemory", on: onBoth,
	}
	statPower = &stat{
		name: "Power usage", unit: "W", description: "Power usage for this GPU in watts and its associated circuitry (e.g. memory) / Maximum GPU Power", on: onGPU,
	}
	statUtilization = &stat{
		name: "GPU utilization", unit: "%", description: "Percent of time over the past sample period during which one or more kernels were executing on the GPU.", on: onGPU,
	}
	statMemoryUtilization = &stat{
		name: "Memory utilization", unit: "%", description: "Percentage of bandwidth used during the past sample period", on: onGPU,
	}
	statEncoder = &stat{
		name: "Encoder utilization", unit: "%", description: "Percent of time over the past sample period during which GPU Encoder was used", on: onGPU,
	}
	statDecoder = &stat{
		name: "Decoder utilization", unit: "%", description: "Percent of time over the past sample period during which GPU Decoder was used", on: onGPU,
	}
	statTemperature = &stat{
		name: "Temperature", unit: "C", description: "Temperature of the Unit", on: onGPU,
	}
	statBAR1 = &stat{
		name: "BAR1 buffer state", unit: "MiB", description: "UsedBAR1 / TotalBAR1", on: onBoth,
	}
	statECCL1 = &stat{
		name: "ECC L1 errors", unit: "#", description: "Requested L1Cache error counter for the device", on: onGPU, counter: true,
	}
	statECCL2 = &stat{
		name: "ECC L2 errors", unit: "#", description: "Requested L2Cache error counter for the device", on: onGPU, counter: true,
	}
	statECCMemory = &stat{
		name: "ECC memory errors", unit: "#", description: "Requested memory error counter for the device", on: onGPU, counter: true,
	}
)

// What this plugin adds.
var (
	statMemoryReserved = &stat{
		name: "Memory reserved", unit: "MiB", description: "Memory that the driver and firmware keep for themselves", on: onBoth,
	}
	statMemoryTemperature = &stat{
		name: "Memory temperature", unit: "C", description: "Temperature of the memory", on: onGPU,
	}
	statPowerInstant = &stat{
		name: "Power instant", unit: "W", description: "Power drawn at this moment; Power usage is an average over a second on most GPUs", on: onGPU,
	}
	statEnergy = &stat{
		name: "Energy consumption", unit: "J", description: "Energy used since the driver was loaded", on: onGPU, counter: true,
	}
	statSMClock = &stat{
		name: "SM clock", unit: "MHz", description: "Current clock of the streaming multiprocessors", on: onGPU,
	}
	statMemoryClock = &stat{
		name: "Memory clock", unit: "MHz", description: "Current clock of the memory", on: onGPU,
	}
	statClockReasons = &stat{
		name: "Clock event reasons", unit: "", description: "Why the clocks are not higher at this moment: idle, a power or heat limit, a setting", on: onGPU,
	}
	statFan = &stat{
		name: "Fan speed", unit: "%", description: "Intended speed of the fan; it can exceed 100", on: onGPU,
	}
	statProcesses = &stat{
		name: "Compute processes", unit: "#", description: "Processes with a compute context on the device", on: onBoth,
	}
	statPCIeReplays = &stat{
		name: "PCIe replays", unit: "#", description: "Packets sent again over PCIe", on: onGPU, counter: true,
	}
	statNVLinkTX = &stat{
		name: "NVLink data sent", unit: "KiB", description: "Payload sent over all NVLinks, a running total", on: onGPU, counter: true,
	}
	statNVLinkRX = &stat{
		name: "NVLink data received", unit: "KiB", description: "Payload received over all NVLinks, a running total", on: onGPU, counter: true,
	}
	statNVLinkRecoveries = &stat{
		name: "NVLink recoveries", unit: "#", description: "Link errors that all NVLinks recovered from", on: onGPU, counter: true,
	}
	statECCCorrected = &stat{
		name: "ECC corrected errors", unit: "#", description: "Corrected memory errors since the driver was loaded", on: onGPU, counter: true,
	}
	statECCUncorrected = &stat{
		name: "ECC uncorrected errors", unit: "#", description: "Uncorrectable memory errors since the driver was loaded", on: onGPU, counter: true,
	}
	statECCCorrectedTotal = &stat{
		name: "ECC corrected errors, lifetime", unit: "#", description: "Corrected memory errors over the life of the GPU", on: onGPU, counter: true,
	}
	statECCUncorrectedTotal = &stat{
		name: "ECC uncorrected errors, lifetime", unit: "#", description: "Uncorrectable memory errors over the life of the GPU", on: onGPU, counter: true,
	}
	statRemappedCorrectable = &stat{
		name: "Remapped rows, correctable", unit: "#", description: "Memory rows replaced because of correctable errors", on: onGPU,
	}
	statRemappedUncorrectable = &stat{
		name: "Remapped rows, uncorrectable", unit: "#", description: "Memory rows replaced because of uncorrectable errors", on: onGPU,
	}
	statRemapPending = &stat{
		name: "Row remapping pending", unit: "", description: "Whether a memory row is replaced at the next reset of the GPU", on: onGPU,
	}
	statRemapFailed = &stat{
		name: "Row remapping failed", unit: "", description: "Whether a memory row could not be replaced", on: onGPU,
	}
	statRetiredPages = &stat{
		name: "Retired pages", unit: "#", description: "Memory pages that the driver no longer uses, on GPUs that cannot replace rows", on: onGPU,
	}
	statRetiredPending = &stat{
		name: "Retired pages pending", unit: "", description: "Whether a memory page is retired at the next load of the driver", on: onGPU,
	}
	statRecovery = &stat{
		name: "Recovery action", unit: "", description: "What the driver says must be done before the GPU can be used; none if nothing", on: onBoth,
	}
	statLastXID = &stat{
		name: "Last XID", unit: "", description: "Number of the last XID error since the plugin started", on: onBoth,
	}
	statXIDs = &stat{
		name: "XID errors", unit: "#", description: "XID errors since the plugin started", on: onBoth, counter: true,
	}
	statParentTemperature = &stat{
		name: "Parent temperature", unit: "C", description: "Temperature of the whole GPU that the instance is part of", on: onMIG,
	}
	statParentPower = &stat{
		name: "Parent power usage", unit: "W", description: "Power drawn by the whole GPU that the instance is part of / its limit", on: onMIG,
	}
)

// Utilisation from the performance counters of Hopper and newer GPUs, between
// two cycles. These are all that there is for a MIG instance.
var (
	statGPMGraphics = &stat{
		name: "Graphics activity", unit: "%", description: "Share of the time in which any graphics or compute engine was active", on: onBoth,
	}
	statGPMSM = &stat{
		name: "SM activity", unit: "%", description: "Share of the streaming multiprocessors that were busy", on: onBoth,
	}
	statGPMOccupancy = &stat{
		name: "SM occupancy", unit: "%", description: "Warps that were active, of the most that the multiprocessors can hold", on: onBoth,
	}
	statGPMTensor = &stat{
		name: "Tensor activity", unit: "%", description: "Share of the time in which tensor cores were active", on: onBoth,
	}
	statGPMDRAM = &stat{
		name: "DRAM activity", unit: "%", description: "Memory bandwidth used, of the most that is possible", on: onBoth,
	}
	statGPMFP64 = &stat{
		name: "FP64 activity", unit: "%", description: "Share of the time with FP64 arithmetic outside the tensor cores", on: onBoth,
	}
	statGPMFP32 = &stat{
		name: "FP32 activity", unit: "%", description: "Share of the time with FP32 arithmetic outside the tensor cores", on: onBoth,
	}
	statGPMFP16 = &stat{
		name: "FP16 activity", unit: "%", description: "Share of the time with FP16 arithmetic outside the tensor cores", on: onBoth,
	}
	statGPMPCIeTX = &stat{
		name: "PCIe sent", unit: "MiB/s", description: "PCIe traffic from the GPU", on: onGPU,
	}
	statGPMPCIeRX = &stat{
		name: "PCIe received", unit: "MiB/s", description: "PCIe traffic to the GPU", on: onGPU,
	}
	statGPMNVLinkRX = &stat{
		name: "NVLink receive rate", unit: "MiB/s", description: "NVLink traffic to the GPU, all links", on: onGPU,
	}
	statGPMNVLinkTX = &stat{
		name: "NVLink send rate", unit: "MiB/s", description: "NVLink traffic from the GPU, all links", on: onGPU,
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
