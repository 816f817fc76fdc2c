package nvidia

import (
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// reasonNames say why clocks are held down, in the words of nvidia-smi.
var reasonNames = []struct {
	reason nvml.EventReasons
	name   string
}{
	{nvml.ReasonGPUIdle, "idle"},
	{nvml.ReasonApplicationsClocks, "applications clocks setting"},
	{nvml.ReasonSWPowerCap, "power cap"},
	{nvml.ReasonHWSlowdown, "hardware slowdown"},
	{nvml.ReasonSyncBoost, "sync boost"},
	{nvml.ReasonSWThermalSlowdown, "software thermal slowdown"},
	{nvml.ReasonHWThermalSlowdown, "hardware thermal slowdown"},
	{nvml.ReasonHWPowerBrakeSlowdown, "power brake"},
	{nvml.ReasonDisplayClock, "display clock setting"},
	{nvml.ReasonBoardLimit, "board limit"},
	{nvml.ReasonReliability, "reliability limit"},
}

// reasonsText lists reasons by name; those without one by their bits.
func reasonsText(r nvml.EventReasons) string {
	if r == 0 {
		return "none"
	}
	var names []string
	for _, n := range reasonNames {
		if r&n.reason != 0 {
			names = append(names, n.name)
			r &^= n.reason
		}
	}
	if r != 0 {
		names = append(names, fmt.Sprintf("0x%x", uint64(r)))
	}
	return strings.Join(names, ", ")
}
