package amd

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

const generationFile = "/sys/devices/virtual/kfd/kfd/topology/generation_id"

// TestEveryFaultCanBeRepaired breaks and repairs a GPU of every kind in every
// way: each fault changes something, and repair brings all back, byte for byte,
// but for the count of the topology's changes.
func TestEveryFaultCanBeRepaired(t *testing.T) {
	t.Parallel()
	all := len(faults)
	for profile, possible := range map[string]int{
		"mi300x-cpx":  all,
		"4xmi210":     all,
		"1xrx7900xtx": all - 4, // no RAS
		"apu-dgpu":    all - 5, // and no AER
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			before := snapshot(t, m)
			delete(before, generationFile)
			worked := 0
			for _, fault := range Faults() {
				if err := m.Break(0, fault.Name); err != nil {
					t.Logf("%s: %v", fault.Name, err)
					continue
				}
				worked++
				broken := snapshot(t, m)
				delete(broken, generationFile)
				if maps.Equal(before, broken) {
					t.Errorf("%s has changed nothing", fault.Name)
				}
				check(t, m.Repair(0))
				after := snapshot(t, m)
				delete(after, generationFile)
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("after %s and repair (-before +after):\n%s", fault.Name, diff)
				}
			}
			if worked != possible {
				t.Errorf("%d of %d faults are possible, want %d", worked, all, possible)
			}
		})
	}
}

// TestFaults looks at what each fault does, and that it does it to one GPU.
func TestFaults(t *testing.T) {
	t.Parallel()
	const address = "0000:05:00.0"
	for fault, want := range map[string]map[string]string{
		"aer-fatal":    {"aer_dev_fatal": "Undefined 0\nDLP 0\nTLP 1\nCmpltTO 0\nTOTAL_ERR_FATAL 1\n"},
		"bad-page":     {"ras/gpu_vram_bad_pages": "0x00001f40 : 0x00001000 : F\n"},
		"ecc-ce":       {"ras/umc_err_count": "ue: 0\nce: 1\n"},
		"ecc-ue":       {"ras/umc_err_count": "ue: 1\nce: 0\n"},
		"garbage":      {"vendor": "0x1002\n", "drm/renderD128/dev": "226:128\n"},
		"gone":         {"vendor": "ABSENT"},
		"hot":          {"hwmon/hwmon0/temp2_input": "110000\n"},
		"lost":         {"vendor": "0x1002\n", "hwmon/hwmon0/temp2_input": "UNREADABLE", "ras/umc_err_count": "UNREADABLE", "current_link_speed": "Unknown\n", "unique_id": "4fd2016b98c7ae35\n"},
		"no-drm":       {"drm": "ABSENT", "hwmon": "ABSENT", "unique_id": "4fd2016b98c7ae35\n"},
		"no-kfd":       {"unique_id": "4fd2016b98c7ae35\n", "drm/renderD128/dev": "226:128\n"},
		"no-node":      {"drm/renderD128/dev": "226:128\n"},
		"page-pending": {"ras/gpu_vram_bad_pages": "0x00001f40 : 0x00001000 : P\n"},
		"reset":        {"gpu_busy_percent": "UNREADABLE", "gpu_metrics": "UNREADABLE", "ras/umc_err_count": "Query currently inaccessible\n", "unique_id": "4fd2016b98c7ae35\n", "devcoredump/data": "**** AMDGPU Device Coredump ****\n"},
		"suspended":    {"power/runtime_status": "suspended\n", "power_state": "D3cold\n", "gpu_busy_percent": "UNREADABLE", "hwmon/hwmon0/power1_cap": "UNREADABLE", "mem_info_vram_total": "68702699520\n"},
		"throttled":    {"hwmon/hwmon0/freq1_input": "500000000\n"},
		"unbound":      {"driver": "ABSENT", "drm": "ABSENT", "unique_id": "ABSENT"},
		"unreadable":   {"unique_id": "UNREADABLE", "gpu_metrics": "UNREADABLE", "hwmon/hwmon0/name": "UNREADABLE", "vendor": "0x1002\n"},
		"vfio":         {"drm": "ABSENT", "driver/unbind": "ABSENT"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := start(t, "4xmi210", nil)
			h := hostOf(t, m)
			before := snapshot(t, m)
			check(t, m.Break(0, fault))
			got := map[string]string{}
			for name := range want {
				content, err := h.Read(device(address, name))
				switch {
				case sysfs.IsAbsent(err):
					got[name] = "ABSENT"
				case err != nil:
					got[name] = "UNREADABLE"
				default:
					got[name] = string(content)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files of the GPU (-want +got):\n%s", diff)
			}
			// What concerns the other GPUs is as it was.
			after := snapshot(t, m)
			for name, content := range before {
				others := strings.Contains(name, "/0000:27:00.0/") || strings.Contains(name, "/0000:83:00.0/") ||
					strings.Contains(name, "renderD129") || strings.Contains(name, "renderD131")
				if others && after[name] != content {
					t.Errorf("%s of another GPU was %q and is %q", name, content, after[name])
				}
			}
		})
	}
	tested := []string{"aer-fatal", "bad-page", "ecc-ce", "ecc-ue", "garbage", "gone", "hot", "lost", "no-drm", "no-kfd", "no-node", "page-pending", "reset", "suspended", "throttled", "unbound", "unreadable", "vfio"}
	var names []string
	for _, f := range Faults() {
		names = append(names, f.Name)
		if f.Summary == "" {
			t.Errorf("%s does not say what it is", f.Name)
		}
	}
	if diff := cmp.Diff(tested, names); diff != "" {
		t.Errorf("faults (-tested +there):\n%s", diff)
	}
}

// TestFaultsOfTheNodes looks at what faults do to the KFD topology and to /dev.
func TestFaultsOfTheNodes(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]struct {
		nodes      int
		renderNode bool
		generation string
	}{
		"no-kfd": {3, true, "3"}, "no-node": {4, false, "2"}, "gone": {3, false, "3"}, "unbound": {3, false, "3"},
		"vfio": {3, false, "3"}, "no-drm": {3, false, "3"}, "hot": {4, true, "2"}, "reset": {4, true, "2"},
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			m := start(t, "4xmi210", nil)
			h := hostOf(t, m)
			check(t, m.Break(1, fault))
			if got := len(h.gpuNodes()); got != want.nodes {
				t.Errorf("%d GPU nodes, want %d", got, want.nodes)
			}
			if got := h.exists("/dev/dri/renderD129"); got != want.renderNode {
				t.Errorf("the render node is there: %t, want %t", got, want.renderNode)
			}
			if !h.exists("/dev/dri/renderD128") || !h.exists("/dev/dri/renderD130") {
				t.Error("another GPU's render node is gone, too")
			}
			if got := h.text(generationFile); got != want.generation {
				t.Errorf("generation %s, want %s", got, want.generation)
			}
		})
	}
}

// TestGarbageIsEverywhere reads each file of the driver of a GPU that talks
// garbage: none has what it had.
func TestGarbageIsEverywhere(t *testing.T) {
	t.Parallel()
	m := start(t, "mi300x-cpx", nil)
	h := hostOf(t, m)
	before := snapshot(t, m)
	check(t, m.Break(0, "garbage"))
	after := snapshot(t, m)
	same := []string{
		"vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device", "irq", "enable", "numa_node", "local_cpulist",
		"max_link_speed", "max_link_width", "current_link_speed", "current_link_width", "uevent", "dev", "runtime_status", "control", "power_state",
		"aer_dev_correctable", "aer_dev_nonfatal", "aer_dev_fatal", "modalias",
	}
	spoiled := 0
	for name, content := range before {
		mine := strings.Contains(name, "/0000:0a:00.0/") || strings.Contains(name, "/nodes/") && !strings.Contains(name, "/nodes/0/") && !strings.Contains(name, "/nodes/1/")
		base := name[strings.LastIndex(name, "/")+1:]
		if !mine || content == "directory" || strings.HasPrefix(content, "-> ") || slices.Contains(same, base) {
			continue
		}
		spoiled++
		if after[name] == content {
			t.Errorf("%s still has %q", name, content)
		}
	}
	if spoiled < 100 {
		t.Errorf("only %d files were looked at", spoiled)
	}
	if _, err := h.Read(device("0000:0a:00.0", "unique_id")); errors.Is(err, sysfs.ErrNotRegular) {
		t.Errorf("garbage cannot be read: %v", err)
	}
}
