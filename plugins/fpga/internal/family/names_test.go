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

// A device's group moves by what was read, not by what was not.
func TestKeepID(t *testing.T) {
	t.Parallel()
	known := func(id family.ID) family.Fact[family.ID] { return family.Is(id) }
	none, unknown := family.Fact[family.ID]{State: family.None}, family.Fact[family.ID]{}
	type step struct {
		now, likely family.Fact[family.ID]
		want        family.ID
	}
	for name, steps := range map[string][]step{
		"read, then not":      {{known("a1"), unknown, "a1"}, {unknown, unknown, "a1"}, {none, none, "a1"}, {known("b2"), unknown, "b2"}},
		"none, then not read": {{none, none, "none"}, {unknown, unknown, "none"}, {known("a1"), unknown, "a1"}, {none, none, "a1"}},
		"never read":          {{unknown, unknown, "unknown"}, {unknown, none, "none"}, {unknown, known("c3"), "c3"}, {unknown, unknown, "unknown"}, {known("a1"), unknown, "a1"}},
	} {
		memory := family.NewMemory()
		for i, s := range steps {
			if got := family.KeepID(memory, "key", s.now, s.likely); got != s.want {
				t.Errorf("%s, step %d: %s, want %s", name, i, got, s.want)
			}
		}
	}
}
