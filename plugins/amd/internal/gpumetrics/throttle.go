package gpumetrics

import "fmt"

// throttlers are the names of the bits of [IndepThrottleStatus]
// (SMU_THROTTLER_*_BIT in drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h): limits
// of power (PPT, SPL), of current (TDC, EDC), of temperature, and others.
var throttlers = [64]string{
	0: "PPT0", 1: "PPT1", 2: "PPT2", 3: "PPT3",
	4: "SPL", 5: "FPPT", 6: "SPPT", 7: "SPPT_APU",
	16: "TDC_GFX", 17: "TDC_SOC", 18: "TDC_MEM", 19: "TDC_VDD", 20: "TDC_CVIP",
	21: "EDC_CPU", 22: "EDC_GFX", 23: "APCC",
	32: "TEMP_GPU", 33: "TEMP_CORE", 34: "TEMP_MEM", 35: "TEMP_EDGE", 36: "TEMP_HOTSPOT", 37: "TEMP_SOC",
	38: "TEMP_VR_GFX", 39: "TEMP_VR_SOC", 40: "TEMP_VR_MEM0", 41: "TEMP_VR_MEM1",
	42: "TEMP_LIQUID0", 43: "TEMP_LIQUID1", 44: "VRHOT0", 45: "VRHOT1", 46: "PROCHOT_CPU", 47: "PROCHOT_GFX",
	56: "PPM", 57: "FIT",
}

// Throttlers returns the names of the limits that hold the clocks down right now,
// as the kernel has them: "PPT0", "TDC_GFX", "TEMP_HOTSPOT"; a bit without a name
// as "BIT_<n>". ok is false if that is unknown; no names beside true mean that
// nothing holds them down.
func (m Metrics) Throttlers() (names []string, ok bool) {
	status, ok := m.Uint(IndepThrottleStatus)
	for bit, name := range throttlers {
		if status>>bit&1 == 0 {
			continue
		}
		if name == "" {
			name = fmt.Sprintf("BIT_%d", bit)
		}
		names = append(names, name)
	}
	return names, ok
}
