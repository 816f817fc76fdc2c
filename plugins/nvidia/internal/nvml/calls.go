package nvml

import "slices"

// Call is a function of NVML that this package uses.
type Call uint8

// The calls, in the order of the interfaces.
const (
	CallInit Call = iota
	CallShutdown
	CallDriverVersion
	CallCUDAVersion
	CallDeviceCount
	CallHandleByIndex
	CallHandleByPCI
	CallHandleByUUID
	CallUUID
	CallName
	CallMinor
	CallPCI
	CallBrand
	CallArchitecture
	CallComputeCapability
	CallMemoryV2
	CallMemory
	CallBAR1
	CallPowerUsage
	CallPowerLimit
	CallClock
	CallMaxClock
	CallPCIeGeneration
	CallPCIeWidth
	CallMaxPCIeGeneration
	CallMaxPCIeWidth
	CallGPUMaxPCIeGeneration
	CallPCIeReplay
	CallDisplayMode
	CallPersistenceMode
	CallECCMode
	CallMemoryErrors
	CallTotalECCErrors
	CallSRAMECC
	CallRemappedRows
	CallRetiredPagesPending
	CallUnrepairable
	CallFieldValues
	CallVBIOS
	CallSerial
	CallBoardPartNumber
	CallGSPFirmware
	CallTemperatureV
	CallTemperature
	CallFanSpeed
	CallUtilization
	CallEncoder
	CallDecoder
	CallJPEG
	CallOFA
	CallPerformanceState
	CallEventReasons
	CallThrottleReasons
	CallEnergy
	CallNVLinkState
	CallFabricV
	CallFabric
	CallComputeMode
	CallVirtualization
	CallAddressingMode
	CallCores
	CallMemoryBusWidth
	CallModuleID
	CallComputeProcesses
	CallGraphicsProcesses
	CallMPSProcesses
	CallMIGMode
	CallMaxMIGDevices
	CallMIGDevice
	CallGPUInstance
	CallComputeInstance
	CallMIGAttributes
	CallSupportedEvents
	CallRegisterEvents
	CallEventSetCreate
	CallEventSetWait
	CallEventSetFree
	CallGPMSupport
	CallGPMSampleAlloc
	CallGPMSampleFree
	CallGPMSampleGet
	CallGPMMIGSampleGet
	CallGPMMetricsGet
	callCount
)

// symbols holds the C names of each call. Where there are several, go-nvml binds
// the first that the library has (its updateVersionedSymbols); the last is what
// it calls when it has none of them, so all must be missing for the call to be
// impossible.
var symbols = [callCount][]string{
	CallInit:                 {"nvmlInit_v2", "nvmlInit"},
	CallShutdown:             {"nvmlShutdown"},
	CallDriverVersion:        {"nvmlSystemGetDriverVersion"},
	CallCUDAVersion:          {"nvmlSystemGetCudaDriverVersion_v2"},
	CallDeviceCount:          {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
	CallHandleByIndex:        {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	CallHandleByPCI:          {"nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId"},
	CallHandleByUUID:         {"nvmlDeviceGetHandleByUUID"},
	CallUUID:                 {"nvmlDeviceGetUUID"},
	CallName:                 {"nvmlDeviceGetName"},
	CallMinor:                {"nvmlDeviceGetMinorNumber"},
	CallPCI:                  {"nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetPciInfo_v2", "nvmlDeviceGetPciInfo"},
	CallBrand:                {"nvmlDeviceGetBrand"},
	CallArchitecture:         {"nvmlDeviceGetArchitecture"},
	CallComputeCapability:    {"nvmlDeviceGetCudaComputeCapability"},
	CallMemoryV2:             {"nvmlDeviceGetMemoryInfo_v2"},
	CallMemory:               {"nvmlDeviceGetMemoryInfo"},
	CallBAR1:                 {"nvmlDeviceGetBAR1MemoryInfo"},
	CallPowerUsage:           {"nvmlDeviceGetPowerUsage"},
	CallPowerLimit:           {"nvmlDeviceGetEnforcedPowerLimit"},
	CallClock:                {"nvmlDeviceGetClockInfo"},
	CallMaxClock:             {"nvmlDeviceGetMaxClockInfo"},
	CallPCIeGeneration:       {"nvmlDeviceGetCurrPcieLinkGeneration"},
	CallPCIeWidth:            {"nvmlDeviceGetCurrPcieLinkWidth"},
	CallMaxPCIeGeneration:    {"nvmlDeviceGetMaxPcieLinkGeneration"},
	CallMaxPCIeWidth:         {"nvmlDeviceGetMaxPcieLinkWidth"},
	CallGPUMaxPCIeGeneration: {"nvmlDeviceGetGpuMaxPcieLinkGeneration"},
	CallPCIeReplay:           {"nvmlDeviceGetPcieReplayCounter"},
	CallDisplayMode:          {"nvmlDeviceGetDisplayMode"},
	CallPersistenceMode:      {"nvmlDeviceGetPersistenceMode"},
	CallECCMode:              {"nvmlDeviceGetEccMode"},
	CallMemoryErrors:         {"nvmlDeviceGetMemoryErrorCounter"},
	CallTotalECCErrors:       {"nvmlDeviceGetTotalEccErrors"},
	CallSRAMECC:              {"nvmlDeviceGetSramEccErrorStatus"},
	CallRemappedRows:         {"nvmlDeviceGetRemappedRows"},
	CallRetiredPagesPending:  {"nvmlDeviceGetRetiredPagesPendingStatus"},
	CallUnrepairable:         {"nvmlDeviceGetUnrepairableMemoryFlag_v1"},
	CallFieldValues:          {"nvmlDeviceGetFieldValues"},
	CallVBIOS:                {"nvmlDeviceGetVbiosVersion"},
	CallSerial:               {"nvmlDeviceGetSerial"},
	CallBoardPartNumber:      {"nvmlDeviceGetBoardPartNumber"},
	CallGSPFirmware:          {"nvmlDeviceGetGspFirmwareVersion"},
	CallTemperatureV:         {"nvmlDeviceGetTemperatureV"},
	CallTemperature:          {"nvmlDeviceGetTemperature"},
	CallFanSpeed:             {"nvmlDeviceGetFanSpeed"},
	CallUtilization:          {"nvmlDeviceGetUtilizationRates"},
	CallEncoder:              {"nvmlDeviceGetEncoderUtilization"},
	CallDecoder:              {"nvmlDeviceGetDecoderUtilization"},
	CallJPEG:                 {"nvmlDeviceGetJpgUtilization"},
	CallOFA:                  {"nvmlDeviceGetOfaUtilization"},
	CallPerformanceState:     {"nvmlDeviceGetPerformanceState"},
	CallEventReasons:         {"nvmlDeviceGetCurrentClocksEventReasons"},
	CallThrottleReasons:      {"nvmlDeviceGetCurrentClocksThrottleReasons"},
	CallEnergy:               {"nvmlDeviceGetTotalEnergyConsumption"},
	CallNVLinkState:          {"nvmlDeviceGetNvLinkState"},
	CallFabricV:              {"nvmlDeviceGetGpuFabricInfoV"},
	CallFabric:               {"nvmlDeviceGetGpuFabricInfo"},
	CallComputeMode:          {"nvmlDeviceGetComputeMode"},
	CallVirtualization:       {"nvmlDeviceGetVirtualizationMode"},
	CallAddressingMode:       {"nvmlDeviceGetAddressingMode"},
	CallCores:                {"nvmlDeviceGetNumGpuCores"},
	CallMemoryBusWidth:       {"nvmlDeviceGetMemoryBusWidth"},
	CallModuleID:             {"nvmlDeviceGetModuleId"},
	CallComputeProcesses:     {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", "nvmlDeviceGetComputeRunningProcesses"},
	CallGraphicsProcesses:    {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", "nvmlDeviceGetGraphicsRunningProcesses"},
	CallMPSProcesses:         {"nvmlDeviceGetMPSComputeRunningProcesses_v3", "nvmlDeviceGetMPSComputeRunningProcesses_v2", "nvmlDeviceGetMPSComputeRunningProcesses"},
	CallMIGMode:              {"nvmlDeviceGetMigMode"},
	CallMaxMIGDevices:        {"nvmlDeviceGetMaxMigDeviceCount"},
	CallMIGDevice:            {"nvmlDeviceGetMigDeviceHandleByIndex"},
	CallGPUInstance:          {"nvmlDeviceGetGpuInstanceId"},
	CallComputeInstance:      {"nvmlDeviceGetComputeInstanceId"},
	CallMIGAttributes:        {"nvmlDeviceGetAttributes_v2", "nvmlDeviceGetAttributes"},
	CallSupportedEvents:      {"nvmlDeviceGetSupportedEventTypes"},
	CallRegisterEvents:       {"nvmlDeviceRegisterEvents"},
	CallEventSetCreate:       {"nvmlEventSetCreate"},
	CallEventSetWait:         {"nvmlEventSetWait_v2", "nvmlEventSetWait"},
	CallEventSetFree:         {"nvmlEventSetFree"},
	CallGPMSupport:           {"nvmlGpmQueryDeviceSupport"},
	CallGPMSampleAlloc:       {"nvmlGpmSampleAlloc"},
	CallGPMSampleFree:        {"nvmlGpmSampleFree"},
	CallGPMSampleGet:         {"nvmlGpmSampleGet"},
	CallGPMMIGSampleGet:      {"nvmlGpmMigSampleGet"},
	CallGPMMetricsGet:        {"nvmlGpmMetricsGet"},
}

// String returns the C name of the call in the newest version that is used.
func (c Call) String() string {
	if c >= callCount {
		return "unknown NVML call"
	}
	return symbols[c][0]
}

// Calls returns all calls that this package can make.
func Calls() []Call {
	all := make([]Call, callCount)
	for i := range all {
		all[i] = Call(i)
	}
	return all
}

// Symbols is the set of calls that a library offers. It is immutable.
type Symbols struct{ missing [callCount]bool }

// LookUp asks has for the C names of every call. has reports whether the loaded
// library has a symbol of that name.
func LookUp(has func(symbol string) bool) *Symbols {
	s := new(Symbols)
	for call, names := range symbols {
		s.missing[call] = !slices.ContainsFunc(names, has)
	}
	return s
}

// Has reports whether the call can be made.
func (s *Symbols) Has(c Call) bool { return c < callCount && !s.missing[c] }
