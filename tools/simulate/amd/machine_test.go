package amd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func start(t *testing.T, profile string, set map[string]string) *Machine {
	t.Helper()
	m, err := Start(filepath.Join(directory(t), "machine"), profile, set)
	check(t, err)
	return m
}

// directory makes a directory for the test, in memory if the system has room
// there: a machine is thousands of small files.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "simulated-amd-") //nolint:usetesting // that is on a disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { check(t, os.RemoveAll(dir)) })
	return dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestProfiles holds each machine to what makes it interesting.
func TestProfiles(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]struct {
		gpus, nodes, cards, renders, platform int
		first                                 string // the last GPU's first device
		last                                  string // and its last
	}{
		"8xmi300x":       {8, 8, 65, 64, 56, "GPU-b06f3d5ca2781e94", "GPU-b06f3d5ca2781e94"},
		"mi300x-cpx":     {1, 8, 8, 8, 7, "GPU-71d4e80b2fa6593c/cpx0", "GPU-71d4e80b2fa6593c/cpx7"},
		"4xmi210":        {4, 4, 4, 4, 0, "GPU-c94a5e0d7381b6f2", "GPU-c94a5e0d7381b6f2"},
		"1xrx7900xtx":    {1, 1, 1, 1, 0, "GPU-46a8f2d103b7ce59", "GPU-46a8f2d103b7ce59"},
		"apu-dgpu":       {2, 2, 3, 2, 0, "PCI-0000:c5:00.0", "PCI-0000:c5:00.0"},
		"mixed-instinct": {5, 12, 26, 26, 21, "GPU-0e5ab8174fc2d963", "GPU-0e5ab8174fc2d963"},
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			h := hostOf(t, m)
			cards, err := m.Cards()
			check(t, err)
			last := cards[len(cards)-1]
			got := []any{len(cards), len(h.gpuNodes()), last.Devices[0], last.Devices[len(last.Devices)-1]}
			if diff := cmp.Diff([]any{want.gpus, want.nodes, want.first, want.last}, got); diff != "" {
				t.Errorf("GPUs, KFD nodes, first and last device (-want +got):\n%s", diff)
			}
			counts := map[string]int{}
			for _, name := range h.list("/dev/dri") {
				kind := strings.TrimRight(name, "0123456789")
				counts[kind]++
			}
			if h.exists("/sys/bus/platform/devices") {
				for _, name := range h.list("/sys/bus/platform/devices") {
					counts[strings.TrimRight(name, "0123456789")]++
				}
			}
			delete(counts, "by-path")
			if want.platform > 0 != (counts["amdgpu_xcp_"] > 0) || counts["amdgpu_xcp_"] != want.platform || counts["card"] != want.cards || counts["renderD"] != want.renders {
				t.Errorf("%d cards, %d render nodes, %d platform devices; want %d, %d, %d",
					counts["card"], counts["renderD"], counts["amdgpu_xcp_"], want.cards, want.renders, want.platform)
			}
		})
	}
	if got := len(Profiles()); got != 6 {
		t.Errorf("%d profiles, and 6 are tested", got)
	}
}

// TestEveryNodeIsJoined follows each KFD node of each machine to its GPU: by its
// render minor, and by its location.
func TestEveryNodeIsJoined(t *testing.T) {
	t.Parallel()
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			m := start(t, p.Name, nil)
			h := hostOf(t, m)
			cards, err := m.Cards()
			check(t, err)
			byAddress := map[string]machine.Card{}
			for _, card := range cards {
				byAddress[card.Address] = card
			}
			parts := map[string]int{}
			ids := map[string]bool{}
			for _, dir := range h.gpuNodes() {
				if id := h.text(dir + "/gpu_id"); ids[id] {
					t.Errorf("two nodes have the gpu_id %s", id)
				} else {
					ids[id] = true
				}
				props := h.properties(dir + "/properties")
				location := uint32(props["location_id"])
				address, err := pci.Address(uint32(props["domain"]), location>>8&0xff, location>>3&0x1f, location&7)
				check(t, err)
				card, ok := byAddress[string(address)]
				if !ok {
					t.Fatalf("%s is at %v, where there is no GPU", dir, address)
				}
				index := int(location >> 28)
				if index != parts[card.Address] {
					t.Errorf("%s is part %d of GPU %d, want %d", dir, index, card.Number, parts[card.Address])
				}
				parts[card.Address]++
				render := fmt.Sprintf("renderD%d", props["drm_render_minor"])
				real, err := h.Resolve("/sys/class/drm/" + render)
				check(t, err)
				inside := strings.Contains(real, "/"+card.Address+"/drm/")
				if (index == 0) != inside || !inside && !strings.HasPrefix(real, "/sys/devices/platform/amdgpu_xcp_") {
					t.Errorf("part %d of %s has its render node at %s", index, card.Address, real)
				}
				if _, err := os.OpenFile(h.Full("/dev/dri/"+render), os.O_RDWR, 0); err != nil {
					t.Errorf("the node of %s does not open: %v", dir, err)
				}
				if want := strings.TrimPrefix(h.text(device(card.Address, "device")), "0x"); fmt.Sprintf("%x", props["device_id"]) != want {
					t.Errorf("%s has the device id %x, want %s", dir, props["device_id"], want)
				}
				if unique := h.text(device(card.Address, "unique_id")); unique != "" && fmt.Sprintf("%016x", props["unique_id"]) != unique {
					t.Errorf("%s has the unique id %016x, want %s", dir, props["unique_id"], unique)
				}
			}
			for _, card := range cards {
				if parts[card.Address] != len(card.Devices) {
					t.Errorf("GPU %d has %d nodes for its devices %v", card.Number, parts[card.Address], card.Devices)
				}
			}
		})
	}
}

// TestLinksLeadSomewhere follows every link of every machine.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			m := start(t, p.Name, nil)
			root, err := os.OpenRoot(m.Root())
			check(t, err)
			t.Cleanup(func() { check(t, root.Close()) })
			for name, content := range snapshot(t, m) {
				if strings.HasPrefix(content, "-> ") {
					if _, err := root.Stat(strings.TrimPrefix(name, "/")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		})
	}
}

// TestValuesReachTheFiles sets values at run time.
func TestValuesReachTheFiles(t *testing.T) {
	t.Parallel()
	m := start(t, "4xmi210", nil)
	h := hostOf(t, m)
	const address = "0000:27:00.0"
	for _, tt := range []struct{ key, value, file, want string }{
		{"temperature", "91", "hwmon/hwmon1/temp2_input", "91000"},
		{"temperature.edge", "45.5", "hwmon/hwmon1/temp1_input", "45500"},
		{"power.average", "298500", "hwmon/hwmon1/power1_average", "298500000"},
		{"power.limit", "250000", "hwmon/hwmon1/power1_cap", "250000000"},
		{"clock.graphics", "1700", "hwmon/hwmon1/freq1_input", "1700000000"},
		{"clock.graphics", "1700", "pp_dpm_sclk", "0: 500Mhz \n1: 800Mhz \n2: 1700Mhz *"},
		{"voltage.graphics", "806", "hwmon/hwmon1/in0_input", "806"},
		{"memory.used", "3 GiB", "mem_info_vram_used", "3221225472"},
		{"utilization.gpu", "77", "gpu_busy_percent", "77"},
		{"utilization.gpu", "many", "gpu_busy_percent", "many"},
		{"vbios_version", `a\xffb\x`, "vbios_version", "a\xffb\\x"},
		{"product_name", `""`, "product_name", ""},
		{"pcie.generation", "1", "current_link_speed", "2.5 GT/s PCIe"},
		{"pcie.generation", "Unknown", "current_link_speed", "Unknown"},
		{"pcie.replay", "12", "pcie_replay_count", "12"},
		{"aer.fatal", "2", "aer_dev_fatal", "Undefined 0\nDLP 0\nTLP 2\nCmpltTO 0\nTOTAL_ERR_FATAL 2"},
		{"ras.umc.ue", "3", "ras/umc_err_count", "ue: 3\nce: 0"},
		{"ras.deferred", "true", "ras/gfx_err_count", "ue: 0\nce: 0\nde: 0"},
		{"ras.pages.failed", "2", "ras/gpu_vram_bad_pages", "0x00001f40 : 0x00001000 : F\n0x00001f51 : 0x00001000 : F"},
		{"ras.features", "0x0", "ras/features", "feature mask: 0x0"},
		{"form_factor", "oam", "board_info", "type : oam"},
	} {
		check(t, m.Set("gpu.1."+tt.key, tt.value))
		if got := h.text(device(address, tt.file)); got != tt.want {
			t.Errorf("%s = %s: %s has %q, want %q", tt.key, tt.value, tt.file, got, tt.want)
		}
	}
	check(t, m.Set("gpu.1.temperature", "unreadable"))
	if _, err := h.Read(device(address, "hwmon/hwmon1/temp2_input")); err == nil || sysfs.IsAbsent(err) {
		t.Errorf("a temperature that cannot be read: %v", err)
	}
	check(t, m.Set("gpu.1.temperature", "unsupported"))
	for _, name := range []string{"temp2_input", "temp2_label", "temp2_crit"} {
		if h.exists(device(address, "hwmon/hwmon1/"+name)) {
			t.Errorf("%s is there without a sensor", name)
		}
	}
	check(t, m.SetAll(map[string]string{"gpu.1.process.0": "pid=4242 vram=1048576 sdma=7 cu=12"}))
	id := h.text(topologyDir + "/nodes/3/gpu_id") // after two CPUs and GPU 0
	if got := h.text("/sys/class/kfd/kfd/proc/4242/vram_" + id); got != "1048576" {
		t.Errorf("the process has %s bytes on the GPU", got)
	}
}

// TestTheCardsSwitch looks at the link of a card that brings a switch along.
func TestTheCardsSwitch(t *testing.T) {
	t.Parallel()
	h := hostOf(t, start(t, "apu-dgpu", nil))
	real, err := h.Resolve("/sys/bus/pci/devices/0000:03:00.0")
	check(t, err)
	type step struct{ Vendor, Width string }
	var got []step
	for dir := real; strings.Contains(filepath.Base(dir), "."); dir = filepath.Dir(dir) {
		got = append(got, step{h.text(dir + "/vendor"), h.text(dir + "/max_link_width")})
	}
	// From the GPU up: its own link and the switch's lower one are inside of the
	// card, the switch's upper one is in the slot.
	want := []step{{"0x1002", "16"}, {"0x1002", "16"}, {"0x1002", "8"}, {"0x1022", "8"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

// TestDriver takes the driver away and brings it back, with its counts forgotten
// and pending pages retired.
func TestDriver(t *testing.T) {
	t.Parallel()
	m := start(t, "mi300x-cpx", map[string]string{"display.driver": "ast", "display.address": "0000:c4:00.0"})
	h := hostOf(t, m)
	const address = "0000:0a:00.0"
	check(t, m.SetAll(map[string]string{"gpu.0.ras.umc.ue": "4", "gpu.0.ras.pages.pending": "1"}))
	check(t, m.Unload())
	for _, name := range []string{"/sys/module/amdgpu", "/dev/kfd", "/dev/dri/renderD128", "/sys/class/kfd", device(address, "driver"), device(address, "unique_id"), device(address, "drm")} {
		if h.exists(name) {
			t.Errorf("%s is there without a driver", name)
		}
	}
	if !h.exists("/dev/dri/card0") || h.text(device(address, "vendor")) != "0x1002" {
		t.Error("the display or the GPU itself is gone with the driver")
	}
	check(t, m.Load())
	if got := h.text(device(address, "ras/umc_err_count")); got != "ue: 0\nce: 0\nde: 0" {
		t.Errorf("counts of the loaded driver: %q", got)
	}
	if got := h.text(device(address, "ras/gpu_vram_bad_pages")); !strings.HasSuffix(got, ": R") {
		t.Errorf("bad pages of the loaded driver: %q", got)
	}
	if got := h.text("/sys/module/amdgpu/version"); got != "6.12.12" {
		t.Errorf("module version %q", got)
	}
	check(t, m.Set("lists.unreadable", "true"))
	if _, err := h.ReadDir("/sys/bus/pci/devices"); err == nil || sysfs.IsAbsent(err) {
		t.Errorf("the list of PCI functions: %v", err)
	}
}

// TestMixedFitsBesideNVIDIA holds the GPUs, nodes and minors of the two machines
// that run in one agent apart.
func TestMixedFitsBesideNVIDIA(t *testing.T) {
	t.Parallel()
	library := filepath.Join(t.TempDir(), "library")
	check(t, os.WriteFile(library, nil, 0o644))
	other, err := nvidia.Start(t.Context(), filepath.Join(t.TempDir(), "nvidia"), "8xh100", nvidia.Options{Library: library})
	check(t, err)
	m := start(t, "mixed-instinct", nil)
	for _, dir := range []string{"/dev", "/dev/dri", "/sys/bus/pci/devices", "/sys/class/drm", "/sys/devices"} {
		theirs, err := os.ReadDir(filepath.Join(other.Root(), dir))
		check(t, err)
		for _, e := range theirs {
			if _, err := os.Stat(filepath.Join(m.Root(), dir, e.Name())); err == nil && e.Name() != "dri" {
				t.Errorf("%s/%s is on both machines", dir, e.Name())
			}
		}
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set  map[string]string
		want string
	}{
		"an address":          {map[string]string{"gpu.0.pci.bus_id": "slot 3"}, "gpu.0.pci.bus_id"},
		"one address twice":   {map[string]string{"gpu.0.pci.bus_id": "0000:2b:00.0"}, "GPU 0 and GPU 1"},
		"a compute mode":      {map[string]string{"gpu.3.compute_partition": "XPX"}, "want SPX"},
		"dies":                {map[string]string{"gpu.3.compute_partition": "TPX"}, "does not divide 8 dies"},
		"a metrics version":   {map[string]string{"gpu.3.gpu_metrics": "9.9"}, "encodes 1.3"},
		"a display's address": {map[string]string{"display.address": "c3"}, "display.address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "m")
			_, err := Start(dir, "8xmi300x", tt.set)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a failed Start leaves the directory: %v", err)
			}
		})
	}
}
