package family

import (
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
)

// The codes of the faults of an FPGA manager.
const (
	codeManagerError = "manager-error"
	codeManagerOff   = "manager-off"
	codeManagerBusy  = "manager-busy"
)

// Managers is the class of the kernel's FPGA managers.
const Managers = "/sys/class/fpga_manager"

// busy are the states of a manager while it programs.
var busy = []string{"power up", "reset", "firmware request", "parse header", "write init", "write", "write complete"}

// ManagerFaults says what the state of an FPGA manager means for the FPGA, by
// the text of its file "state" (drivers/fpga/fpga-mgr.c). Vendors' kernels put a
// number behind it. A state that could not be read is no verdict, and neither is
// "unknown": the kernel has programmed nothing yet.
func ManagerFaults(state Fact[string]) []core.Fault {
	text, _, _ := strings.Cut(state.Value, ":")
	switch text = strings.TrimSpace(text); {
	case strings.HasSuffix(text, " error"):
		return []core.Fault{{
			Code: codeManagerError, Severity: core.Hard,
			Reason: "programming the FPGA has failed: its manager is in the state \"" + text + "\"",
			Remedy: "look at the kernel log (dmesg) and program it again",
		}}
	case text == "power off":
		return []core.Fault{{
			Code: codeManagerOff, Severity: core.Hard,
			Reason: "the FPGA is powered off",
			Remedy: "power it up, or reboot the node",
		}}
	case slices.Contains(busy, text):
		return []core.Fault{{
			Code: codeManagerBusy, Severity: core.Soft,
			Reason: "the FPGA is being programmed",
			Remedy: "if that lasts, look at the kernel log (dmesg)",
		}}
	default: // it is well, or the text is garbage
		return nil
	}
}
