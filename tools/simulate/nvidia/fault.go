package nvidia

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	Name    string
	Summary string // one line: what a program sees
	// needs is a key without which a GPU cannot have the fault; empty: any can.
	needs string
	// set has keys of the GPU; "+1" counts a number up. Keys that the GPU does
	// not have are left out, except those that every GPU may have.
	set    []string
	events []string
}

// faults are what Break knows. Codes and XIDs as in nvml.h and NVIDIA's XID
// catalogue (docs.nvidia.com/deploy/xid-errors).
var faults = []Fault{
	{
		Name: "ecc", Summary: "uncorrectable memory error (XID 48), a row waits for its remapping, drain and reset",
		needs:  "ecc.uncorrected.volatile.dram",
		set:    []string{"ecc.uncorrected.volatile.dram=+1", "ecc.uncorrected.aggregate.dram=+1", "remap.pending=1", "retired.double_bit=+1", "retired.pending=1", "recovery_action=4"},
		events: []string{"ecc-double", "xid 48"},
	},
	{
		Name: "fabric", Summary: "the fabric reports the GPU unhealthy",
		needs: "fabric.state",
		set:   []string{"fabric.health_mask=0x519a", "fabric.health_summary=2", "fabric.status=999"},
	},
	{
		Name: "hang", Summary: "no call for the GPU returns",
		set: []string{"call.*.hang=true"},
	},
	{
		Name: "hot", Summary: "the GPU slows down because of its temperature",
		needs: "temperature",
		set:   []string{"temperature=91", "clocks_event_reasons=0x60", "clock.graphics=210", "clock.sm=210"},
	},
	{
		Name: "lost", Summary: "every call answers GPU_IS_LOST, without an event",
		set: []string{"lost=true"},
	},
	{
		Name: "no-permission", Summary: "every call answers NO_PERMISSION",
		set: []string{"call.*.return=4"},
	},
	{
		Name: "nvlink", Summary: "one link is down (XID 74)",
		needs:  "nvlink.links",
		set:    []string{"nvlink.recovery_errors=+1", "nvlink.0.state=0"},
		events: []string{"xid 74"},
	},
	{
		Name: "recovery-drain-p2p", Summary: "recovery action: drain peer-to-peer",
		needs: "recovery_action",
		set:   []string{"recovery_action=3"},
	},
	{
		Name: "recovery-drain-reset", Summary: "recovery action: drain and reset",
		needs: "recovery_action",
		set:   []string{"recovery_action=4"},
	},
	{
		Name: "recovery-reboot", Summary: "recovery action: reboot the node",
		needs: "recovery_action",
		set:   []string{"recovery_action=2"},
	},
	{
		Name: "recovery-reset", Summary: "recovery action: reset the GPU",
		needs: "recovery_action",
		set:   []string{"recovery_action=1"},
	},
	{
		Name: "remap-failure", Summary: "a row could not be remapped (XID 64): reset and replace",
		needs:  "remap.failure",
		set:    []string{"remap.failure=1", "remap.uncorrected=+1", "recovery_action=1"},
		events: []string{"xid 64"},
	},
	{
		Name: "remap-pending", Summary: "a row is remapped at the next reset (XID 63): usable until then",
		needs:  "remap.pending",
		set:    []string{"remap.pending=1", "remap.uncorrected=+1"},
		events: []string{"xid 63"},
	},
	{
		Name: "removed", Summary: "the GPU is gone from NVML, sysfs, /proc and /dev",
		set: []string{"present=false"},
	},
	{
		Name: "reset-required", Summary: "every call answers RESET_REQUIRED",
		set: []string{"call.*.return=16"},
	},
	{
		Name: "slow", Summary: "every call takes two seconds",
		set: []string{"call.*.latency_us=2000000"},
	},
	{
		Name: "xid31", Summary: "a program of a task did wrong (XID 31): the GPU stays usable",
		events: []string{"xid 31"},
	},
	{
		Name: "xid79", Summary: "the GPU has fallen off the bus (XID 79): every call answers GPU_IS_LOST",
		set:    []string{"lost=true"},
		events: []string{"xid 79"},
	},
	{
		Name: "xid94", Summary: "contained memory error (XID 94): one program dies, the GPU stays usable",
		set:    []string{"ecc.uncorrected.volatile.sram=+1"},
		events: []string{"xid 94"},
	},
	{
		Name: "xid119", Summary: "the GPU's system processor does not answer (XID 119), reset the GPU",
		set:    []string{"recovery_action=1"},
		events: []string{"xid 119"},
	},
}

// Faults gives what Break knows, by name.
func Faults() []Fault { return slices.Clone(faults) }

// always has the keys that a GPU need not have for a fault to set them.
func always(key string) bool {
	return key == "lost" || key == "present" || strings.HasPrefix(key, "call.") || strings.HasSuffix(key, ".state")
}

// Break gives a GPU a fault by name.
func (m *Machine) Break(gpu int, fault string) error {
	i := slices.IndexFunc(faults, func(f Fault) bool { return f.Name == fault })
	if i < 0 {
		var names []string
		for _, f := range faults {
			names = append(names, f.Name)
		}
		return fmt.Errorf("there is no fault %q: use one of %s", fault, strings.Join(names, ", "))
	}
	return m.editGPU(gpu, func(f *scenario.File, v view) error { return faults[i].apply(f, v, gpu) })
}

func (fault Fault) apply(f *scenario.File, v view, gpu int) error {
	before := v.gpu(gpu, "recovery_action")
	if fault.needs != "" && v.gpu(gpu, fault.needs) == "" {
		return fmt.Errorf("GPU %d (%s) cannot have the fault %s: it has no %s", gpu, v.gpu(gpu, "name"), fault.Name, fault.needs)
	}
	for _, assignment := range fault.set {
		key, value, _ := strings.Cut(assignment, "=")
		if v.gpu(gpu, key) == "" && !always(key) {
			continue
		}
		if value == "+1" {
			value = strconv.FormatInt(v.number(gpu, key, 0)+1, 10)
		}
		if err := f.Set(gpuKey(gpu, key), value); err != nil {
			return err
		}
	}
	for _, event := range fault.events {
		if (event == "ecc-double" && !v.supportsEvent(gpu, eventDoubleBit)) || (event != "ecc-double" && !v.supportsEvent(gpu, eventXID)) {
			continue
		}
		if err := addEvent(f, gpu, event); err != nil {
			return err
		}
	}
	return addRecoveryEvent(f, v, gpu, before)
}

// addRecoveryEvent tells the waiting that the recovery action is another now.
func addRecoveryEvent(f *scenario.File, v view, gpu int, before string) error {
	after := newView(f).gpu(gpu, "recovery_action")
	if after == before || !v.supportsEvent(gpu, eventRecoveryAction) {
		return nil
	}
	return addEvent(f, gpu, "recovery-action")
}

func (v view) supportsEvent(gpu int, bit int64) bool {
	return v.number(gpu, "events", 0)&bit != 0
}

// Repair takes all faults from a GPU: what a fault can change is again as it was
// when the machine was started.
func (m *Machine) Repair(gpu int) error {
	origin, err := m.origin()
	if err != nil {
		return err
	}
	return m.editGPU(gpu, func(f *scenario.File, v view) error {
		before := v.gpu(gpu, "recovery_action")
		keys := make(map[string]bool)
		for _, fault := range faults {
			for _, assignment := range fault.set {
				key, _, _ := strings.Cut(assignment, "=")
				keys[gpuKey(gpu, key)] = true
			}
		}
		for key := range f.All() {
			if strings.HasPrefix(key, gpuKey(gpu, "call.")) {
				keys[key] = true
			}
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			value, ok := origin.Get(key)
			if !ok {
				f.Unset(key)
				continue
			}
			if err := f.Set(key, value); err != nil {
				return err
			}
		}
		return addRecoveryEvent(f, v, gpu, before)
	})
}
