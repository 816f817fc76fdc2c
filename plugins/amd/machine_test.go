package amd

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// model is what GPUs of one kind have in common.
type model struct {
	device, revision uint32
	class            uint32
	product          string // what the board calls itself; empty without a FRU EEPROM
	memory           uint64 // bytes; 0 for one without memory of its own
	units, xcc       int
	gfx              int // gfx_target_version
	clock, memClock  int // MHz
	cap              int // W
	labels           map[string]string
	ras              bool
	metrics          []byte
	speed            string // of the link
	width            int
	apu              bool
}

// blocks are those that count errors.
var blocks = []string{"gfx", "hdp", "mmhub", "sdma", "umc", "xgmi_wafl"}

var (
	mi300x = model{
		device: 0x74a1, class: 0x120000, product: "AMD Instinct MI300X OAM", memory: 192 << 30, units: 304, xcc: 8, gfx: 90402,
		clock: 2100, memClock: 1300, cap: 750, labels: map[string]string{"temp2": "junction", "temp3": "mem", "power1": "PPT", "freq1": "sclk", "freq2": "mclk"},
		ras: true, metrics: instinctMetrics(1), speed: "32.0 GT/s PCIe", width: 16,
	}
	mi210 = model{
		device: 0x740f, revision: 2, class: 0x038000, product: "AMD Instinct MI210", memory: 64 << 30, units: 104, xcc: 1, gfx: 90010,
		clock: 1700, memClock: 1600, cap: 300, labels: discrete, ras: true, metrics: radeonMetrics(), speed: "16.0 GT/s PCIe", width: 16,
	}
	rx7900xtx = model{
		device: 0x744c, revision: 0xc8, class: 0x030000, memory: 24 << 30, units: 96, xcc: 1, gfx: 110000,
		clock: 2304, memClock: 1249, cap: 303, labels: discrete, metrics: radeonMetrics(), speed: "16.0 GT/s PCIe", width: 16,
	}
	phoenix = model{
		device: 0x15bf, revision: 0xc2, class: 0x030000, memory: 512 << 20, units: 12, xcc: 1, gfx: 110003,
		clock: 2700, labels: map[string]string{"temp1": "edge", "power1": "PPT", "freq1": "sclk", "in1": "vddnb"}, apu: true, width: 16, speed: "16.0 GT/s PCIe",
	}
	discrete = map[string]string{"temp1": "edge", "temp2": "junction", "temp3": "mem", "power1": "PPT", "freq1": "sclk", "freq2": "mclk"}
)

// gpu is one GPU of a machine.
type gpu struct {
	model
	address string
	// above are the bridges between the root port and the GPU, the outermost
	// first, which belong to its board.
	above []string
	uid   uint64 // 0: no such file
	hive  uint64
	numa  int
	// compute and memory are the modes of one that can be divided.
	compute, memory string
	// parts are the numbers of its partitions; lowBits says that they are in the
	// lowest bits of the locations.
	parts   []int
	lowBits bool
	driver  string // "" is amdgpu, "-" none
	noKFD   bool
}

// writer writes a machine.
type writer struct {
	strings.Builder
	minor, card, node, hwmon, platform int
}

func (w *writer) line(path, value string) { fmt.Fprintf(w, "%s\t%s\n", path, value) }

func (w *writer) file(path string, value any) { fmt.Fprintf(w, "%s\t%v\\n\n", path, value) }

// machine returns a machine with the GPUs in the form of sysfstest.
func machine(gpus ...gpu) string {
	w := &writer{minor: 128, card: 1, node: 1}
	w.file("/proc/sys/kernel/osrelease", "6.8.0-45-generic")
	w.line("/etc/group", `root:x:0:\nrender:x:993:\n`)
	w.line("/dev/kfd", "!chardev")
	w.line("/sys/class/kfd/kfd", "-> ../../devices/virtual/kfd/kfd")
	w.file("/sys/devices/virtual/kfd/kfd/topology/generation_id", 2)
	w.file("/sys/devices/virtual/kfd/kfd/topology/nodes/0/gpu_id", 0)
	w.line("/sys/devices/virtual/kfd/kfd/topology/nodes/0/properties", `cpu_cores_count 96\nsimd_count 0\n`)
	w.line("/sys/devices/virtual/kfd/kfd/proc/", "")
	for i, g := range gpus {
		g.write(w, i)
	}
	return w.String()
}

func (g gpu) write(w *writer, index int) {
	// Each stands behind a root port of its own.
	root := fmt.Sprintf("/sys/devices/pci%s", g.address[:strings.LastIndex(g.address, ":")-3])
	root += fmt.Sprintf(":%02x/0000:%02x:01.1", 0xa0+index, 0xa0+index)
	w.pci(root, model{device: 0x14ab, class: 0x060400}, 0x1022, -1)
	dir := root
	for i, a := range g.above {
		dir = path.Join(dir, a)
		w.pci(dir, model{device: uint32(0x1478 + i), class: 0x060400}, 0x1002, g.numa)
		w.link(dir, g.speed, g.width)
	}
	dir = path.Join(dir, g.address)
	w.pci(dir, g.model, 0x1002, g.numa)
	switch {
	case len(g.above) > 0: // the board's own link is of no interest
		w.link(dir, "16.0 GT/s PCIe", 16)
	default:
		w.link(dir, g.speed, g.width)
	}
	for _, forbidden := range []string{"pcie_bw", "config", "rom", "resource", "resource0", "resource2_wc", "reg_state", "pp_table", "psp_vbflash", "mem_info_preempt_used"} {
		w.file(dir+"/"+forbidden, "0 0 0")
	}
	if g.driver == "-" {
		return
	}
	if g.driver != "" {
		w.line(dir+"/driver", "-> ../../../../bus/pci/drivers/"+g.driver)
		return
	}
	w.line(dir+"/driver", "-> ../../../../bus/pci/drivers/amdgpu")
	g.files(w, dir)
	g.sensors(w, dir)
	if g.ras {
		for _, b := range blocks {
			w.line(dir+"/ras/"+b+"_err_count", `ue: 0\nce: 0\nde: 0\n`)
		}
		w.line(dir+"/ras/gpu_vram_bad_pages", "")
		w.file(dir+"/ras/features", "feature mask: 0x7fff")
	}
	g.nodes(w, dir)
}

// pci writes a function and its link on the bus.
func (w *writer) pci(dir string, m model, vendor uint32, numa int) {
	w.line("/sys/bus/pci/devices/"+path.Base(dir), "-> "+strings.Repeat("../", 3)+strings.TrimPrefix(dir, "/sys")[1:])
	for name, number := range map[string]uint32{"vendor": vendor, "device": m.device, "subsystem_vendor": vendor, "subsystem_device": 0x1234} {
		w.file(dir+"/"+name, fmt.Sprintf("0x%04x", number))
	}
	w.file(dir+"/class", fmt.Sprintf("0x%06x", m.class))
	w.file(dir+"/revision", fmt.Sprintf("0x%02x", m.revision))
	w.file(dir+"/numa_node", numa)
	w.line(dir+"/aer_dev_correctable", `RxErr 3\nTOTAL_ERR_COR 3\n`)
	w.line(dir+"/aer_dev_fatal", `TLP 0\nTOTAL_ERR_FATAL 0\n`)
	w.line(dir+"/aer_dev_nonfatal", `TOTAL_ERR_NONFATAL 0\n`)
}

func (w *writer) link(dir, speed string, width int) {
	for _, which := range []string{"max", "current"} {
		w.file(dir+"/"+which+"_link_speed", speed)
		w.file(dir+"/"+which+"_link_width", width)
	}
}

func (g gpu) files(w *writer, dir string) {
	w.file(dir+"/power/runtime_status", "active")
	if g.uid != 0 {
		w.file(dir+"/unique_id", fmt.Sprintf("%016x", g.uid))
	}
	if g.product != "" {
		w.file(dir+"/product_name", g.product)
		w.file(dir+"/board_info", "type : oam")
	}
	w.file(dir+"/vbios_version", "113-M0000001-100")
	w.file(dir+"/mem_info_vram_vendor", "samsung")
	w.file(dir+"/mem_info_vram_total", g.model.memory)
	w.file(dir+"/mem_info_vram_used", 256<<20)
	w.file(dir+"/mem_info_vis_vram_total", g.model.memory)
	w.file(dir+"/mem_info_vis_vram_used", 256<<20)
	w.file(dir+"/mem_info_gtt_total", 64<<30)
	w.file(dir+"/mem_info_gtt_used", 16<<20)
	w.file(dir+"/gpu_busy_percent", 37)
	if !g.apu {
		w.file(dir+"/mem_busy_percent", 12)
		w.file(dir+"/pcie_replay_count", 4)
	}
	w.line(dir+"/pp_dpm_sclk", fmt.Sprintf(`0: 500Mhz\n1: %dMhz *\n`, g.clock))
	w.line(dir+"/pp_dpm_mclk", fmt.Sprintf(`0: 96Mhz *\n1: %dMhz\n`, cmp.Or(g.memClock, 2800)))
	if g.metrics != nil {
		w.line(dir+"/gpu_metrics", "!hex "+hex.EncodeToString(g.metrics))
	}
	if g.compute != "" {
		w.file(dir+"/current_compute_partition", g.compute)
		w.file(dir+"/available_compute_partition", "SPX, DPX, QPX, CPX")
		w.file(dir+"/current_memory_partition", g.memory)
		w.file(dir+"/available_memory_partition", "NPS1, NPS4")
	}
}

func (g gpu) sensors(w *writer, dir string) {
	h := fmt.Sprintf("%s/hwmon/hwmon%d", dir, w.hwmon)
	w.hwmon++
	w.file(h+"/name", "amdgpu")
	for channel, label := range g.labels {
		w.file(h+"/"+channel+"_label", label)
	}
	values := map[string]int{"edge": 41000, "junction": 45000, "mem": 38000}
	for _, channel := range []string{"temp1", "temp2", "temp3"} {
		label, ok := g.labels[channel]
		if !ok {
			continue
		}
		w.file(h+"/"+channel+"_input", values[label])
		if !g.apu {
			w.file(h+"/"+channel+"_crit", 100000)
			w.file(h+"/"+channel+"_emergency", 105000)
		}
	}
	w.file(h+"/power1_average", 90_000_000)
	if g.cap > 0 {
		w.file(h+"/power1_cap", g.cap*1_000_000)
		w.file(h+"/power1_cap_default", g.cap*1_000_000)
	}
	w.file(h+"/freq1_input", 500_000_000)
	if _, ok := g.labels["freq2"]; ok {
		w.file(h+"/freq2_input", 96_000_000)
	}
	if g.class == 0x030000 && !g.apu {
		w.file(h+"/fan1_input", 800)
		w.file(h+"/fan1_max", 3300)
		w.file(h+"/in0_input", 712)
	}
}

// nodes writes the DRM devices, the device nodes and KFD's topology.
func (g gpu) nodes(w *writer, dir string) {
	parts := g.parts
	if len(parts) == 0 {
		parts = []int{0}
	}
	possible := 1
	if g.compute != "" {
		possible = g.xcc // the driver makes nodes for all partitions there could be
	}
	share := 1
	if g.compute != "" {
		share = mostPartitions[g.compute]
		if g.compute == modeCPX {
			share = g.xcc
		}
	}
	for k := range possible {
		at := dir
		if k > 0 {
			at = fmt.Sprintf("/sys/devices/platform/amdgpu_xcp_%d", w.platform)
			w.platform++
		}
		render, card := "renderD"+strconv.Itoa(w.minor), "card"+strconv.Itoa(w.card)
		for _, name := range []string{render, card} {
			w.line(at+"/drm/"+name+"/device", "-> ../../../"+path.Base(at))
			w.line("/sys/class/drm/"+name, "-> ../../"+strings.TrimPrefix(at, "/sys/")+"/drm/"+name)
			w.line("/dev/dri/"+name, "!chardev")
		}
		for _, p := range parts {
			if p == k && !g.noKFD {
				g.node(w, p, share)
			}
		}
		w.minor++
		w.card++
	}
}

func (g gpu) node(w *writer, part, share int) {
	domain, _ := strconv.ParseUint(g.address[:strings.Index(g.address, ":")], 16, 32)
	bus, _ := strconv.ParseUint(g.address[len(g.address)-7:len(g.address)-5], 16, 32)
	slot, _ := strconv.ParseUint(g.address[len(g.address)-4:len(g.address)-2], 16, 32)
	location := uint32(bus<<8 | slot<<3 | uint64(g.address[len(g.address)-1]-'0'))
	if g.lowBits {
		location |= uint32(part)
	} else {
		location |= uint32(part) << 28
	}
	at := fmt.Sprintf("/sys/devices/virtual/kfd/kfd/topology/nodes/%d", w.node)
	w.file(at+"/gpu_id", 1000+w.node)
	w.file(at+"/name", "ip discovery")
	uid := g.uid
	properties := fmt.Sprintf(`cpu_cores_count 0\nsimd_count %d\nsimd_per_cu 4\nvendor_id 4098\ndevice_id %d\nlocation_id %d\ndomain %d\n`+
		`drm_render_minor %d\nnum_xcc %d\ngfx_target_version %d\nunique_id %d\nhive_id %d\nmax_engine_clk_fcompute %d\nfw_version 177\nsdma_fw_version 22\n`,
		4*g.units/share, g.device, location, domain, w.minor, g.xcc/share, g.gfx, uid, g.hive, g.clock)
	w.line(at+"/properties", properties)
	memory := g.model.memory / uint64(share) // also where the memory is not divided
	w.line(at+"/mem_banks/0/properties", fmt.Sprintf(`heap_type 1\nsize_in_bytes %d\nmem_clk_max %d\n`, memory, g.memClock))
	w.node++
}

// filled returns a gpu_metrics table with all fields unset.
func filled(size int, format, content byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = 0xff
	}
	binary.LittleEndian.PutUint16(b, uint16(size))
	b[2], b[3] = format, content
	return b
}

// radeonMetrics returns gpu_metrics 1.3 with the readings of the sensors, and what
// only it tells.
func radeonMetrics() []byte {
	b := filled(120, 1, 3)
	for at, n := range map[int]uint16{4: 41, 6: 45, 8: 38, 16: 37, 18: 12, 22: 90, 54: 500, 58: 96} {
		binary.LittleEndian.PutUint16(b[at:], n)
	}
	binary.LittleEndian.PutUint64(b[24:], 10_000<<16) // 10 kJ
	binary.LittleEndian.PutUint64(b[112:], 1|1<<36)   // PPT0 and the hotspot
	return b
}

// instinctMetrics returns gpu_metrics 1.6 after a number of seconds.
func instinctMetrics(second uint64) []byte {
	b := filled(1664, 1, 6)
	for at, n := range map[int]uint16{4: 45, 6: 38, 10: 90, 12: 37, 14: 12, 306: 8} {
		binary.LittleEndian.PutUint16(b[at:], n)
	}
	for at, n := range map[int]uint32{32: uint32(1000 * second), 36: 0, 40: uint32(250 * second), 44: 0, 48: 0, 52: 0} {
		binary.LittleEndian.PutUint32(b[at:], n)
	}
	binary.LittleEndian.PutUint64(b[16:], 90*second<<16)
	for link := range uint64(7) {
		binary.LittleEndian.PutUint64(b[128+8*link:], 1_000_000*second)
		binary.LittleEndian.PutUint64(b[192+8*link:], 2_000_000*second)
	}
	for part := range 8 {
		at := 312 + 168*part
		binary.LittleEndian.PutUint32(b[at:], uint32(10*part))
		binary.LittleEndian.PutUint64(b[at+104:], uint64(part)*10_000*second)
	}
	return b
}
