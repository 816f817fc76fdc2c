package nvmltest

import (
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

type device struct {
	lib  *Library
	gpu  *GPU
	gate *nvml.Gate
}

// get makes a call of a device that has one result. ok says whether the GPU has
// such a value.
func get[T any](d *device, c nvml.Call, arg uint64, value func(g *GPU) (v T, r nvml.Return)) (T, error) {
	var v, zero T
	err := d.gate.Do(c, arg, func() nvml.Return {
		r := d.lib.enter(c, d.gpu)
		if r == nvml.Success {
			d.lib.Update(func() { v, r = value(d.gpu) })
		}
		return r
	})
	if err != nil {
		return zero, err
	}
	return v, nil
}

// have is get for a value that every GPU has.
func have[T any](d *device, c nvml.Call, value func(g *GPU) T) (T, error) {
	return get(d, c, 0, func(g *GPU) (T, nvml.Return) { return value(g), nvml.Success })
}

// text is get for a text, which is not supported when it is empty.
func text(d *device, c nvml.Call, value func(g *GPU) string) (string, error) {
	return get(d, c, 0, func(g *GPU) (string, nvml.Return) {
		if s := value(g); s != "" {
			return s, nvml.Success
		}
		return "", nvml.ErrNotSupported
	})
}

// known is get for a value that is not supported when it is zero.
func known[T comparable](d *device, c nvml.Call, value func(g *GPU) T) (T, error) {
	return get(d, c, 0, func(g *GPU) (T, nvml.Return) {
		var zero T
		if v := value(g); v != zero {
			return v, nvml.Success
		}
		return zero, nvml.ErrNotSupported
	})
}

func (d *device) Handle() nvml.Handle { return nvml.NewHandle(d.gpu) }

func (d *device) UUID() (string, error) {
	return text(d, nvml.CallUUID, func(g *GPU) string { return g.UUID })
}

func (d *device) Name() (string, error) {
	return text(d, nvml.CallName, func(g *GPU) string { return g.Name })
}

func (d *device) VBIOS() (string, error) {
	return text(d, nvml.CallVBIOS, func(g *GPU) string { return g.VBIOS })
}

func (d *device) Serial() (string, error) {
	return text(d, nvml.CallSerial, func(g *GPU) string { return g.Serial })
}

func (d *device) BoardPartNumber() (string, error) {
	return text(d, nvml.CallBoardPartNumber, func(g *GPU) string { return g.BoardPart })
}

func (d *device) GSPFirmware() (string, error) {
	return text(d, nvml.CallGSPFirmware, func(g *GPU) string { return g.GSP })
}

func (d *device) Minor() (int, error) {
	return have(d, nvml.CallMinor, func(g *GPU) int { return g.Minor })
}

func (d *device) ModuleID() (int, error) {
	return known(d, nvml.CallModuleID, func(g *GPU) int { return g.Module })
}

func (d *device) PCI() (nvml.PCI, error) {
	return have(d, nvml.CallPCI, func(g *GPU) nvml.PCI { return g.PCI })
}

func (d *device) Brand() (nvml.Brand, error) {
	return have(d, nvml.CallBrand, func(g *GPU) nvml.Brand { return g.Brand })
}

func (d *device) Architecture() (nvml.Architecture, error) {
	return have(d, nvml.CallArchitecture, func(g *GPU) nvml.Architecture { return g.Architecture })
}

func (d *device) ComputeCapability() (major, minor int, err error) {
	v, err := have(d, nvml.CallComputeCapability, func(g *GPU) [2]int { return [2]int{g.ComputeMajor, g.ComputeMinor} })
	return v[0], v[1], err
}

func (d *device) Memory() (nvml.Memory, error) {
	m, err := known(d, nvml.CallMemoryV2, func(g *GPU) nvml.Memory { return g.Memory })
	if !nvml.Unsupported(err) {
		return m, err
	}
	return known(d, nvml.CallMemory, func(g *GPU) nvml.Memory {
		return nvml.Memory{Total: g.Memory.Total, Used: g.Memory.Used + g.Memory.Reserved, Free: g.Memory.Free}
	})
}

func (d *device) BAR1() (nvml.BAR1, error) {
	return known(d, nvml.CallBAR1, func(g *GPU) nvml.BAR1 { return g.BAR1 })
}

func (d *device) Cores() (int, error) {
	return known(d, nvml.CallCores, func(g *GPU) int { return g.Cores })
}

func (d *device) MemoryBusWidth() (int, error) {
	return known(d, nvml.CallMemoryBusWidth, func(g *GPU) int { return g.BusWidth })
}

func (d *device) PowerUsage() (uint32, error) {
	return known(d, nvml.CallPowerUsage, func(g *GPU) uint32 { return g.PowerUsage })
}

func (d *device) PowerLimit() (uint32, error) {
	return known(d, nvml.CallPowerLimit, func(g *GPU) uint32 { return g.PowerLimit })
}

func (d *device) Energy() (uint64, error) {
	return known(d, nvml.CallEnergy, func(g *GPU) uint64 { return g.Energy })
}

func (d *device) clock(call nvml.Call, c nvml.Clock, clocks func(*GPU) map[nvml.Clock]uint32) (uint32, error) {
	return get(d, call, uint64(c), func(g *GPU) (uint32, nvml.Return) {
		if mhz, ok := clocks(g)[c]; ok {
			return mhz, nvml.Success
		}
		return 0, nvml.ErrNotSupported
	})
}

func (d *device) Clock(c nvml.Clock) (uint32, error) {
	return d.clock(nvml.CallClock, c, func(g *GPU) map[nvml.Clock]uint32 { return g.Clocks })
}

func (d *device) MaxClock(c nvml.Clock) (uint32, error) {
	return d.clock(nvml.CallMaxClock, c, func(g *GPU) map[nvml.Clock]uint32 { return g.MaxClocks })
}

func (d *device) EventReasons() (nvml.EventReasons, error) {
	r, err := have(d, nvml.CallEventReasons, func(g *GPU) nvml.EventReasons { return g.Reasons })
	if nvml.Unsupported(err) {
		return have(d, nvml.CallThrottleReasons, func(g *GPU) nvml.EventReasons { return g.Reasons })
	}
	return r, err
}

func (d *device) PerformanceState() (int, error) {
	return have(d, nvml.CallPerformanceState, func(g *GPU) int { return g.PState })
}

func (d *device) Temperature() (int, error) {
	t, err := known(d, nvml.CallTemperatureV, func(g *GPU) int { return g.Temperature })
	if nvml.Unsupported(err) {
		return known(d, nvml.CallTemperature, func(g *GPU) int { return g.Temperature })
	}
	return t, err
}

func (d *device) FanSpeed() (uint32, error) {
	return known(d, nvml.CallFanSpeed, func(g *GPU) uint32 { return g.FanSpeed })
}

// split reports the code of calls that do not work on a GPU with MIG on.
func split(g *GPU) nvml.Return {
	if g.MIG {
		return nvml.ErrNotSupported
	}
	return nvml.Success
}

func (d *device) Utilization() (nvml.Utilization, error) {
	return get(d, nvml.CallUtilization, 0, func(g *GPU) (nvml.Utilization, nvml.Return) { return g.Utilization, split(g) })
}

func (d *device) EncoderUtilization() (uint32, error) {
	return get(d, nvml.CallEncoder, 0, func(g *GPU) (uint32, nvml.Return) { return g.Encoder, split(g) })
}

func (d *device) DecoderUtilization() (uint32, error) {
	return get(d, nvml.CallDecoder, 0, func(g *GPU) (uint32, nvml.Return) { return g.Decoder, split(g) })
}

func (d *device) JPEGUtilization() (uint32, error) {
	return get(d, nvml.CallJPEG, 0, func(g *GPU) (uint32, nvml.Return) { return g.JPEG, split(g) })
}

func (d *device) OFAUtilization() (uint32, error) {
	return get(d, nvml.CallOFA, 0, func(g *GPU) (uint32, nvml.Return) { return g.OFA, split(g) })
}

func (d *device) ComputeProcesses() (int, error) {
	return have(d, nvml.CallComputeProcesses, func(g *GPU) int { return g.ComputeProcesses })
}

func (d *device) GraphicsProcesses() (int, error) {
	return have(d, nvml.CallGraphicsProcesses, func(g *GPU) int { return g.GraphicsProcesses })
}

func (d *device) MPSProcesses() (int, error) {
	return have(d, nvml.CallMPSProcesses, func(g *GPU) int { return g.MPSProc })
}
