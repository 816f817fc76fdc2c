package ami

import (
	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// The codes of the family's faults.
const (
	codeUnreadable   = "state-unreadable"
	codeUnknownState = "state-unknown"
	codeInit         = "initializing"
	codeNoFirmware   = "no-controller-firmware"
	codeInitError    = "initialization-failed"
	codeShutdown     = "shut-down"
	codeCompat       = "compatibility-mode"
	codeMissingInfo  = "board-data-missing"
	codeOffTheBus    = "off-the-bus"
)

// stateFault is what a state of the driver means.
type stateFault struct {
	core.Fault
	// answers says that the card's controller can be asked for its sensors.
	answers bool
}

// states are the states that the driver gives a card (ami_top.h, ami_sysfs.c).
var states = map[string]stateFault{
	"READY": {answers: true},
	"COMPAT": {answers: true, Fault: core.Fault{
		Code: codeCompat, Severity: core.Notice,
		Reason: "the driver and the firmware of the card's controller (AMC) have versions that do not match",
		Remedy: "install the AMI driver of the card's design",
	}},
	"MISSING_INFO": {answers: true, Fault: core.Fault{
		Code: codeMissingInfo, Severity: core.Notice,
		Reason: "the card's controller did not tell all about its board",
		Remedy: "look at the kernel log (dmesg)",
	}},
	"INIT": {Fault: core.Fault{
		Code: codeInit, Severity: core.Soft,
		Reason: "the driver is still setting up the card",
		Remedy: "it should take seconds; if it lasts, look at the kernel log (dmesg)",
	}},
	"NO_AMC": {Fault: core.Fault{
		Code: codeNoFirmware, Severity: core.Hard,
		Reason: "the firmware of the card's controller (AMC) does not answer",
		Remedy: "program a design with it (ami_tool) and power-cycle the node",
	}},
	"INIT_ERROR": {Fault: core.Fault{
		Code: codeInitError, Severity: core.Hard,
		Reason: "the driver could not set up the card",
		Remedy: "look at the kernel log (dmesg); load the driver again, or power-cycle the node",
	}},
	"SHUTDOWN": {Fault: core.Fault{
		Code: codeShutdown, Severity: core.Hard,
		Reason: "the card is shut down",
		Remedy: "load the driver again, or power-cycle the node",
	}},
}

func readState(host *sysfs.FS, dir string) family.Fact[string] {
	return family.ReadWord(host, dir+"/dev_state")
}

// stateFaults says what the state of a card means for its health.
func stateFaults(state family.Fact[string]) []core.Fault {
	if !state.Known() {
		return []core.Fault{{
			Code: codeUnreadable, Severity: core.Soft, Err: state.Err,
			Reason: "the state of the card cannot be read: " + state.Err.Error(),
			Remedy: "look at the kernel log (dmesg)",
		}}
	}
	s, ok := states[state.Value]
	switch {
	case !ok:
		return []core.Fault{{
			Code: codeUnknownState, Severity: core.Soft,
			Reason: "the driver says that the card is in the state " + state.Value + ", which this plugin does not know",
			Remedy: "look at the kernel log (dmesg)",
		}}
	case s.Code == "":
		return nil
	default:
		return []core.Fault{s.Fault}
	}
}
