//go:build linux && cgo

package nvml

import (
	"errors"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

func (d *device) PCIeReplays() (uint64, error) {
	n, err := ask(d.gate, CallPCIeReplay, d.h.GetPcieReplayCounter)
	return uint64(n), err
}

func (d *device) NVLinkActive(link int) (bool, error) {
	s, err := askFor(d.gate, CallNVLinkState, uint64(link), func() (gonvml.EnableState, gonvml.Return) { return d.h.GetNvLinkState(link) })
	return s == gonvml.FEATURE_ENABLED, err
}

// Fabric asks by the versioned call, newest form first, then by the one it
// replaced, as long as it is the driver that is too old. A device without a
// fabric says so the first time.
func (d *device) Fabric() (Fabric, error) {
	v3, err := askFor(d.gate, CallFabricV, 3, func() (gonvml.GpuFabricInfo_v3, gonvml.Return) { return d.h.GetGpuFabricInfoV().V3() })
	if err == nil {
		return Fabric{
			State: FabricState(v3.State), Status: Return(v3.Status), ClusterUUID: v3.ClusterUuid, CliqueID: v3.CliqueId,
			HealthMask: v3.HealthMask, Health: FabricHealth(v3.HealthSummary),
		}, nil
	}
	if !tooOld(err) {
		return Fabric{}, err
	}
	v2, err := askFor(d.gate, CallFabricV, 2, func() (gonvml.GpuFabricInfo_v2, gonvml.Return) { return d.h.GetGpuFabricInfoV().V2() })
	if err == nil {
		return Fabric{
			State: FabricState(v2.State), Status: Return(v2.Status), ClusterUUID: v2.ClusterUuid, CliqueID: v2.CliqueId,
			HealthMask: v2.HealthMask,
		}, nil
	}
	if !tooOld(err) {
		return Fabric{}, err
	}
	v1, err := ask(d.gate, CallFabric, d.h.GetGpuFabricInfo)
	return Fabric{State: FabricState(v1.State), Status: Return(v1.Status), ClusterUUID: v1.ClusterUuid, CliqueID: v1.CliqueId}, err
}

// tooOld reports whether an error says that the driver does not know this form
// of a call.
func tooOld(err error) bool {
	return errors.Is(err, ErrFunctionNotFound) || errors.Is(err, ErrArgumentVersion) || errors.Is(err, ErrDeprecated)
}

func (d *device) DisplayMode() (bool, error) { return d.enabled(CallDisplayMode, d.h.GetDisplayMode) }

func (d *device) PersistenceMode() (bool, error) {
	return d.enabled(CallPersistenceMode, d.h.GetPersistenceMode)
}

func (d *device) RetiredPagesPending() (bool, error) {
	return d.enabled(CallRetiredPagesPending, d.h.GetRetiredPagesPendingStatus)
}

func (d *device) enabled(c Call, f func() (gonvml.EnableState, gonvml.Return)) (bool, error) {
	s, err := ask(d.gate, c, f)
	return s == gonvml.FEATURE_ENABLED, err
}

// pair is the answer of a call that has a current and a pending value.
type pair struct{ current, pending bool }

func (d *device) ECCMode() (current, pending bool, err error) {
	p, err := ask(d.gate, CallECCMode, func() (pair, gonvml.Return) {
		c, p, r := d.h.GetEccMode()
		return pair{c == gonvml.FEATURE_ENABLED, p == gonvml.FEATURE_ENABLED}, r
	})
	return p.current, p.pending, err
}

func (d *device) ComputeMode() (ComputeMode, error) {
	m, err := ask(d.gate, CallComputeMode, d.h.GetComputeMode)
	return ComputeMode(m), err
}

func (d *device) Virtualization() (Virtualization, error) {
	v, err := ask(d.gate, CallVirtualization, d.h.GetVirtualizationMode)
	return Virtualization(v), err
}

func (d *device) AddressingMode() (AddressingMode, error) {
	m, err := ask(d.gate, CallAddressingMode, d.h.GetAddressingMode)
	return AddressingMode(m.Value), err
}

func (d *device) MemoryErrors(t ErrorType, s CounterScope, l Location) (uint64, error) {
	arg := uint64(t)<<16 | uint64(s)<<8 | uint64(l)
	return askFor(d.gate, CallMemoryErrors, arg, func() (uint64, gonvml.Return) {
		return d.h.GetMemoryErrorCounter(gonvml.MemoryErrorType(t), gonvml.EccCounterType(s), gonvml.MemoryLocation(l))
	})
}

func (d *device) TotalECCErrors(t ErrorType, s CounterScope) (uint64, error) {
	return askFor(d.gate, CallTotalECCErrors, uint64(t)<<8|uint64(s), func() (uint64, gonvml.Return) {
		return d.h.GetTotalEccErrors(gonvml.MemoryErrorType(t), gonvml.EccCounterType(s))
	})
}

func (d *device) SRAMECC() (SRAMECC, error) {
	s, err := ask(d.gate, CallSRAMECC, d.h.GetSramEccErrorStatus)
	return SRAMECC{
		AggregateCorrected: s.AggregateCor, VolatileCorrected: s.VolatileCor,
		AggregateUncorrectedParity: s.AggregateUncParity, VolatileUncorrectedParity: s.VolatileUncParity,
		AggregateUncorrectedSECDED: s.AggregateUncSecDed, VolatileUncorrectedSECDED: s.VolatileUncSecDed,
		ThresholdExceeded: s.BThresholdExceeded != 0,
	}, err
}

func (d *device) RemappedRows() (RemappedRows, error) {
	return ask(d.gate, CallRemappedRows, func() (RemappedRows, gonvml.Return) {
		c, u, pending, failure, r := d.h.GetRemappedRows()
		return RemappedRows{Correctable: uint64(c), Uncorrectable: uint64(u), Pending: pending, Failure: failure}, r
	})
}

func (d *device) Unrepairable() (bool, error) {
	s, err := ask(d.gate, CallUnrepairable, d.h.GetUnrepairableMemoryFlag_v1)
	return s.BUnrepairableMemory != 0, err
}

func (d *device) FieldValues(fields ...Field) ([]FieldValue, error) {
	return d.gate.Fields(fields, func(ask []Field, out []FieldValue) Return {
		raw := make([]gonvml.FieldValue, len(ask))
		for i, f := range ask {
			raw[i].FieldId, raw[i].ScopeId = uint32(f.ID), f.Scope
		}
		r := d.h.GetFieldValues(raw)
		for i, v := range raw {
			out[i] = FieldValue{Type: ValueType(v.ValueType), Raw: v.Value, Return: Return(v.NvmlReturn)}
		}
		return Return(r)
	})
}
