package fpga

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

func start(t *testing.T, profile string, set map[string]string) *Machine {
	t.Helper()
	m, err := Start(filepath.Join(directory(t), "machine"), profile, set)
	check(t, err)
	return m
}

// directory makes a directory for the test, in memory if the system has room
// there: a machine is many small files.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "simulated-fpga-") //nolint:usetesting // that is on a disk
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

// host reads the machine as a plugin does.
type host struct {
	*sysfs.FS
	t *testing.T
}

func hostOf(t *testing.T, m *Machine) host {
	t.Helper()
	h := host{sysfs.New(m.Root()), t}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// state gives the content of a file without blanks around it, or why there is none.
func (h host) state(name string) string {
	h.t.Helper()
	content, err := h.Read(name)
	switch {
	case sysfs.IsAbsent(err):
		return "ABSENT"
	case err != nil:
		return "UNREADABLE"
	default:
		return strings.TrimSpace(string(content))
	}
}

func (h host) exists(name string) bool {
	_, err := os.Stat(h.Full(name))
	return err == nil
}

// names gives what is in a directory; there may be none.
func (h host) names(name string) []string {
	names, err := h.ReadDir(name)
	if !sysfs.IsAbsent(err) {
		check(h.t, err)
	}
	return names
}

// pci names a file of a PCI function.
func pci(address, name string) string { return "/sys/bus/pci/devices/" + address + "/" + name }

// snapshot gives all that is below the root: kinds, targets and contents.
func snapshot(t *testing.T, m *Machine) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(m.Root(), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(name, m.Root())
		switch {
		case d.IsDir():
			all[rel] = "directory"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			all[rel] = "-> " + target
			return err
		case strings.HasPrefix(rel, "/dev/"):
			all[rel] = "node"
		default:
			content, err := os.ReadFile(name)
			all[rel] = string(content)
			return err
		}
		return nil
	}))
	return all
}

// TestProfiles holds each machine to its devices, with the nodes that tasks need
// for each, and to the nodes that are nobody's.
func TestProfiles(t *testing.T) {
	t.Parallel()
	profiles := map[string]struct {
		devices map[string][]string
		others  []string // in /dev and its directories
	}{
		"2xn3000": {
			map[string][]string{"dfl:0000:1b:00.0/port0": {"/dev/dfl-port.0"}, "dfl:0000:af:00.0/port0": {"/dev/dfl-port.1"}},
			[]string{"/dev/dfl-fme.0", "/dev/dfl-fme.1"},
		},
		"2xu250": {
			map[string][]string{"xrt:0000:17:00.1": {"/dev/dri/renderD128"}, "xrt:0000:ca:00.1": {"/dev/dri/renderD129"}},
			[]string{
				"/dev/dri/card0", "/dev/dri/card1", "/dev/xclmgmt5888", "/dev/xclmgmt51712",
				"/dev/xfpga/icap.m51712.0", "/dev/xfpga/icap.m5888.0", "/dev/xfpga/mailbox.m51712.0", "/dev/xfpga/mailbox.m5888.0", "/dev/xfpga/xvc_pri.m51712.0", "/dev/xfpga/xvc_pri.m5888.0",
			},
		},
		"alveo-odd": {
			map[string][]string{"xrt:0000:65:00.1": {"/dev/dri/renderD128"}, "xrt:0000:07:00.0": {"/dev/dri/renderD129"}, "xrt:0000:b3:00.0": nil},
			[]string{
				"/dev/dri/card0", "/dev/dri/card1", "/dev/xclmgmt25856", "/dev/xclmgmt45824",
				"/dev/xfpga/dma.qdma.u1792.0", "/dev/xfpga/icap.m25856.0", "/dev/xfpga/icap.m45824.0", "/dev/xfpga/mailbox.m25856.0", "/dev/xfpga/mailbox.m45824.0", "/dev/xfpga/xvc_pri.m25856.0", "/dev/xfpga/xvc_pri.m45824.0",
			},
		},
		"aws-f2": {
			map[string][]string{"aws:0000:9f:00.1": {"/dev/vfio/9", "/dev/vfio/vfio"}, "aws:0000:a1:00.1": nil}, nil,
		},
		"dfl-n6001": {
			map[string][]string{"dfl:0000:b1:00.0/port0": {"/dev/dfl-port.0"}}, []string{"/dev/dfl-fme.0", "/dev/uio0"},
		},
		"dfl-sriov": {
			map[string][]string{
				"dfl:0000:3b:00.0/port0": {"/dev/dfl-port.0"}, "dfl:0000:3b:00.0/port1": {"/dev/dfl-port.1"},
				"dfl:0000:86:00.0/port0": {"/dev/dfl-port.2"}, "dfl:0000:86:00.1/port1": {"/dev/dfl-port.3"},
			},
			[]string{"/dev/dfl-fme.0", "/dev/dfl-fme.1"},
		},
		"fpga-manager": {map[string][]string{"mgr:platform/soc/ff706000.fpgamgr": nil}, nil},
		"mixed-fpga": {
			map[string][]string{
				"dfl:0000:31:00.0/port0": {"/dev/dfl-port.0"}, "dfl:0000:36:00.0/port0": {"/dev/dfl-port.1"}, "dfl:0000:36:00.0/port1": {"/dev/dfl-port.2"},
				"xrt:0000:b1:00.1": {"/dev/dri/renderD170"}, "xrt:0000:b6:00.1": {"/dev/dri/renderD171"},
			},
			[]string{
				"/dev/dfl-fme.0", "/dev/dfl-fme.1", "/dev/dri/card40", "/dev/dri/card41", "/dev/uio0", "/dev/xclmgmt45312", "/dev/xclmgmt46592",
				"/dev/xfpga/dma.qdma.u46593.0", "/dev/xfpga/icap.m45312.0", "/dev/xfpga/icap.m46592.0", "/dev/xfpga/mailbox.m45312.0", "/dev/xfpga/mailbox.m46592.0", "/dev/xfpga/xvc_pri.m45312.0", "/dev/xfpga/xvc_pri.m46592.0",
			},
		},
		"opae-legacy": {
			map[string][]string{"opae:0000:5e:00.0/port0": {"/dev/intel-fpga-port.0"}, "opae:0000:be:00.0/port0": {"/dev/intel-fpga-port.1"}},
			[]string{"/dev/intel-fpga-fme.0", "/dev/intel-fpga-fme.1"},
		},
		"v80":    {map[string][]string{"ami:0000:c1:00.0": nil, "ami:0000:c2:00.0": nil}, []string{"/dev/ami0", "/dev/ami1", "/dev/ami2"}},
		"zynqmp": {map[string][]string{"zocl:axi:zyxclmm_drm": {"/dev/dri/renderD128"}}, []string{"/dev/dri/card0"}},
	}
	for profile, want := range profiles {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			h := hostOf(t, m)
			all, err := m.Cards()
			check(t, err)
			devices, others := map[string][]string{}, []string(nil)
			tasks := map[string]bool{}
			for _, c := range all {
				if diff := cmp.Diff(sorted(c.Nodes), c.Devices); diff != "" {
					t.Errorf("card %d: nodes and devices (-nodes +devices):\n%s", c.Number, diff)
				}
				for id, nodes := range c.Nodes {
					devices[id] = nodes
					for _, node := range nodes {
						tasks[node] = true
					}
				}
				if c.Name == "" {
					t.Errorf("card %d has no name", c.Number)
				}
			}
			if diff := cmp.Diff(want.devices, devices); diff != "" {
				t.Errorf("devices and their nodes (-want +got):\n%s", diff)
			}
			for name, kind := range snapshot(t, m) {
				if kind != "node" {
					continue
				}
				if f, err := os.OpenFile(h.Full(name), os.O_RDWR, 0); err != nil {
					t.Errorf("%s does not open: %v", name, err)
				} else {
					check(t, f.Close())
				}
				if !tasks[name] {
					others = append(others, name)
				}
				delete(tasks, name)
			}
			for node := range tasks {
				t.Errorf("%s is missing", node)
			}
			slices.Sort(others)
			slices.Sort(want.others)
			if diff := cmp.Diff(want.others, others); diff != "" {
				t.Errorf("nodes that are no task's (-want +got):\n%s", diff)
			}
		})
	}
	if got := len(Profiles()); got != len(profiles) {
		t.Errorf("%d profiles, and %d are tested", got, len(profiles))
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
			links := 0
			for name, content := range snapshot(t, m) {
				if strings.HasPrefix(content, "-> ") {
					links++
					if _, err := root.Stat(strings.TrimPrefix(name, "/")); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
			if links < 5 {
				t.Errorf("only %d links", links)
			}
		})
	}
}

// TestEveryPortHasAnEngine follows each port of the machines with DFL cards to the
// engine of its card: in its own base region, or in that of the physical function.
func TestEveryPortHasAnEngine(t *testing.T) {
	t.Parallel()
	for profile, ports := range map[string]int{"2xn3000": 2, "dfl-n6001": 1, "dfl-sriov": 4, "mixed-fpga": 3} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			h := hostOf(t, start(t, profile, nil))
			numbers := map[string]bool{}
			found := 0
			for _, region := range h.names("/sys/class/fpga_region") {
				at, err := h.Resolve("/sys/class/fpga_region/" + region)
				check(t, err)
				isPort := func(name string) bool { return strings.HasPrefix(name, "dfl-port.") }
				isEngine := func(name string) bool { return strings.HasPrefix(name, "dfl-fme.") }
				names := h.names(at)
				for _, name := range names {
					if !isPort(name) {
						continue
					}
					found++
					numbers[h.state(at+"/"+name+"/dev")] = true
					if _, err := h.Resolve(at + "/../../physfn"); err == nil {
						physical := h.names(at + "/../../physfn/fpga_region")
						names = h.names(at + "/../../physfn/fpga_region/" + physical[0])
					}
					if !slices.ContainsFunc(names, isEngine) {
						t.Errorf("%s/%s has no engine", at, name)
					}
				}
				if inside := strings.Contains(at, "/dfl-fme."); inside != (h.state(at+"/compat_id") != "UNREADABLE") {
					t.Errorf("%s: compat_id is %s", at, h.state(at+"/compat_id"))
				}
			}
			if found != ports || len(numbers) != ports {
				t.Errorf("%d ports with %d numbers, want %d", found, len(numbers), ports)
			}
		})
	}
}

// TestValuesReachTheFiles sets values at run time.
func TestValuesReachTheFiles(t *testing.T) {
	t.Parallel()
	const (
		intel  = "/sys/class/fpga_region/region0/"
		sensor = intel + "dfl-fme.0/dfl_dev.3/n6000bmc-hwmon.42.auto/hwmon/hwmon42/"
		second = "/sys/class/fpga_region/region2/dfl-fme.1/"
		alveo  = "hwmon/hwmon46/"
		versal = "hwmon/hwmon47/"
		u250   = "0000:b1:00.1"
		v70    = "0000:b6:00.1"
	)
	m := start(t, "mixed-fpga", nil)
	h := hostOf(t, m)
	for _, tt := range []struct{ key, value, file, want string }{
		{"0.sensor.temp1", "91.5", sensor + "temp1_input", "91500"},
		{"0.sensor.power1", "60", sensor + "power1_input", "60000"}, // an N6001's are in mW
		{"1.sensor.power1", "60", second + "dfl_dev.3/d5005bmc-hwmon.45.auto/hwmon/hwmon45/power1_input", "60000000"},
		{"0.sensor.temp1", "hot", sensor + "temp1_input", "hot"},
		{"0.sensor.temp1", "unreadable", sensor + "temp1_input", "UNREADABLE"},
		{"0.sensor.temp1", "unsupported", sensor + "temp1_label", "ABSENT"},
		{"1.engine.temperature", "50.5", second + "hwmon/hwmon43/temp1_input", "50500"},
		{"1.engine.power", "31", second + "hwmon/hwmon44/power1_input", "31000000"},
		{"0.errors.nonfatal", "0x8", intel + "dfl-fme.0/errors/nonfatal_errors", "0x8"},
		{"0.errors.fme", "0x2", intel + "dfl-fme.0/errors/fme_errors", "0x2"},
		{"1.errors.port", "0x1", "/sys/class/fpga_region/region2/dfl-port.2/errors/errors", "0x1"},
		{"1.power_state", "1", "/sys/class/fpga_region/region2/dfl-port.1/power_state", "0x1"},
		{"1.port.1.power_state", "2", "/sys/class/fpga_region/region2/dfl-port.2/power_state", "0x2"},
		{"1.port.1.afu_uuid", `\xff`, "/sys/class/fpga_region/region2/dfl-port.2/afu_id", "\xff"},
		{"1.uuid", `""`, "/sys/class/fpga_region/region4/compat_id", ""},
		{"1.manager.status", "reconfig crc error", "/sys/class/fpga_manager/fpga1/status", "reconfig crc error"},
		{"0.aer.fatal", "2", pci("0000:31:00.0", "aer_dev_fatal"), "Undefined 0\nDLP 0\nTLP 2\nCmpltTO 0\nTOTAL_ERR_FATAL 2"},
		{"0.pcie.generation", "1", pci("0000:31:00.0", "current_link_speed"), "2.5 GT/s PCIe"},
		{"2.sensor.temp4", "66", pci(u250, alveo+"temp4_input"), "66000"},
		{"2.sensor.fan1", "2000", pci(u250, alveo+"fan1_input"), "2000"},
		{"2.shell", "xilinx_u250_other_1", pci(u250, alveo+"name"), "xilinx_u250_other_1_user"},
		{"2.shell", "xilinx_u250_other_2", pci(u250, "rom.u.40/VBNV"), "xilinx_u250_other_2"},
		{"2.xclbin", "0f3b6c52-98a1-4de7-b604-71c92fd8e35a", pci(u250, "xclbinuuid"), "0f3b6c52-98a1-4de7-b604-71c92fd8e35a"},
		{"2.uuid", "unsupported", pci(u250, "logic_uuids"), "UNREADABLE"},
		{"2.timestamp", "1561465320", pci(u250, "rom.u.40/timestamp"), "1561465320"},
		{"2.controller.version", "5.0", pci(u250, "xmc.u.40/bmc_ver"), "5.0"},
		{"3.sensor.temp1", "66", pci(v70, versal+"temp1_input"), "66"},
		{"3.sensor.power1", "40.5", pci(v70, versal+"power1_input"), "40500"},
		{"3.serial", "X", pci(v70, "hwmon_sdm.u.41/serial_num"), "X"},
		{"3.user", "false", pci("0000:b6:00.0", "rom.m.41/VBNV"), "xilinx_v70_GOLDEN_5"},
	} {
		check(t, m.Set("card."+tt.key, tt.value))
		if got := h.state(tt.file); got != tt.want {
			t.Errorf("%s = %s: %s has %q, want %q", tt.key, tt.value, tt.file, got, tt.want)
		}
	}
	if h.exists(pci(v70, "vendor")) {
		t.Error("the V70 has a user function, and should have none")
	}
}

// TestDrivers takes the drivers away and brings them back.
func TestDrivers(t *testing.T) {
	t.Parallel()
	for profile, gone := range map[string][]string{
		"dfl-n6001":    {"/dev/dfl-port.0", "/sys/class/fpga_region", "/sys/class/fpga_manager", pci("0000:b1:00.0", "driver")},
		"2xu250":       {"/dev/xclmgmt5888", "/dev/dri", pci("0000:17:00.1", "user_pf"), pci("0000:17:00.0", "mgmt_pf")},
		"opae-legacy":  {"/sys/class/fpga", "/dev/intel-fpga-fme.0"},
		"v80":          {amiDriver, "/dev/ami0", pci("0000:c1:00.0", "dev_state")},
		"zynqmp":       {zoclDriver, "/dev/dri", "/sys/class/fpga_manager"},
		"fpga-manager": {"/sys/class/fpga_manager", "/sys/class/fpga_region", "/sys/class/fpga_bridge"},
		"aws-f2":       {pci("0000:9f:00.1", "vendor"), "/dev/vfio"},
	} {
		t.Run(profile, func(t *testing.T) {
			t.Parallel()
			m := start(t, profile, nil)
			h := hostOf(t, m)
			before := snapshot(t, m)
			check(t, m.Unload())
			for _, name := range gone {
				if _, ok := before[name]; !ok && !h.exists(name) && !strings.HasPrefix(name, "/sys/bus/pci/devices") {
					t.Errorf("%s was never there", name)
				}
				if h.exists(name) {
					t.Errorf("%s is there without a driver", name)
				}
			}
			check(t, m.Load())
			if diff := cmp.Diff(before, snapshot(t, m)); diff != "" {
				t.Errorf("after loading again (-before +after):\n%s", diff)
			}
			check(t, m.Set("lists.unreadable", "true"))
			if _, err := h.ReadDir("/sys/bus/pci/devices"); err == nil || sysfs.IsAbsent(err) {
				t.Errorf("the list of PCI functions: %v", err)
			}
		})
	}
}

// TestMixedFitsBesideGPUs holds the cards, nodes and minors of the three machines
// that run in one agent apart.
func TestMixedFitsBesideGPUs(t *testing.T) {
	t.Parallel()
	library := filepath.Join(t.TempDir(), "library")
	check(t, os.WriteFile(library, nil, 0o644))
	green, err := nvidia.Start(t.Context(), filepath.Join(t.TempDir(), "nvidia"), "8xh100", nvidia.Options{Library: library})
	check(t, err)
	red, err := amd.Start(filepath.Join(directory(t), "amd"), "mixed-instinct", nil)
	check(t, err)
	m := start(t, "mixed-fpga", nil)
	for _, dir := range []string{"/dev", "/dev/dri", "/sys/bus/pci/devices", "/sys/class/drm", "/sys/class/hwmon", "/sys/devices"} {
		for _, root := range []string{green.Root(), red.Root()} {
			theirs, err := os.ReadDir(filepath.Join(root, dir))
			if !errors.Is(err, fs.ErrNotExist) {
				check(t, err)
			}
			for _, e := range theirs {
				if _, err := os.Stat(filepath.Join(m.Root(), dir, e.Name())); err == nil && e.Name() != "dri" {
					t.Errorf("%s/%s is on two machines", dir, e.Name())
				}
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	m := start(t, "mixed-fpga", nil)
	for name, want := range map[string]int{
		"1": 1, "dfl:0000:36:00.0/port1": 1, "0000:31:00.0": 0, "0000:b6:00.1": 3, "0000:b6:00.0": 3, "xrt:0000:b1:00.1": 2,
	} {
		if got, err := m.Find(name); err != nil || got != want {
			t.Errorf("%s is card %d, %v; want %d", name, got, err, want)
		}
	}
	if _, err := m.Find("renderD170"); err == nil || !strings.Contains(err.Error(), "no card") {
		t.Errorf("a name that no card has: %v", err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	m := start(t, "v80", nil)
	again, err := Open(m.Dir())
	check(t, err)
	check(t, again.Set("card.0.dev_state", "SHUTDOWN"))
	if got := hostOf(t, m).state(pci("0000:c1:00.0", "dev_state")); got != "SHUTDOWN" {
		t.Errorf("the state is %s", got)
	}
	if got := hostOf(t, m).state(amiDriver + "/devices"); got != "2\nc1:00.0 1 0\nc2:00.0 2 1" {
		t.Errorf("the driver's table:\n%s", got)
	}
	check(t, m.Remove(0))
	// The other card keeps its numbers.
	if got := hostOf(t, m).state(amiDriver + "/devices"); got != "1\nc2:00.0 2 1" {
		t.Errorf("the driver's table without the first card:\n%s", got)
	}
	check(t, m.Stop())
	if _, err := Open(m.Dir()); err == nil || !strings.Contains(err.Error(), "FPGA hardware") {
		t.Errorf("opening a machine that is gone: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set  map[string]string
		want string
	}{
		"a family":                 {map[string]string{"card.0.family": "cpld"}, "want one of ami, aws, dfl, mgr, opae, xrt, zocl"},
		"an address":               {map[string]string{"card.0.pci.bus_id": "slot 3"}, "card.0.pci.bus_id"},
		"no address":               {map[string]string{"card.1.pci.bus_id": "unsupported"}, "card.1.pci.bus_id"},
		"a manager's address":      {map[string]string{"card.2.mgmt.bus_id": "b1"}, "card.2.mgmt.bus_id"},
		"a virtual function's":     {map[string]string{"card.0.port.0.vf": "x"}, "card.0.port.0.vf"},
		"one address twice":        {map[string]string{"card.0.pci.bus_id": "0000:b1:00.0"}, "card 0 and card 2"},
		"two functions at one":     {map[string]string{"card.3.mgmt.bus_id": "0000:b6:00.1"}, "card 3 and card 3"},
		"no management on its own": {map[string]string{"card.2.user": "false", "card.2.mgmt.bus_id": "unsupported"}, "card.2.mgmt.bus_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "m")
			_, err := Start(dir, "mixed-fpga", tt.set)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Start: %v, want an error with %q", err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a failed Start leaves the directory: %v", err)
			}
		})
	}
}

// TestFamiliesHaveProfiles starts a machine of each family.
func TestFamiliesHaveProfiles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, p := range Profiles() {
		text.Write(p.Text)
	}
	for name := range families {
		if !strings.Contains(text.String(), fmt.Sprintf(".family = %s\n", name)) {
			t.Errorf("no profile has a card of the family %s", name)
		}
	}
}
