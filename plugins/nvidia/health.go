package nvidia

import (
	"fmt"
	"slices"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// The codes of the faults that a scan or an event can find. XIDs have codes of
// their own, see [xidPolicy].
const (
	codeLost           = "lost"
	codeResetRequired  = "reset-required"
	codeUnreadable     = "health-unreadable"
	codeRecovery       = "recovery-action"
	codeRemapFailed    = "row-remap-failure"
	codeRemapPending   = "row-remap-pending"
	codeUnrepairable   = "memory-unrepairable"
	codeBadPage        = "bad-page-in-use"
	codePagesPending   = "page-retirement-pending"
	codeUncorrectable  = "ecc-uncorrectable"
	codePoison         = "fatal-poison"
	codeUnavailable    = "gpu-unavailable"
	codeFabric         = "fabric"
	codeFabricNotReady = "fabric-not-ready"
	codeFabricLimited  = "fabric-limited"
)

// healthFields is what a scan asks about the health of a GPU, in one call.
var healthFields = nvml.Fields(
	nvml.FieldRecoveryAction,
	nvml.FieldRemapFailure,
	nvml.FieldRemapPending,
	nvml.FieldBankRemapPending,
	nvml.FieldRetiredPending,
	nvml.FieldRetiredPendingDouble,
	nvml.FieldECCDoubleVolatile,
)

// vitals are the fields of one scan that have a value.
type vitals map[nvml.FieldID]uint64

// is reports whether a field that answers yes or no says yes.
func (v vitals) is(id nvml.FieldID) bool { return v[id] != 0 }

// has reports whether a field has a value at all.
func (v vitals) has(id nvml.FieldID) bool { _, ok := v[id]; return ok }

// healthMemory is what the health of a card needs from scan to scan. Like
// everything of a card it is used by one call at a time.
type healthMemory struct {
	last         vitals
	unrepairable bool
	joined       bool // the GPU was part of its fabric once
	// gone says that the GPU or its driver was away since the last examination.
	gone bool
}

// lost is what the error of a call means for a GPU that could not be read at
// all.
func (m *healthMemory) lost(err error) core.Fault {
	m.gone = m.gone || nvml.ClassOf(err) == nvml.ClassLost
	return callFault(err)
}

// examine says what is wrong with a GPU, and which latched faults the driver
// disproves. fabric is what this scan learned about its NVLink fabric; the zero
// Fabric is none.
//
// A GPU that was lost and answers again was reset, or its driver was loaded anew:
// by itself none comes back. That disproves all that happened before, also where
// the driver has no recovery action to tell of.
//
// It makes one call, and a second one where the driver can tell of memory that
// is beyond repair.
func (m *healthMemory) examine(gpu nvml.Device, fabric nvml.Fabric, policy xidPolicy) (faults []core.Fault, cleared []string) {
	faults, cleared = m.checkup(gpu.FieldValues, policy)
	if slices.ContainsFunc(faults, func(f core.Fault) bool { return f.Code == codeLost }) {
		m.gone = true
		return faults, cleared // each further call would only take its time to say so
	}
	if m.gone && !slices.ContainsFunc(faults, func(f core.Fault) bool { return severe(f.Err) }) {
		m.gone, cleared = false, []string{"*"}
	}
	if bad, err := gpu.Unrepairable(); err == nil {
		m.unrepairable = bad
	}
	if m.unrepairable {
		faults = append(faults, core.Fault{
			Code: codeUnrepairable, Severity: core.Hard,
			Reason: "the memory of the GPU has damage beyond repair",
			Remedy: "run NVIDIA's field diagnostics; the board is likely to need replacement",
		})
	}
	return append(faults, m.fabricFaults(fabric)...), cleared
}

// checkup reads the health fields of a GPU and judges them. fresh says that the
// driver itself answered for the recovery action in this scan.
//
// A field that cannot be read this time keeps its last value: a fault must not
// vanish because reading it failed.
func (m *healthMemory) checkup(read func(...nvml.Field) ([]nvml.FieldValue, error), policy xidPolicy) (faults []core.Fault, cleared []string) {
	values, err := read(healthFields...)
	if nvml.Unsupported(err) {
		return nil, nil
	}
	now, fresh := vitals{}, false
	for _, v := range values {
		n, ok := v.Uint()
		switch {
		case ok:
			now[v.Field.ID] = n
			fresh = fresh || v.Field.ID == nvml.FieldRecoveryAction
		case severe(v.Err):
			err = v.Err
		case !nvml.Unsupported(v.Err):
			if n, ok := m.last[v.Field.ID]; ok {
				now[v.Field.ID] = n
			}
		}
	}
	if err != nil {
		faults = append(faults, callFault(err))
		if values == nil {
			now = m.last
		}
	}
	m.last = now
	faults = append(faults, judge(now)...)
	if fresh && err == nil && now[nvml.FieldRecoveryAction] == recoveryNone {
		cleared = policy.clearedByDriver()
	}
	return faults, cleared
}

// severe reports whether an error says that the GPU itself is unusable.
func severe(err error) bool {
	switch nvml.ClassOf(err) {
	case nvml.ClassLost, nvml.ClassResetRequired:
		return true
	default:
		return false
	}
}

// callFault is what the error of a call means for the GPU that was asked.
func callFault(err error) core.Fault {
	switch nvml.ClassOf(err) {
	case nvml.ClassLost:
		return core.Fault{
			Code: codeLost, Severity: core.Hard, Err: err,
			Reason: "the GPU has fallen off the bus or is otherwise out of reach",
			Remedy: "look at the kernel log (dmesg) for XID 79, then " + remedyReboot +
				"; if it happens again, check power, cooling and the seating of the board",
		}
	case nvml.ClassResetRequired:
		return core.Fault{
			Code: codeResetRequired, Severity: core.Hard, Err: err,
			Reason: "the driver refuses to use the GPU: " + err.Error(),
			Remedy: remedyReset + "; if that does not help, " + remedyReboot,
		}
	default:
		return core.Fault{
			Code: codeUnreadable, Severity: core.Soft, Err: err,
			Reason: "the health of the GPU cannot be read: " + err.Error(),
			Remedy: "look at the kernel log (dmesg)",
		}
	}
}

// judge says what the fields mean. It leaves the judgement about memory errors
// to the driver wherever that has one:
//
// An uncorrectable error alone is no reason to take a GPU away. On Ampere and
// newer it ends the application that met it, the row is replaced at the next
// reset, and NVIDIA says that new work may be started until then. Where the
// error could not be contained, the driver reports XID 95 and asks for a reset
// through the recovery action. GPUs that retire pages instead of rows go on
// handing out the page with the error until the driver is loaded anew: there a
// pending retirement after a double bit error is a fault.
func judge(v vitals) []core.Fault {
	var faults []core.Fault
	add := func(f core.Fault) { faults = append(faults, f) }

	if action := v[nvml.FieldRecoveryAction]; action != recoveryNone {
		add(recoveryFault(action))
	}
	if v.is(nvml.FieldRemapFailure) {
		add(core.Fault{
			Code: codeRemapFailed, Severity: core.Hard,
			Reason: "a memory row with errors could not be replaced",
			Remedy: "run NVIDIA's field diagnostics; the board is likely to need replacement",
		})
	}
	if v.is(nvml.FieldRemapPending) || v.is(nvml.FieldBankRemapPending) {
		add(core.Fault{
			Code: codeRemapPending, Severity: core.Notice,
			Reason: "a memory row with errors is replaced at the next reset of the GPU",
			Remedy: "reset it at the next opportunity: " + remedyReset,
		})
	}
	rows, decided := v.has(nvml.FieldRemapFailure), v.has(nvml.FieldRecoveryAction)
	switch {
	case !rows && !decided && v.is(nvml.FieldRetiredPendingDouble):
		add(core.Fault{
			Code: codeBadPage, Severity: core.Hard,
			Reason: "a memory page had a double bit error and is in use until the driver is loaded again",
			Remedy: remedyReset,
		})
	case v.is(nvml.FieldRetiredPending) || v.is(nvml.FieldRetiredPendingDouble):
		add(core.Fault{
			Code: codePagesPending, Severity: core.Notice,
			Reason: "a memory page with errors is retired when the driver is loaded again",
			Remedy: "reset the GPU at the next opportunity: " + remedyReset,
		})
	case v.is(nvml.FieldECCDoubleVolatile) && !v.is(nvml.FieldRemapPending):
		add(core.Fault{
			Code: codeUncorrectable, Severity: core.Notice,
			Reason: "the GPU had uncorrectable memory errors since its driver was loaded",
			Remedy: "applications that met one were ended; watch whether it happens again",
		})
	}
	return faults
}

// recoveryNone is the recovery action of a GPU that can be used: "the GPU can be
// immediately used again" (NVIDIA GPU Memory Error Management, "Error Recovery
// and Response Flags").
const recoveryNone = 0

// recoveryActions are the values of field 230 (nvml.h,
// nvmlDeviceGpuRecoveryAction_t): how each is called, and what an operator does.
var recoveryActions = []struct{ name, remedy string }{
	{"none", ""},
	{"reset the GPU", remedyReset},
	{"reboot the node", remedyReboot},
	{"drain peer-to-peer traffic", "stop the tasks that use peer-to-peer access to this GPU; it returns by itself"},
	{"drain and reset the GPU", "let the running tasks finish; then " + remedyReset},
	{"recover the IMEX domain", "recover the IMEX domain of the node, see nvidia-imex-ctl"},
	{"reset the bus of the GPU", "drain the node, stop the Nomad client and reset the PCI device of the GPU, or reboot the node"},
	{"reboot the system", remedyReboot + ", including the baseboard and its switches"},
}

// recoveryName says a recovery action in words.
func recoveryName(action uint64) string {
	if action < uint64(len(recoveryActions)) {
		return recoveryActions[action].name
	}
	return fmt.Sprintf("number %d, which this plugin does not know", action)
}

func recoveryFault(action uint64) core.Fault {
	f := core.Fault{
		Code: codeRecovery, Severity: core.Hard,
		Reason: "the driver asks for a recovery: " + recoveryName(action),
		Remedy: "look the recovery action up in nvidia-smi -q and NVIDIA's documentation",
	}
	if action < uint64(len(recoveryActions)) {
		f.Remedy = recoveryActions[action].remedy
	}
	return f
}
