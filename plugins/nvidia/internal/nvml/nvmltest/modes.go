package nvmltest

import (
	"errors"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

func (d *device) PCIeGeneration() (int, error) {
	return known(d, nvml.CallPCIeGeneration, func(g *GPU) int { return g.PCIeGen })
}

func (d *device) PCIeWidth() (int, error) {
	return known(d, nvml.CallPCIeWidth, func(g *GPU) int { return g.PCIeWidth })
}

func (d *device) MaxPCIeGeneration() (int, error) {
	return known(d, nvml.CallMaxPCIeGeneration, func(g *GPU) int { return g.MaxPCIeGen })
}

func (d *device) GPUMaxPCIeGeneration() (int, error) {
	return known(d, nvml.CallGPUMaxPCIeGeneration, func(g *GPU) int { return g.GPUMaxPCIeGen })
}

func (d *device) MaxPCIeWidth() (int, error) {
	return known(d, nvml.CallMaxPCIeWidth, func(g *GPU) int { return g.MaxPCIeWidth })
}

func (d *device) PCIeReplays() (uint64, error) {
	return have(d, nvml.CallPCIeReplay, func(g *GPU) uint64 { return g.PCIeReplays })
}

func (d *device) NVLinkActive(link int) (bool, error) {
	return get(d, nvml.CallNVLinkState, uint64(link), func(g *GPU) (bool, nvml.Return) {
		switch {
		case len(g.NVLinks) == 0:
			return false, nvml.ErrNotSupported
		case link < 0 || link >= len(g.NVLinks):
			return false, nvml.ErrInvalidArgument
		default:
			return g.NVLinks[link], nvml.Success
		}
	})
}

func (d *device) Fabric() (nvml.Fabric, error) {
	f, err := known(d, nvml.CallFabricV, func(g *GPU) nvml.Fabric { return g.Fabric })
	if errors.Is(err, nvml.ErrFunctionNotFound) {
		return known(d, nvml.CallFabric, func(g *GPU) nvml.Fabric { return g.Fabric })
	}
	return f, err
}

func (d *device) DisplayMode() (bool, error) {
	return have(d, nvml.CallDisplayMode, func(g *GPU) bool { return g.Display })
}

func (d *device) PersistenceMode() (bool, error) {
	return have(d, nvml.CallPersistenceMode, func(g *GPU) bool { return g.Persistence })
}

func (d *device) ECCMode() (current, pending bool, err error) {
	p, err := have(d, nvml.CallECCMode, func(g *GPU) [2]bool { return [2]bool{g.ECC, g.ECCPending} })
	return p[0], p[1], err
}

func (d *device) ComputeMode() (nvml.ComputeMode, error) {
	return have(d, nvml.CallComputeMode, func(g *GPU) nvml.ComputeMode { return g.ComputeMode })
}

func (d *device) Virtualization() (nvml.Virtualization, error) {
	return have(d, nvml.CallVirtualization, func(g *GPU) nvml.Virtualization { return g.Virtualization })
}

func (d *device) AddressingMode() (nvml.AddressingMode, error) {
	return have(d, nvml.CallAddressingMode, func(g *GPU) nvml.AddressingMode { return g.Addressing })
}

func (d *device) MemoryErrors(t nvml.ErrorType, s nvml.CounterScope, l nvml.Location) (uint64, error) {
	arg := uint64(t)<<16 | uint64(s)<<8 | uint64(l)
	return get(d, nvml.CallMemoryErrors, arg, func(g *GPU) (uint64, nvml.Return) {
		if n, ok := g.MemoryErrors[Counter{t, s, l}]; ok {
			return n, nvml.Success
		}
		return 0, nvml.ErrNotSupported
	})
}

func (d *device) TotalECCErrors(t nvml.ErrorType, s nvml.CounterScope) (uint64, error) {
	return get(d, nvml.CallTotalECCErrors, uint64(t)<<8|uint64(s), func(g *GPU) (uint64, nvml.Return) {
		if !g.ECC {
			return 0, nvml.ErrNotSupported
		}
		var total uint64
		for c, n := range g.MemoryErrors {
			if c.Type == t && c.Scope == s {
				total += n
			}
		}
		return total, nvml.Success
	})
}

func (d *device) SRAMECC() (nvml.SRAMECC, error) {
	return have(d, nvml.CallSRAMECC, func(g *GPU) nvml.SRAMECC { return g.SRAM })
}

func (d *device) RemappedRows() (nvml.RemappedRows, error) {
	return get(d, nvml.CallRemappedRows, 0, func(g *GPU) (nvml.RemappedRows, nvml.Return) { return g.Remapped, split(g) })
}

func (d *device) RetiredPagesPending() (bool, error) {
	return have(d, nvml.CallRetiredPagesPending, func(g *GPU) bool { return g.RetiredPending })
}

func (d *device) Unrepairable() (bool, error) {
	return have(d, nvml.CallUnrepairable, func(g *GPU) bool { return g.Unrepairable })
}

func (d *device) FieldValues(fields ...nvml.Field) ([]nvml.FieldValue, error) {
	return d.gate.Fields(fields, func(ask []nvml.Field, out []nvml.FieldValue) nvml.Return {
		r := d.lib.enter(nvml.CallFieldValues, d.gpu)
		if r != nvml.Success {
			return r
		}
		d.lib.Update(func() {
			for i, f := range ask {
				if n, ok := d.gpu.Fields[f]; ok {
					out[i] = nvml.UintField(f, n)
				} else {
					out[i].Return = nvml.ErrNotSupported
				}
			}
		})
		return nvml.Success
	})
}

func (d *device) MIGMode() (current, pending bool, err error) {
	p, err := get(d, nvml.CallMIGMode, 0, func(g *GPU) ([2]bool, nvml.Return) {
		if g.Slots == nil && !g.MIG {
			return [2]bool{}, nvml.ErrNotSupported
		}
		return [2]bool{g.MIG, g.MIGPending}, nvml.Success
	})
	return p[0], p[1], err
}

func (d *device) MaxMIGDevices() (int, error) {
	return have(d, nvml.CallMaxMIGDevices, func(g *GPU) int { return max(7, len(g.Slots)) })
}

func (d *device) MIGDevice(slot int) (nvml.Device, error) {
	m, err := get(d, nvml.CallMIGDevice, uint64(slot), func(g *GPU) (*GPU, nvml.Return) {
		if !g.MIG || slot >= len(g.Slots) || g.Slots[slot] == nil {
			return nil, nvml.ErrNotFound
		}
		return g.Slots[slot], nvml.Success
	})
	if err != nil {
		return nil, err
	}
	return &device{lib: d.lib, gpu: m, gate: d.lib.gate()}, nil
}

func (d *device) GPUInstance() (int, error) {
	return have(d, nvml.CallGPUInstance, func(g *GPU) int { return g.GI })
}

func (d *device) ComputeInstance() (int, error) {
	return have(d, nvml.CallComputeInstance, func(g *GPU) int { return g.CI })
}

func (d *device) MIGAttributes() (nvml.MIGAttributes, error) {
	return known(d, nvml.CallMIGAttributes, func(g *GPU) nvml.MIGAttributes { return g.MIGAttributes })
}
