package amd

import (
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

// cardTree is what amdgpu adds to the directory of a GPU
// (drivers/gpu/drm/amd/pm/amdgpu_pm.c, amdgpu_vram_mgr.c, amdgpu_gtt_mgr.c,
// amdgpu_fru_eeprom.c, amdgpu_xcp.c, amdgpu_xgmi.c).
func cardTree(f files, g gpu) {
	for _, name := range []string{"unique_id", "serial_number", "product_name", "product_number", "fru_id", "manufacturer", "vbios_version"} {
		f.put(g.file(name), g.text(name))
	}
	if form := g.text("form_factor"); form != "" {
		f.put(g.file("board_info"), "type : "+form)
	}
	for name, key := range map[string]string{
		"vram_total": "memory.total", "vram_used": "memory.used",
		"vis_vram_total": "memory.visible.total", "vis_vram_used": "memory.visible.used",
		"gtt_total": "memory.gtt.total", "gtt_used": "memory.gtt.used",
	} {
		f.put(g.file("mem_info_"+name), g.memory(key))
	}
	f.put(g.file("mem_info_vram_vendor"), g.text("memory.vendor"))
	f.put(g.file("xgmi_device_id"), g.text("xgmi.device_id"))
	f.put(g.file("xgmi_physical_id"), g.text("xgmi.physical_id"))

	f.live(g.file("gpu_busy_percent"), g.text("utilization.gpu"))
	f.live(g.file("mem_busy_percent"), g.text("utilization.memory"))
	f.live(g.file("vcn_busy_percent"), g.text("utilization.media"))
	f.live(g.file("pcie_replay_count"), g.text("pcie.replay"))
	f.live(g.file("pp_dpm_sclk"), levels(g.text("clock.levels.graphics"), g.text("clock.graphics")))
	f.live(g.file("pp_dpm_mclk"), levels(g.text("clock.levels.memory"), g.text("clock.memory")))
	f.live(g.file("power_dpm_force_performance_level"), "auto")

	f.put(g.file("available_compute_partition"), g.text("available_compute_partition"))
	f.put(g.file("available_memory_partition"), g.text("available_memory_partition"))
	for _, key := range []string{"compute_partition", "memory_partition"} {
		current := g.text(key)
		if current != "" && g.is("reset", false) {
			current = machine.Unreadable
		}
		f.put(g.file("current_"+key), current)
	}
	if g.is("devcoredump", false) {
		dumpTree(f, g)
	}
}

// levels words the clocks that a GPU switches between, as pp_dpm_sclk has them:
// the current one carries a star.
func levels(list, current string) string {
	var b strings.Builder
	for i, level := range words(list) {
		star := ""
		if level == current {
			star = "*"
		}
		fmt.Fprintf(&b, "%d: %sMhz %s\n", i, level, star)
	}
	return b.String()
}

// dumpTree is the dump of a GPU's state that the kernel offers after a reset
// (drivers/base/devcoredump.c).
func dumpTree(f files, g gpu) {
	name := fmt.Sprintf("devcd%d", g.n+1)
	at := "/sys/devices/virtual/devcoredump/" + name
	f.Tree.File(at+"/data", "**** AMDGPU Device Coredump ****")
	f.Tree.Link(at+"/failing_device", g.dir())
	f.Tree.Link(g.file("devcoredump"), at)
	f.Tree.Link("/sys/class/devcoredump/"+name, at)
}
