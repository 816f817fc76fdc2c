package nvidia

import (
	"slices"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// Bits of the "events" key that the package itself asks for.
const (
	eventXID            = 0x8
	eventMIG            = 0x100
	eventRecoveryAction = 0x8000
	eventDoubleBit      = 0x2
)

// Fault is a way to break a GPU.
type Fault struct {
	machine.Fault
	// events are what the driver tells the waiting.
	events []string
}

// faults are what Break knows. Codes and XIDs as in nvml.h and NVIDIA's XID
// catalogue (docs.nvidia.com/deploy/xid-errors).
var faults = []Fault{
	{Fault: machine.Fault{
		Name: "ecc", Summary: "uncorrectable memory error (XID 48), a row waits for its remapping, drain and reset",
		Needs:  "ecc.uncorrected.volatile.dram",
		Change: []string{"ecc.uncorrected.volatile.dram=+1", "ecc.uncorrected.aggregate.dram=+1", "remap.pending=1", "retired.double_bit=+1", "retired.pending=1", "recovery_action=4"},
	}, events: []string{"ecc-double", "xid 48"}},
	{Fault: machine.Fault{
		Name: "fabric", Summary: "the fabric reports the GPU unhealthy",
		Needs:  "fabric.state",
		Change: []string{"fabric.health_mask=0x519a", "fabric.health_summary=2", "fabric.status=999"},
	}},
	{Fault: machine.Fault{
		Name: "hang", Summary: "no call for the GPU returns",
		Set: []string{"call.*.hang=true"},
	}},
	{Fault: machine.Fault{
		Name: "hot", Summary: "the GPU slows down because of its temperature",
		Needs:  "temperature",
		Change: []string{"temperature=91", "clocks_event_reasons=0x60", "clock.graphics=210", "clock.sm=210"},
	}},
	{Fault: machine.Fault{
		Name: "lost", Summary: "every call answers GPU_IS_LOST, without an event",
		Set: []string{"lost=true"},
	}},
	{Fault: machine.Fault{
		Name: "no-permission", Summary: "every call answers NO_PERMISSION",
		Set: []string{"call.*.return=4"},
	}},
	{Fault: machine.Fault{
		Name: "nvlink", Summary: "one link is down (XID 74)",
		Needs:  "nvlink.links",
		Set:    []string{"nvlink.0.state=0"},
		Change: []string{"nvlink.recovery_errors=+1"},
	}, events: []string{"xid 74"}},
	{Fault: machine.Fault{
		Name: "recovery-drain-p2p", Summary: "recovery action: drain peer-to-peer",
		Needs:  "recovery_action",
		Change: []string{"recovery_action=3"},
	}},
	{Fault: machine.Fault{
		Name: "recovery-drain-reset", Summary: "recovery action: drain and reset",
		Needs:  "recovery_action",
		Change: []string{"recovery_action=4"},
	}},
	{Fault: machine.Fault{
		Name: "recovery-reboot", Summary: "recovery action: reboot the node",
		Needs:  "recovery_action",
		Change: []string{"recovery_action=2"},
	}},
	{Fault: machine.Fault{
		Name: "recovery-reset", Summary: "recovery action: reset the GPU",
		Needs:  "recovery_action",
		Change: []string{"recovery_action=1"},
	}},
	{Fault: machine.Fault{
		Name: "remap-failure", Summary: "a row could not be remapped (XID 64): reset and replace",
		Needs:  "remap.failure",
		Change: []string{"remap.failure=1", "remap.uncorrected=+1", "recovery_action=1"},
	}, events: []string{"xid 64"}},
	{Fault: machine.Fault{
		Name: "remap-pending", Summary: "a row is remapped at the next reset (XID 63): usable until then",
		Needs:  "remap.pending",
		Change: []string{"remap.pending=1", "remap.uncorrected=+1"},
	}, events: []string{"xid 63"}},
	{Fault: machine.Fault{
		Name: "removed", Summary: "the GPU is gone from NVML, sysfs, /proc and /dev",
		Set: []string{"present=false"},
	}},
	{Fault: machine.Fault{
		Name: "reset-required", Summary: "every call answers RESET_REQUIRED",
		Set: []string{"call.*.return=16"},
	}},
	{Fault: machine.Fault{
		Name: "slow", Summary: "every call takes two seconds",
		Set: []string{"call.*.latency_us=2000000"},
	}},
	{Fault: machine.Fault{
		Name: "xid31", Summary: "a program of a task did wrong (XID 31): the GPU stays usable",
	}, events: []string{"xid 31"}},
	{Fault: machine.Fault{
		Name: "xid79", Summary: "the GPU has fallen off the bus (XID 79): every call answers GPU_IS_LOST",
		Set: []string{"lost=true"},
	}, events: []string{"xid 79"}},
	{Fault: machine.Fault{
		Name: "xid94", Summary: "contained memory error (XID 94): one program dies, the GPU stays usable",
		Change: []string{"ecc.uncorrected.volatile.sram=+1"},
	}, events: []string{"xid 94"}},
	{Fault: machine.Fault{
		Name: "xid119", Summary: "the GPU's system processor does not answer (XID 119), reset the GPU",
		Change: []string{"recovery_action=1"},
	}, events: []string{"xid 119"}},
}

// Faults gives what Break knows, by name.
func Faults() []Fault { return slices.Clone(faults) }

// plain gives the part of faults that all vendors have.
func plain(faults []Fault) []machine.Fault {
	all := make([]machine.Fault, 0, len(faults))
	for _, f := range faults {
		all = append(all, f.Fault)
	}
	return all
}

// broken tells the waiting of a fault, and that the recovery action is another
// now.
func broken(f *scenario.File, before machine.View, gpu int, name string) error {
	v := view{before}
	for _, fault := range faults {
		if fault.Name != name {
			continue
		}
		for _, event := range fault.events {
			if (event == "ecc-double" && !v.supportsEvent(gpu, eventDoubleBit)) || (event != "ecc-double" && !v.supportsEvent(gpu, eventXID)) {
				continue
			}
			if err := addEvent(f, gpu, event); err != nil {
				return err
			}
		}
	}
	if v.Of(f).Card(gpu, "recovery_action") == v.Card(gpu, "recovery_action") || !v.supportsEvent(gpu, eventRecoveryAction) {
		return nil
	}
	return addEvent(f, gpu, "recovery-action")
}

func (v view) supportsEvent(gpu int, bit int64) bool {
	return v.Number(gpu, "events", 0)&bit != 0
}
