//go:build linux && cgo

package nvmltest

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// readers are the calls that read one GPU, by the C function behind each.
var readers = []struct {
	symbol string
	read   func(nvml.Device) ([]any, nvml.Return)
}{
	{"nvmlDeviceGetUUID", one(nvml.Device.GetUUID)},
	{"nvmlDeviceGetName", one(nvml.Device.GetName)},
	{"nvmlDeviceGetMinorNumber", one(nvml.Device.GetMinorNumber)},
	{"nvmlDeviceGetIndex", one(nvml.Device.GetIndex)},
	{"nvmlDeviceGetSerial", one(nvml.Device.GetSerial)},
	{"nvmlDeviceGetBrand", one(nvml.Device.GetBrand)},
	{"nvmlDeviceGetArchitecture", one(nvml.Device.GetArchitecture)},
	{"nvmlDeviceGetCudaComputeCapability", two(nvml.Device.GetCudaComputeCapability)},
	{"nvmlDeviceGetVbiosVersion", one(nvml.Device.GetVbiosVersion)},
	{"nvmlDeviceGetBoardPartNumber", one(nvml.Device.GetBoardPartNumber)},
	{"nvmlDeviceGetGspFirmwareVersion", one(nvml.Device.GetGspFirmwareVersion)},
	{"nvmlDeviceGetModuleId", one(nvml.Device.GetModuleId)},
	{"nvmlDeviceGetNumGpuCores", one(nvml.Device.GetNumGpuCores)},
	{"nvmlDeviceGetMemoryBusWidth", one(nvml.Device.GetMemoryBusWidth)},
	{"nvmlDeviceGetPciInfo_v3", func(d nvml.Device) ([]any, nvml.Return) {
		p, ret := d.GetPciInfo()
		var id [len(p.BusId)]byte
		for i, c := range p.BusId {
			id[i] = byte(c)
		}
		return []any{strings.TrimRight(string(id[:]), "\x00"), p.Domain, p.Bus, p.Device, p.PciDeviceId, p.PciSubSystemId}, ret
	}},
	{"nvmlDeviceGetPciInfoExt", func(d nvml.Device) ([]any, nvml.Return) {
		p, ret := d.GetPciInfoExt()
		return []any{p.Bus, p.BaseClass, p.SubClass}, ret
	}},
	{"nvmlDeviceGetMemoryInfo", one(nvml.Device.GetMemoryInfo)},
	{"nvmlDeviceGetMemoryInfo_v2", one(nvml.Device.GetMemoryInfo_v2)},
	{"nvmlDeviceGetBAR1MemoryInfo", one(nvml.Device.GetBAR1MemoryInfo)},
	{"nvmlDeviceGetPowerUsage", one(nvml.Device.GetPowerUsage)},
	{"nvmlDeviceGetEnforcedPowerLimit", one(nvml.Device.GetEnforcedPowerLimit)},
	{"nvmlDeviceGetPowerManagementLimitConstraints", two(nvml.Device.GetPowerManagementLimitConstraints)},
	{"nvmlDeviceGetTotalEnergyConsumption", one(nvml.Device.GetTotalEnergyConsumption)},
	{"nvmlDeviceGetClockInfo", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetClockInfo(nvml.CLOCK_SM)) }},
	{"nvmlDeviceGetMaxClockInfo", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetMaxClockInfo(nvml.CLOCK_MEM)) }},
	{"nvmlDeviceGetTemperature", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetTemperature(nvml.TEMPERATURE_GPU)) }},
	{"nvmlDeviceGetTemperatureV", func(d nvml.Device) ([]any, nvml.Return) {
		v, ret := d.GetTemperatureV().V1()
		return []any{v.Temperature}, ret
	}},
	{"nvmlDeviceGetTemperatureThreshold", func(d nvml.Device) ([]any, nvml.Return) {
		return flat(d.GetTemperatureThreshold(nvml.TEMPERATURE_THRESHOLD_SLOWDOWN))
	}},
	{"nvmlDeviceGetFanSpeed", one(nvml.Device.GetFanSpeed)},
	{"nvmlDeviceGetUtilizationRates", one(nvml.Device.GetUtilizationRates)},
	{"nvmlDeviceGetEncoderUtilization", two(nvml.Device.GetEncoderUtilization)},
	{"nvmlDeviceGetDecoderUtilization", two(nvml.Device.GetDecoderUtilization)},
	{"nvmlDeviceGetJpgUtilization", two(nvml.Device.GetJpgUtilization)},
	{"nvmlDeviceGetOfaUtilization", two(nvml.Device.GetOfaUtilization)},
	{"nvmlDeviceGetPerformanceState", one(nvml.Device.GetPerformanceState)},
	{"nvmlDeviceGetCurrentClocksThrottleReasons", one(nvml.Device.GetCurrentClocksThrottleReasons)},
	{"nvmlDeviceGetCurrentClocksEventReasons", one(nvml.Device.GetCurrentClocksEventReasons)},
	{"nvmlDeviceGetDisplayMode", one(nvml.Device.GetDisplayMode)},
	{"nvmlDeviceGetDisplayActive", one(nvml.Device.GetDisplayActive)},
	{"nvmlDeviceGetPersistenceMode", one(nvml.Device.GetPersistenceMode)},
	{"nvmlDeviceGetComputeMode", one(nvml.Device.GetComputeMode)},
	{"nvmlDeviceGetVirtualizationMode", one(nvml.Device.GetVirtualizationMode)},
	{"nvmlDeviceGetAddressingMode", one(nvml.Device.GetAddressingMode)},
	{"nvmlDeviceGetMaxPcieLinkGeneration", one(nvml.Device.GetMaxPcieLinkGeneration)},
	{"nvmlDeviceGetGpuMaxPcieLinkGeneration", one(nvml.Device.GetGpuMaxPcieLinkGeneration)},
	{"nvmlDeviceGetMaxPcieLinkWidth", one(nvml.Device.GetMaxPcieLinkWidth)},
	{"nvmlDeviceGetCurrPcieLinkGeneration", one(nvml.Device.GetCurrPcieLinkGeneration)},
	{"nvmlDeviceGetCurrPcieLinkWidth", one(nvml.Device.GetCurrPcieLinkWidth)},
	{"nvmlDeviceGetPcieReplayCounter", one(nvml.Device.GetPcieReplayCounter)},
	{"nvmlDeviceGetPcieThroughput", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetPcieThroughput(nvml.PCIE_UTIL_TX_BYTES)) }},
	{"nvmlDeviceGetMemoryAffinity", func(d nvml.Device) ([]any, nvml.Return) {
		return flat(d.GetMemoryAffinity(1, nvml.AFFINITY_SCOPE_NODE))
	}},
	{"nvmlDeviceGetNumaNodeId", one(nvml.Device.GetNumaNodeId)},
	{"nvmlDeviceGetEccMode", two(nvml.Device.GetEccMode)},
	{"nvmlDeviceGetTotalEccErrors", func(d nvml.Device) ([]any, nvml.Return) {
		return flat(d.GetTotalEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC))
	}},
	{"nvmlDeviceGetDetailedEccErrors", func(d nvml.Device) ([]any, nvml.Return) {
		return flat(d.GetDetailedEccErrors(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC))
	}},
	{"nvmlDeviceGetMemoryErrorCounter", func(d nvml.Device) ([]any, nvml.Return) {
		return flat(d.GetMemoryErrorCounter(nvml.MEMORY_ERROR_TYPE_CORRECTED, nvml.VOLATILE_ECC, nvml.MEMORY_LOCATION_DRAM))
	}},
	{"nvmlDeviceGetRemappedRows", func(d nvml.Device) ([]any, nvml.Return) {
		corrected, uncorrected, pending, failure, ret := d.GetRemappedRows()
		return []any{corrected, uncorrected, pending, failure}, ret
	}},
	{"nvmlDeviceGetRetiredPagesPendingStatus", one(nvml.Device.GetRetiredPagesPendingStatus)},
	{"nvmlDeviceGetSramEccErrorStatus", one(nvml.Device.GetSramEccErrorStatus)},
	{"nvmlDeviceGetRepairStatus", one(nvml.Device.GetRepairStatus)},
	{"nvmlDeviceGetNvLinkState", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetNvLinkState(0)) }},
	{"nvmlDeviceGetNvLinkVersion", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetNvLinkVersion(0)) }},
	{"nvmlDeviceGetGpuFabricInfo", one(nvml.Device.GetGpuFabricInfo)},
	{"nvmlDeviceGetGpuFabricInfoV", func(d nvml.Device) ([]any, nvml.Return) { return flat(d.GetGpuFabricInfoV().V3()) }},
	{"nvmlDeviceGetSupportedEventTypes", one(nvml.Device.GetSupportedEventTypes)},
	{"nvmlDeviceGetMigMode", two(nvml.Device.GetMigMode)},
	{"nvmlDeviceGetMaxMigDeviceCount", one(nvml.Device.GetMaxMigDeviceCount)},
	{"nvmlGpmQueryDeviceSupport", one(nvml.Device.GpmQueryDeviceSupport)},
}

func one[A any](read func(nvml.Device) (A, nvml.Return)) func(nvml.Device) ([]any, nvml.Return) {
	return func(d nvml.Device) ([]any, nvml.Return) { return flat(read(d)) }
}

func two[A, B any](read func(nvml.Device) (A, B, nvml.Return)) func(nvml.Device) ([]any, nvml.Return) {
	return func(d nvml.Device) ([]any, nvml.Return) {
		a, b, ret := read(d)
		return []any{a, b}, ret
	}
}

func flat[A any](a A, ret nvml.Return) ([]any, nvml.Return) { return []any{a}, ret }

// number decodes the value of a field.
func number(v nvml.FieldValue) any {
	bits := binary.NativeEndian.Uint64(v.Value[:])
	switch nvml.ValueType(v.ValueType) {
	case nvml.VALUE_TYPE_DOUBLE:
		return math.Float64frombits(bits)
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		return binary.NativeEndian.Uint32(v.Value[:4])
	case nvml.VALUE_TYPE_SIGNED_INT:
		return int32(binary.NativeEndian.Uint32(v.Value[:4]))
	default:
		return bits
	}
}
