package fpga

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryFaultCanBeRepaired breaks and repairs a card of every family in every
// way: each fault that the card can have changes something, the others are refused
// in words, and repair brings all back, byte for byte.
func TestEveryFaultCanBeRepaired(t *testing.T) {
	t.Parallel()
	driven := []string{"garbage", "gone", "unbound", "unreadable"}
	intel := append(driven, "all-ones", "catastrophic", "manager-error", "no-node", "port-busy", "thermal-trip")
	alveo := append(driven, "factory", "firewall", "no-node", "not-ready", "offline", "reset")
	for profile, possible := range map[string][]string{
		"dfl-sriov":    intel,
		"opae-legacy":  intel,
		"2xu250":       append(slices.Clip(alveo), "all-ones"),
		"alveo-odd":    alveo, // a shell of one stage has no UUID
		"v80":          append(driven, "all-ones", "ami-no-amc"),
		"aws-f2":       {"app-gone", "gone"}, // no driver has it
		"zynqmp":       append(driven, "manager-error", "no-node"),
		"fpga-manager": append(driven, "manager-error"),
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			before := snapshot(t, m)
			var worked []string
			for _, fault := range Faults() {
				if err := m.Break(0, fault.Name); err != nil {
					if !strings.Contains(err.Error(), "card 0 (") || !strings.Contains(err.Error(), "cannot have the fault "+fault.Name) {
						t.Errorf("%s is refused: %v", fault.Name, err)
					}
					continue
				}
				worked = append(worked, fault.Name)
				if maps.Equal(before, snapshot(t, m)) {
					t.Errorf("%s has changed nothing", fault.Name)
				}
				check(t, m.Repair(0))
				if diff := cmp.Diff(before, snapshot(t, m)); diff != "" {
					t.Errorf("after %s and repair (-before +after):\n%s", fault.Name, diff)
				}
			}
			if diff := cmp.Diff(slices.Sorted(slices.Values(possible)), worked); diff != "" {
				t.Errorf("faults that are possible (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFaults looks at what each fault does, and that it does it to one card.
func TestFaults(t *testing.T) {
	t.Parallel()
	const (
		base   = "/fpga_region/region0/"
		region = base + "dfl-fme.0/dfl-fme-region.0/fpga_region/region1/"
	)
	type files map[string]string // by path below the card's function
	seen := map[string]bool{}
	for _, tt := range []struct {
		profile, fault string
		want           files
	}{
		{"dfl-sriov", "all-ones", files{region + "compat_id": allOnes, base + "dfl-port.1/afu_id": allOnes, base + "dfl-fme.0/bitstream_id": register64, base + "dfl-fme.0/errors/catfatal_errors": register64, base + "dfl-port.0/power_state": "0xf", "/current_link_speed": "Unknown", "/vendor": "0x8086", base + "dfl-port.0/id": "0"}},
		{"dfl-sriov", "catastrophic", files{base + "dfl-fme.0/errors/catfatal_errors": "0x10", base + "dfl-fme.0/errors/nonfatal_errors": "0x0"}},
		{"dfl-sriov", "manager-error", files{base + "dfl-fme.0/dfl-fme-mgr.0/fpga_manager/fpga0/state": "write error"}},
		{"dfl-sriov", "port-busy", files{base + "dfl-port.0/afu_id": "UNREADABLE", base + "dfl-port.1/afu_id": "UNREADABLE", region + "compat_id": "bfac4d851ee856fe8c95865ce1bbaa2d"}},
		{"dfl-sriov", "thermal-trip", files{base + "dfl-port.0/power_state": "0x6", base + "dfl-port.1/power_state": "0x6"}},
		{"dfl-sriov", "gone", files{"/vendor": "ABSENT"}},
		{"dfl-sriov", "unbound", files{"/vendor": "0x8086", "/driver/unbind": "ABSENT", base + "compat_id": "ABSENT"}},
		{"dfl-sriov", "unreadable", files{"/vendor": "0x8086", base + "dfl-port.0/id": "UNREADABLE", base + "dfl-fme.0/errors/catfatal_errors": "UNREADABLE"}},
		{"dfl-sriov", "garbage", files{"/vendor": "0x8086", base + "dfl-port.0/dev": "239:0"}},
		{"dfl-sriov", "no-node", files{base + "dfl-port.0/dev": "239:0"}},
		{"2xu250", "all-ones", files{"/logic_uuids": allOnes, "/rom.u.0/uuid": allOnes, "/rom.u.0/VBNV": "xilinx_u250_gen3x16_xdma_shell_4_1"}},
		{"2xu250", "factory", files{"/rom.u.0/VBNV": "xilinx_u250_GOLDEN_5", "/../0000:17:00.0/mfg": "1", "/../0000:17:00.0/rom.m.0/VBNV": "xilinx_u250_GOLDEN_5"}},
		{"2xu250", "firewall", files{"/../0000:17:00.0/firewall.m.0/detected_level": "1"}},
		{"2xu250", "not-ready", files{"/ready": "0x0", "/dev_offline": "0"}},
		{"2xu250", "offline", files{"/ready": "0x1", "/dev_offline": "1", "/../0000:17:00.0/dev_offline": "1"}},
		{"2xu250", "reset", files{"/ready": "ABSENT", "/user_pf": "", "/rom.u.0/VBNV": "ABSENT", "/drm/renderD128/dev": "226:128", "/../0000:17:00.0/ready": "1"}},
		{"2xu250", "unbound", files{"/user_pf": "ABSENT", "/drm/renderD128/dev": "ABSENT", "/../0000:17:00.0/ready": "1"}},
		{"2xu250", "unreadable", files{"/user_pf": "", "/ready": "UNREADABLE", "/../0000:17:00.0/firewall.m.0/detected_level": "UNREADABLE"}},
		{"v80", "ami-no-amc", files{"/dev_state": "NO_AMC", "/logic_uuid": "3e8d05c7a19b4f62d47c0be8915f2a36"}},
		{"v80", "all-ones", files{"/logic_uuid": allOnes, "/dev_state": "READY"}},
		{"aws-f2", "app-gone", files{"/vendor": "ABSENT"}},
		{"aws-f2", "gone", files{"/vendor": "ABSENT"}},
		{"opae-legacy", "catastrophic", files{"/fpga/intel-fpga-dev.0/intel-fpga-fme.0/errors/catfatal_errors": "0x10"}},
		{"opae-legacy", "all-ones", files{"/fpga/intel-fpga-dev.0/intel-fpga-fme.0/pr/interface_id": allOnes, "/fpga/intel-fpga-dev.0/intel-fpga-port.0/afu_id": allOnes}},
		{"opae-legacy", "manager-error", files{"/fpga/intel-fpga-dev.0/intel-fpga-fme.0/fpga_manager/fpga0/state": "write error"}},
	} {
		seen[tt.fault] = true
		t.Run(tt.profile+" "+tt.fault, func(t *testing.T) {
			t.Parallel()
			m := start(t, tt.profile, nil)
			h := hostOf(t, m)
			cards, err := m.Cards()
			check(t, err)
			before := snapshot(t, m)
			// Where the function is when it is there, to look beside it as well.
			at, err := h.Resolve(pci(cards[0].Address, "."))
			check(t, err)
			check(t, m.Break(0, tt.fault))
			got := files{}
			for name := range tt.want {
				got[name] = h.state(at + name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("files of the card (-want +got):\n%s", diff)
			}
			// What concerns the other card is as it was.
			after := snapshot(t, m)
			other, looked := strings.TrimSuffix(cards[1].Address, ".0"), 0
			for name, content := range before {
				if !strings.Contains(name, "/"+strings.TrimSuffix(other, ".1")+".") {
					continue
				}
				looked++
				if after[name] != content {
					t.Errorf("%s of the other card was %q and is %q", name, content, after[name])
				}
			}
			if looked < 10 {
				t.Errorf("only %d files of the other card were looked at", looked)
			}
		})
	}
	for _, f := range Faults() {
		if !seen[f.Name] {
			t.Errorf("%s is not tested", f.Name)
		}
		if f.Summary == "" {
			t.Errorf("%s does not say what it is", f.Name)
		}
	}
}

// TestNodesThatAreMissing takes the nodes for tasks out of /dev and leaves those of
// other cards and of the management.
func TestNodesThatAreMissing(t *testing.T) {
	t.Parallel()
	m := start(t, "mixed-fpga", nil)
	h := hostOf(t, m)
	check(t, m.Break(1, "no-node"))
	check(t, m.Break(2, "no-node"))
	for name, want := range map[string]bool{
		"/dev/dfl-port.0": true, "/dev/dfl-port.1": false, "/dev/dfl-port.2": false, "/dev/dfl-fme.1": true,
		"/dev/dri/renderD170": false, "/dev/dri/renderD171": true, "/dev/xclmgmt45312": true,
	} {
		if got := h.exists(name); got != want {
			t.Errorf("%s is there: %t, want %t", name, got, want)
		}
	}
}

// TestCardsKeepTheirNumbers takes the first card out: the others keep their nodes.
func TestCardsKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	m := start(t, "mixed-fpga", nil)
	before := snapshot(t, m)
	check(t, m.Break(0, "gone"))
	after := snapshot(t, m)
	for name, content := range after {
		if was, ok := before[name]; !ok || was != content {
			t.Errorf("%s was %q and is %q", name, was, content)
		}
	}
	if len(after) >= len(before) {
		t.Error("nothing is gone")
	}
}

// TestGarbageIsEverywhere reads each file of the driver of a card that talks
// garbage: none has what it had.
func TestGarbageIsEverywhere(t *testing.T) {
	t.Parallel()
	for profile, atLeast := range map[string]int{"dfl-n6001": 30, "2xu250": 40, "v80": 15, "opae-legacy": 20, "zynqmp": 4, "fpga-manager": 8} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			cards, err := m.Cards()
			check(t, err)
			slot, _, _ := strings.Cut(cards[0].Address, ".")
			before := snapshot(t, m)
			check(t, m.Break(0, "garbage"))
			after := snapshot(t, m)
			// What the kernel says, whatever the driver does.
			same := []string{
				"vendor", "device", "class", "revision", "subsystem_vendor", "subsystem_device", "enable", "numa_node", "local_cpulist", "uevent", "dev",
				"max_link_speed", "max_link_width", "current_link_speed", "current_link_width", "aer_dev_correctable", "aer_dev_nonfatal", "aer_dev_fatal",
				"user_pf", "mgmt_pf", "sriov_numvfs", "flags", "key",
			}
			spoiled := 0
			for name, content := range before {
				if slot != "" && !strings.Contains(name, "/"+slot) || !strings.HasPrefix(name, "/sys/devices/") ||
					content == "directory" || strings.HasPrefix(content, "-> ") || slices.Contains(same, name[strings.LastIndex(name, "/")+1:]) {
					continue
				}
				spoiled++
				if after[name] == content {
					t.Errorf("%s still has %q", name, content)
				}
			}
			if spoiled < atLeast {
				t.Errorf("only %d files were looked at", spoiled)
			}
		})
	}
}
