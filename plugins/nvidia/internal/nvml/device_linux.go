//go:build linux && cgo

package nvml

import (
	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

type device struct {
	h    gonvml.Device
	gate *Gate
}

func newDevice(symbols *Symbols, h gonvml.Device) *device {
	return &device{h: h, gate: NewGate(symbols)}
}

func (d *device) Handle() Handle { return NewHandle(d.h) }

func (d *device) UUID() (string, error)   { return ask(d.gate, CallUUID, d.h.GetUUID) }
func (d *device) Name() (string, error)   { return ask(d.gate, CallName, d.h.GetName) }
func (d *device) Minor() (int, error)     { return ask(d.gate, CallMinor, d.h.GetMinorNumber) }
func (d *device) VBIOS() (string, error)  { return ask(d.gate, CallVBIOS, d.h.GetVbiosVersion) }
func (d *device) Serial() (string, error) { return ask(d.gate, CallSerial, d.h.GetSerial) }
func (d *device) BoardPartNumber() (string, error) {
	return ask(d.gate, CallBoardPartNumber, d.h.GetBoardPartNumber)
}

func (d *device) GSPFirmware() (string, error) {
	return ask(d.gate, CallGSPFirmware, d.h.GetGspFirmwareVersion)
}
func (d *device) ModuleID() (int, error)      { return ask(d.gate, CallModuleID, d.h.GetModuleId) }
func (d *device) Cores() (int, error)         { return ask(d.gate, CallCores, d.h.GetNumGpuCores) }
func (d *device) PowerUsage() (uint32, error) { return ask(d.gate, CallPowerUsage, d.h.GetPowerUsage) }

func (d *device) PowerLimit() (uint32, error) {
	return ask(d.gate, CallPowerLimit, d.h.GetEnforcedPowerLimit)
}

func (d *device) Energy() (uint64, error) {
	return ask(d.gate, CallEnergy, d.h.GetTotalEnergyConsumption)
}
func (d *device) FanSpeed() (uint32, error) { return ask(d.gate, CallFanSpeed, d.h.GetFanSpeed) }
func (d *device) PCIeGeneration() (int, error) {
	return ask(d.gate, CallPCIeGeneration, d.h.GetCurrPcieLinkGeneration)
}

func (d *device) PCIeWidth() (int, error) {
	return ask(d.gate, CallPCIeWidth, d.h.GetCurrPcieLinkWidth)
}

func (d *device) MaxPCIeGeneration() (int, error) {
	return ask(d.gate, CallMaxPCIeGeneration, d.h.GetMaxPcieLinkGeneration)
}

func (d *device) MaxPCIeWidth() (int, error) {
	return ask(d.gate, CallMaxPCIeWidth, d.h.GetMaxPcieLinkWidth)
}

func (d *device) GPUMaxPCIeGeneration() (int, error) {
	return ask(d.gate, CallGPUMaxPCIeGeneration, d.h.GetGpuMaxPcieLinkGeneration)
}

func (d *device) PCI() (PCI, error) {
	p, err := ask(d.gate, CallPCI, d.h.GetPciInfo)
	return PCI{Domain: p.Domain, Bus: p.Bus, Device: p.Device}, err
}

func (d *device) Brand() (Brand, error) {
	b, err := ask(d.gate, CallBrand, d.h.GetBrand)
	return Brand(b), err
}

func (d *device) Architecture() (Architecture, error) {
	a, err := ask(d.gate, CallArchitecture, d.h.GetArchitecture)
	return Architecture(a), err
}

func (d *device) ComputeCapability() (major, minor int, err error) {
	major, err = ask(d.gate, CallComputeCapability, func() (int, gonvml.Return) {
		var r gonvml.Return
		var m int
		m, minor, r = d.h.GetCudaComputeCapability()
		return m, r
	})
	if err != nil {
		return 0, 0, err
	}
	return major, minor, nil
}

func (d *device) Memory() (Memory, error) {
	m, err := ask(d.gate, CallMemoryV2, d.h.GetMemoryInfo_v2)
	if err == nil {
		return Memory{Total: m.Total, Used: m.Used, Free: m.Free, Reserved: m.Reserved, HasReserved: true}, nil
	}
	if !Unsupported(err) {
		return Memory{}, err
	}
	old, err := ask(d.gate, CallMemory, d.h.GetMemoryInfo)
	return Memory{Total: old.Total, Used: old.Used, Free: old.Free}, err
}

func (d *device) BAR1() (BAR1, error) {
	b, err := ask(d.gate, CallBAR1, d.h.GetBAR1MemoryInfo)
	return BAR1{Total: b.Bar1Total, Used: b.Bar1Used, Free: b.Bar1Free}, err
}

func (d *device) MemoryBusWidth() (int, error) {
	w, err := ask(d.gate, CallMemoryBusWidth, d.h.GetMemoryBusWidth)
	return int(w), err
}

func (d *device) Clock(c Clock) (uint32, error) {
	return askFor(d.gate, CallClock, uint64(c), func() (uint32, gonvml.Return) { return d.h.GetClockInfo(gonvml.ClockType(c)) })
}

func (d *device) MaxClock(c Clock) (uint32, error) {
	return askFor(d.gate, CallMaxClock, uint64(c), func() (uint32, gonvml.Return) { return d.h.GetMaxClockInfo(gonvml.ClockType(c)) })
}

// EventReasons asks by the new name of the call, then by the old one.
func (d *device) EventReasons() (EventReasons, error) {
	r, err := ask(d.gate, CallEventReasons, d.h.GetCurrentClocksEventReasons)
	if Unsupported(err) {
		r, err = ask(d.gate, CallThrottleReasons, d.h.GetCurrentClocksThrottleReasons)
	}
	return EventReasons(r), err
}

func (d *device) PerformanceState() (int, error) {
	s, err := ask(d.gate, CallPerformanceState, d.h.GetPerformanceState)
	if err == nil && s >= gonvml.PSTATE_UNKNOWN {
		return 0, &CallError{Call: CallPerformanceState.String(), Return: ErrNoData}
	}
	return int(s), err
}

// Temperature asks by the versioned call, then by the one it replaced.
func (d *device) Temperature() (int, error) {
	t, err := ask(d.gate, CallTemperatureV, func() (gonvml.Temperature, gonvml.Return) { return d.h.GetTemperatureV().V1() })
	if err == nil {
		return int(t.Temperature), nil
	}
	if !Unsupported(err) {
		return 0, err
	}
	old, err := ask(d.gate, CallTemperature, func() (uint32, gonvml.Return) { return d.h.GetTemperature(gonvml.TEMPERATURE_GPU) })
	return int(old), err
}

func (d *device) Utilization() (Utilization, error) {
	u, err := ask(d.gate, CallUtilization, d.h.GetUtilizationRates)
	return Utilization{GPU: u.Gpu, Memory: u.Memory}, err
}

func (d *device) EncoderUtilization() (uint32, error) {
	return d.engine(CallEncoder, d.h.GetEncoderUtilization)
}

func (d *device) DecoderUtilization() (uint32, error) {
	return d.engine(CallDecoder, d.h.GetDecoderUtilization)
}

func (d *device) JPEGUtilization() (uint32, error) { return d.engine(CallJPEG, d.h.GetJpgUtilization) }

func (d *device) OFAUtilization() (uint32, error) { return d.engine(CallOFA, d.h.GetOfaUtilization) }

// engine drops the sampling period, the second result of f.
func (d *device) engine(c Call, f func() (uint32, uint32, gonvml.Return)) (uint32, error) {
	return ask(d.gate, c, func() (uint32, gonvml.Return) {
		percent, _, r := f()
		return percent, r
	})
}

func (d *device) ComputeProcesses() (int, error) {
	return d.processes(CallComputeProcesses, d.h.GetComputeRunningProcesses)
}

func (d *device) GraphicsProcesses() (int, error) {
	return d.processes(CallGraphicsProcesses, d.h.GetGraphicsRunningProcesses)
}

func (d *device) MPSProcesses() (int, error) {
	return d.processes(CallMPSProcesses, d.h.GetMPSComputeRunningProcesses)
}

func (d *device) processes(c Call, f func() ([]gonvml.ProcessInfo, gonvml.Return)) (int, error) {
	p, err := ask(d.gate, c, f)
	return len(p), err
}
