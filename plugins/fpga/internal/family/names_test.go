package family_test

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestVariable(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"dfl:0000:b1:00.0/port0":  "FPGA_DFL_0000_B1_00_0_PORT0",
		"zocl:axi:zyxclmm_drm":    "FPGA_ZOCL_AXI_ZYXCLMM_DRM",
		"mgr:platform/soc/é.fpga": "FPGA_MGR_PLATFORM_SOC___FPGA",
	} {
		if got := family.Variable(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
