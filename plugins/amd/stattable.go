package amd

import "github.com/nomad-devices/nomad-devices/core/describe"

// The statistics. Those that NVIDIA's plugin has too have its names, units and
// meaning.
var (
	statMemory = &describe.Stat{Name: "Memory state", Unit: "MiB", On: onGPU, Description: "UsedMemory / TotalMemory"}
	// A partition's own use is told by nobody; what its processes have is.
	statMemoryPartition = &describe.Stat{Name: "Memory of processes", Unit: "MiB", On: onPartition, Description: "Memory that processes on this node hold on the partition / its memory"}
	statPower           = &describe.Stat{Name: "Power usage", Unit: "W", On: onBoth, Description: "Power drawn by the whole GPU, on an APU together with the processor / its cap"}
	statUtilization     = &describe.Stat{Name: "GPU utilization", Unit: "%", On: onBoth, Description: "How busy the compute and graphics engines are; of a partition, its own"}
	statMemoryBusy      = &describe.Stat{Name: "Memory utilization", Unit: "%", On: onGPU, Description: "How busy the memory controller is"}
	statMedia           = &describe.Stat{Name: "Media utilization", Unit: "%", On: onBoth, Description: "How busy the video engines are"}
	statTemperature     = &describe.Stat{Name: "Temperature", Unit: "C", On: onBoth, Description: "Temperature of the hottest spot of the chip, or of its edge where that is all there is / the temperature at which the driver slows it down"}
	statTempEdge        = &describe.Stat{Name: "Edge temperature", Unit: "C", On: onGPU, Description: "Temperature at the edge of the chip"}
	statTempMemory      = &describe.Stat{Name: "Memory temperature", Unit: "C", On: onBoth, Description: "Temperature of the memory"}
	statCoreClock       = &describe.Stat{Name: "Core clock", Unit: "MHz", On: onBoth, Description: "Current clock of the compute and graphics engines"}
	statMemoryClock     = &describe.Stat{Name: "Memory clock", Unit: "MHz", On: onBoth, Description: "Current clock of the memory controller"}
	statVoltage         = &describe.Stat{Name: "Core voltage", Unit: "V", On: onGPU, Description: "Voltage of the engines"}
	statFan             = &describe.Stat{Name: "Fan speed", Unit: "rpm", On: onGPU, Description: "Speed of the fan / the fastest it can turn"}
	statVisible         = &describe.Stat{Name: "Visible memory", Unit: "MiB", On: onGPU, Description: "Used / all of the memory that the processor can reach through the PCI BAR"}
	statGTT             = &describe.Stat{Name: "GTT memory", Unit: "MiB", On: onGPU, Description: "Memory of the node that the GPU uses / may use"}
	statEnergy          = &describe.Stat{Name: "Energy consumption", Unit: "J", Counter: true, On: onBoth, Description: "Energy used since the firmware began to count"}
	statThrottle        = &describe.Stat{Name: "Clock event reasons", On: onBoth, Description: "What holds the clocks down at this moment, none if nothing does: PPT is power, TDC and EDC are current, TEMP is heat; behind it the part of the GPU"}
	statThrottleBits    = &describe.Stat{Name: "Throttle status", On: onBoth, Description: "What holds the clocks down, where the driver tells no names: bits that mean something else on every chip"}
	statPowerLimited    = &describe.Stat{Name: "Time at power limit", Unit: "%", On: onBoth, Description: "Share of the time since the last reading in which the power cap held the clocks down"}
	statHeatLimited     = &describe.Stat{Name: "Time at heat limit", Unit: "%", On: onBoth, Description: "Share of the time since the last reading in which heat held the clocks down: of the chip, of its memory or of its voltage regulators"}
	statProchot         = &describe.Stat{Name: "Time held from outside", Unit: "%", On: onBoth, Description: "Share of the time since the last reading in which something outside of the GPU held its clocks down"}
	statReplays         = &describe.Stat{Name: "PCIe replays", Unit: "#", Counter: true, On: onBoth, Description: "Packets that had to be sent again over PCIe"}
	statLink            = &describe.Stat{Name: "PCIe link", On: onBoth, Description: "What the board's link runs at. Idle GPUs slow it down"}
	statPCIeBandwidth   = &describe.Stat{Name: "PCIe bandwidth", Unit: "GB/s", On: onBoth, Description: "What passes over PCIe at this moment"}
	statXGMIRead        = &describe.Stat{Name: "XGMI data received", Unit: "MB", Counter: true, On: onBoth, Description: "What came over the XGMI links since the firmware began to count"}
	statXGMIWritten     = &describe.Stat{Name: "XGMI data sent", Unit: "MB", Counter: true, On: onBoth, Description: "What went over the XGMI links since the firmware began to count"}
	statUncorrected     = &describe.Stat{Name: "ECC uncorrected errors", Unit: "#", Counter: true, On: onBoth, Description: "Errors that were not corrected, of all blocks, since the driver was loaded"}
	statCorrected       = &describe.Stat{Name: "ECC corrected errors", Unit: "#", Counter: true, On: onBoth, Description: "Errors that were corrected, of all blocks, since the driver was loaded"}
	statDeferred        = &describe.Stat{Name: "ECC deferred errors", Unit: "#", Counter: true, On: onBoth, Description: "Errors in data that nobody has read since (poison), of all blocks, since the driver was loaded"}
	statRetired         = &describe.Stat{Name: "Retired pages", Unit: "#", On: onBoth, Description: "Pages of memory that were taken out of use"}
	statCorrectable     = &describe.Stat{Name: "PCIe correctable errors", Unit: "#", Counter: true, On: onBoth, Description: "Errors that the link mended by itself"}
	statProcesses       = &describe.Stat{Name: "Compute processes", Unit: "#", On: onBoth, Description: "Processes that hold memory on the device through ROCm"}
	statSleep           = &describe.Stat{Name: "Power state", On: onBoth, Description: "suspended while the GPU sleeps; its sensors are left alone then"}
)

// stats are all statistics, in the order of the page.
var stats = []*describe.Stat{
	statMemory, statMemoryPartition, statUtilization, statMemoryBusy, statMedia, statPower, statTemperature, statTempEdge, statTempMemory,
	statCoreClock, statMemoryClock, statVoltage, statFan, statVisible, statGTT, statEnergy,
	statThrottle, statThrottleBits, statPowerLimited, statHeatLimited, statProchot,
	statLink, statReplays, statPCIeBandwidth, statCorrectable, statXGMIRead, statXGMIWritten,
	statUncorrected, statCorrected, statDeferred, statRetired, statProcesses, statSleep,
}
