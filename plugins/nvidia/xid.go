package nvidia

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/nomad-devices/nomad-devices/core"
)

// An XID is the number under which NVIDIA's driver reports an error of a GPU, in
// the kernel log and as an NVML event. What to do about each is written in
// NVIDIA's catalogue (docs.nvidia.com/deploy/xid-errors), which covers Ampere
// and newer; the same reading is used for older GPUs, where the codes that are
// in use mean the same.

// xidBucket is what the catalogue says to do at once.
type xidBucket uint8

const (
	// xidUnlisted is a code without an instruction: an unused one, or one newer
	// than this table.
	xidUnlisted xidBucket = iota
	// xidApp harmed the application that was running, not the GPU.
	xidApp
	// xidIgnore needs nothing.
	xidIgnore
	// xidEvaluate leaves the decision to what the driver says about the GPU.
	xidEvaluate
	// xidReset needs a reset of the GPU.
	xidReset
	// xidSuspect may need a reset: the GPU is kept away from new work until the
	// driver has said so.
	xidSuspect
	// xidReboot needs a restart of the node.
	xidReboot
	// xidRestartVM needs a restart of the virtual machine.
	xidRestartVM
	// xidMechanical needs a look at cables and seating.
	xidMechanical
	// xidUpdate needs other software or firmware.
	xidUpdate
)

// String returns what the catalogue asks for, in words for the plugin's page.
func (b xidBucket) String() string {
	switch b {
	case xidApp:
		return "restart the application"
	case xidIgnore:
		return "nothing"
	case xidEvaluate:
		return "see what the driver says next"
	case xidReset:
		return "reset the GPU"
	case xidSuspect:
		return "see whether the GPU needs a reset"
	case xidReboot:
		return "reboot the node"
	case xidRestartVM:
		return "restart the virtual machine"
	case xidMechanical:
		return "check the power cables and the seating of the board"
	case xidUpdate:
		return "update the driver or firmware"
	case xidUnlisted:
		fallthrough
	default:
		return "not listed; ask NVIDIA"
	}
}

// unhealthy reports whether an XID of this bucket takes the GPU away from new
// work.
func (b xidBucket) unhealthy() bool {
	switch b {
	case xidReset, xidSuspect, xidReboot, xidRestartVM:
		return true
	default:
		return false
	}
}

const (
	// remedyReset names the Nomad client because the plugin itself holds the
	// driver open, and the driver refuses to reset a GPU that is in use.
	remedyReset = "drain the node, stop the Nomad client and run nvidia-smi --gpu-reset"
	// remedyReboot is the last resort of every catalogue.
	remedyReboot = "drain and reboot the node"
)

// remedy says what an operator should do about a GPU that is unhealthy because
// of an XID of this bucket.
func (b xidBucket) remedy() string {
	switch b {
	case xidReset:
		return remedyReset
	case xidSuspect:
		return "it returns by itself if the driver asks for no recovery; else " + remedyReset
	case xidReboot:
		return remedyReboot
	case xidRestartVM:
		return "restart the virtual machine"
	default:
		return ""
	}
}

// xidEntry is one line of the catalogue.
type xidEntry struct {
	name   string
	bucket xidBucket
}

// xidCatalogue holds every code that has an instruction. The names are short
// forms of NVIDIA's descriptions.
var xidCatalogue = map[uint64]xidEntry{
	8:   {"GPU stopped processing", xidApp},
	11:  {"invalid or corrupted push buffer stream", xidApp},
	13:  {"graphics engine exception", xidApp},
	14:  {"unused code", xidIgnore},
	25:  {"invalid or illegal push buffer stream", xidApp},
	31:  {"GPU memory page fault", xidApp},
	32:  {"invalid or corrupted push buffer stream", xidApp},
	37:  {"driver firmware error", xidIgnore},
	38:  {"driver firmware error", xidIgnore},
	39:  {"copy engine exception", xidApp},
	40:  {"copy engine exception", xidApp},
	41:  {"copy engine exception", xidApp},
	43:  {"GPU stopped processing", xidIgnore},
	44:  {"graphics engine fault during context switch", xidIgnore},
	45:  {"channels removed after an earlier error", xidEvaluate},
	46:  {"GPU stopped processing", xidReset},
	48:  {"double bit ECC error", xidSuspect},
	54:  {"auxiliary power is not connected", xidMechanical},
	60:  {"video processor exception", xidApp},
	62:  {"internal micro-controller halt", xidReset},
	63:  {"memory row or page set aside", xidIgnore},
	64:  {"setting aside a memory row or page failed", xidReset},
	66:  {"illegal access by the driver", xidIgnore},
	67:  {"illegal access by the driver", xidIgnore},
	68:  {"video decoder exception", xidApp},
	69:  {"graphics engine class error", xidApp},
	70:  {"copy engine error", xidApp},
	71:  {"copy engine error", xidApp},
	72:  {"copy engine error", xidApp},
	74:  {"NVLink error", xidSuspect},
	75:  {"copy engine error", xidApp},
	76:  {"copy engine error", xidApp},
	77:  {"copy engine error", xidApp},
	78:  {"vGPU start error", xidUpdate},
	79:  {"the GPU has fallen off the bus", xidReboot},
	80:  {"corrupted data sent to the GPU", xidApp},
	82:  {"JPEG decoder error", xidApp},
	83:  {"video decoder error", xidApp},
	84:  {"video decoder error", xidApp},
	85:  {"copy engine error", xidApp},
	86:  {"optical flow engine exception", xidApp},
	88:  {"video decoder error", xidApp},
	89:  {"video decoder error", xidApp},
	92:  {"high rate of single bit ECC errors", xidIgnore},
	93:  {"InfoROM wear limit exceeded", xidIgnore},
	94:  {"contained memory error", xidApp},
	95:  {"uncontained memory error", xidReset},
	96:  {"video decoder error", xidApp},
	97:  {"video decoder error", xidApp},
	98:  {"video decoder error", xidApp},
	99:  {"JPEG decoder error", xidApp},
	100: {"JPEG decoder error", xidApp},
	101: {"JPEG decoder error", xidApp},
	102: {"JPEG decoder error", xidApp},
	103: {"JPEG decoder error", xidApp},
	104: {"JPEG decoder error", xidApp},
	105: {"JPEG decoder error", xidApp},
	106: {"test message of the management bus", xidIgnore},
	107: {"silent test message of the management bus", xidIgnore},
	108: {"NVLink remote translation error", xidIgnore},
	109: {"context switch timeout", xidReset},
	110: {"security fault", xidReset},
	119: {"GSP RPC timeout", xidReset},
	120: {"GSP error", xidReset},
	121: {"chip-to-chip link error", xidIgnore},
	126: {"copy engine error", xidApp},
	127: {"copy engine error", xidApp},
	128: {"copy engine error", xidApp},
	129: {"copy engine error", xidApp},
	130: {"copy engine error", xidApp},
	131: {"copy engine error", xidApp},
	132: {"copy engine error", xidApp},
	133: {"copy engine error", xidApp},
	134: {"copy engine error", xidApp},
	135: {"copy engine error", xidApp},
	136: {"NVLink training failed", xidReset},
	137: {"NVLink privilege error", xidIgnore},
	139: {"optical flow engine error", xidApp},
	140: {"unrecovered ECC error", xidReset},
	141: {"CUDA fast path error", xidIgnore},
	142: {"video encoder error", xidUnlisted},
	143: {"GPU initialization error", xidReset},
	144: {"NVLink SAW error", xidEvaluate},
	145: {"NVLink RLW error", xidEvaluate},
	146: {"NVLink TLW error", xidEvaluate},
	147: {"NVLink TREX error", xidEvaluate},
	148: {"NVLink NVLPW control error", xidEvaluate},
	149: {"NVLink NETIR error", xidEvaluate},
	150: {"NVLink MSE error", xidEvaluate},
	151: {"key rotation error", xidRestartVM},
	152: {"DLA SMMU error", xidIgnore},
	153: {"DLA timeout", xidIgnore},
	154: {"GPU recovery action changed", xidEvaluate},
	155: {"NVLink error defined by software", xidReset},
	156: {"resource retirement", xidReset},
	157: {"resource retirement failure", xidIgnore},
	158: {"GPU fatal timeout", xidReset},
	159: {"CHI non-data error", xidEvaluate},
	160: {"channel retirement", xidIgnore},
	161: {"channel retirement failure", xidIgnore},
	162: {"power smoothing circuitry engaged again", xidEvaluate},
	163: {"power smoothing circuitry disengaged", xidEvaluate},
	164: {"power smoothing circuitry near the end of its life", xidEvaluate},
	165: {"power smoothing circuitry at the end of its life", xidEvaluate},
	166: {"NVLink traffic before encryption was set up", xidEvaluate},
	167: {"PCIe fatal timeout", xidEvaluate},
	168: {"GPU memory capacity reduced", xidEvaluate},
	169: {"SEC2 micro-controller halt", xidEvaluate},
	170: {"NVLink interrupt in confidential computing mode", xidEvaluate},
	171: {"uncorrectable DRAM error", xidEvaluate},
	172: {"uncorrectable SRAM error", xidEvaluate},
}

// xidVerdict is what an XID means under a policy.
type xidVerdict struct {
	// fault is laid on the devices, or nil where the XID changes no health.
	fault *core.Fault
	// text is for the log where there is no fault.
	text string
	// look asks for a scan: the driver may have more to say.
	look bool
}

// xidPolicy is the catalogue with the operator's exceptions. It is not changed
// once it is made, so any number of goroutines may use it.
type xidPolicy struct {
	ignore, fatal map[uint64]bool
	cleared       []string
}

// newXIDPolicy makes a policy from the configuration's xid_ignore and xid_fatal.
func newXIDPolicy(ignore, fatal []int) xidPolicy {
	p := xidPolicy{ignore: xidSet(ignore), fatal: xidSet(fatal)}
	for code, entry := range xidCatalogue {
		if entry.bucket.unhealthy() {
			p.cleared = append(p.cleared, xidCode(code))
		}
	}
	slices.Sort(p.cleared)
	return p
}

func xidSet(codes []int) map[uint64]bool {
	set := make(map[uint64]bool, len(codes))
	for _, code := range codes {
		if code > 0 {
			set[uint64(code)] = true
		}
	}
	return set
}

// clearedByDriver lists the fault codes that are disproved once the driver says
// that the GPU needs no recovery. XIDs that the operator made fatal are not
// among them: the driver never asks for a recovery from most of those, so its
// word would undo the setting at once.
func (p xidPolicy) clearedByDriver() []string { return p.cleared }

// judge says what an XID means.
func (p xidPolicy) judge(code uint64) xidVerdict {
	entry, listed := xidCatalogue[code]
	reason := "XID " + strconv.FormatUint(code, 10)
	if listed {
		reason += ": " + entry.name
	}
	switch {
	case p.fatal[code]:
		return xidVerdict{look: true, fault: &core.Fault{
			Code:     xidFatalCode(code),
			Severity: core.Hard,
			Latched:  true,
			Reason:   reason + " (in xid_fatal)",
			Remedy:   "examine the GPU, then restart the Nomad client to use it again",
		}}
	case p.ignore[code]:
		return xidVerdict{text: reason + " (in xid_ignore)"}
	case entry.bucket.unhealthy():
		return xidVerdict{look: true, fault: &core.Fault{
			Code:     xidCode(code),
			Severity: core.Hard,
			Latched:  true,
			Reason:   reason,
			Remedy:   entry.bucket.remedy(),
		}}
	default:
		return xidVerdict{
			text: fmt.Sprintf("%s; the GPU stays in use; to do: %s", reason, entry.bucket),
			look: entry.bucket != xidIgnore,
		}
	}
}

// xidCode is the code of a fault that the catalogue asks for.
func xidCode(code uint64) string { return "xid-" + strconv.FormatUint(code, 10) }

// xidFatalCode is the code of a fault that the operator asked for.
func xidFatalCode(code uint64) string { return "xid-fatal-" + strconv.FormatUint(code, 10) }
