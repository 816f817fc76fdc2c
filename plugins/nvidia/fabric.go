package nvidia

import (
	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// remedyFabric is for all that is wrong with a fabric.
const remedyFabric = "check nvidia-fabricmanager on the node, and nvidia-imex where the fabric spans nodes"

// Parts of the fabric's health mask (nvml.h, NVML_GPU_FABRIC_HEALTH_MASK_*),
// which drivers have that do not sum it up yet. In each, 1 means yes.
const (
	fabricDegradedShift  = 0
	fabricUnhealthyShift = 4
	fabricMaskWidth      = 0x3
)

// fabricFaults says what is wrong with the place of a GPU in its NVLink fabric.
//
// A GPU that was in the fabric and no longer is cannot be used together with the
// others, and CUDA may refuse to start on it. One that has not been in it since
// the plugin started may belong to a machine that uses no fabric on purpose, so
// that is only a remark.
func (m *healthMemory) fabricFaults(f nvml.Fabric) []core.Fault {
	joined := f.State == nvml.FabricCompleted && f.Status == nvml.Success
	waiting := f.State == nvml.FabricNotStarted || f.State == nvml.FabricInProgress
	switch {
	case joined:
		m.joined = true
		return fabricHealth(f)
	case m.joined:
		return []core.Fault{{
			Code: codeFabric, Severity: core.Soft,
			Reason: "the GPU is no longer part of its NVLink fabric",
			Remedy: remedyFabric,
		}}
	case waiting || f.State == nvml.FabricCompleted:
		return []core.Fault{{
			Code: codeFabricNotReady, Severity: core.Notice,
			Reason: "the GPU has not joined its NVLink fabric; CUDA may fail with error 802, system not yet initialized",
			Remedy: remedyFabric,
		}}
	default:
		return nil
	}
}

// fabricHealth judges the health of a fabric that the GPU is part of.
func fabricHealth(f nvml.Fabric) []core.Fault {
	yes := func(shift uint) bool { return f.HealthMask>>shift&fabricMaskWidth == 1 }
	unknown := f.Health == nvml.FabricHealthUnknown
	switch {
	case f.Health == nvml.FabricUnhealthy || unknown && yes(fabricUnhealthyShift):
		return []core.Fault{{
			Code: codeFabric, Severity: core.Soft,
			Reason: "the driver reports the NVLink fabric of the GPU as unhealthy",
			Remedy: remedyFabric,
		}}
	case f.Health == nvml.FabricHealthLimitedCapacity || unknown && yes(fabricDegradedShift):
		return []core.Fault{{
			Code: codeFabricLimited, Severity: core.Notice,
			Reason: "the NVLink fabric of the GPU has less bandwidth than it should",
			Remedy: remedyFabric,
		}}
	default:
		return nil
	}
}
