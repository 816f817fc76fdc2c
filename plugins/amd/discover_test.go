package amd

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe/pagetest"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// file returns a machine of testdata.
func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".tsv"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// eight returns eight GPUs like the given one, in one hive.
func eight(g gpu) []gpu {
	all := make([]gpu, 8)
	for i := range all {
		all[i] = g
		all[i].address = fmt.Sprintf("0000:%02x:00.0", 5+16*i)
		all[i].uid = 0x71c0a1d2e3f40500 + uint64(i)
		all[i].hive = 0x2b6c5a4f1e0d3322
		all[i].numa = i / 4
	}
	return all
}

var (
	all8 = []int{0, 1, 2, 3, 4, 5, 6, 7}
	spx  = gpu{model: mi300x, address: "0000:05:00.0", uid: 0x71c0a1d2e3f40500, compute: modeSPX, memory: "NPS1"}
	cpx  = gpu{model: mi300x, address: "0000:15:00.0", uid: 0x71c0a1d2e3f40501, compute: modeCPX, memory: "NPS4", parts: all8}
	dpx  = gpu{model: mi300x, address: "0000:25:00.0", uid: 0x71c0a1d2e3f40502, compute: modeDPX, memory: "NPS1", parts: []int{0, 1}}
	// gap has its partitions' numbers in the low bits, and no fourth partition.
	gap    = gpu{model: mi300x, address: "0000:35:00.0", uid: 0x71c0a1d2e3f40503, compute: modeCPX, memory: "NPS1", lowBits: true, parts: []int{0, 1, 2, 4, 5, 6, 7}}
	server = gpu{model: mi210, address: "0000:c1:00.0", uid: 0x9e3779b97f4a7c15, hive: 0x77, numa: 1}
	radeon = gpu{model: rx7900xtx, address: "0000:03:00.0", above: []string{"0000:01:00.0", "0000:02:00.0"}, uid: 0x1122334455667788, numa: -1}
	apu    = gpu{model: phoenix, address: "0000:c4:00.0", numa: -1}
)

// machines are the machines of the goldens.
func machines(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"8xmi300x":   machine(eight(spx)...),
		"mi300x-cpx": machine(cpx),
		"mixed":      machine(spx, dpx, gap),
		"2xmi210":    machine(server, gpu{model: mi210, address: "10000:c2:00.0", uid: 0x9e3779b97f4a7c16, hive: 0x77, numa: 1}),
		"radeon":     machine(radeon) + "/sys/bus/pci/devices/0000:63:00.0/vendor\t0x1a03\\n\n/sys/bus/pci/devices/0000:63:00.0/class\t0x030000\\n\n",
		"apu":        machine(radeon, apu),
		"guest":      file(t, "guest"),
		"foreign":    file(t, "foreign"),
	}
}

// golden renders a scan. Of the devices of a group the first is shown whole, and of
// the others what differs.
func (b *bench) golden(s scan) string {
	var w strings.Builder
	shown := map[string][]string{}
	for _, id := range s.ids() {
		d := s.devices[id]
		first, ok := shown[d.Group.String()]
		for line := range strings.Lines(b.text(d)) {
			if !ok || !slices.Contains(first, line) || strings.HasPrefix(line, "  group ") {
				w.WriteString(line)
			}
			if !ok {
				shown[d.Group.String()] = append(shown[d.Group.String()], line)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.errs)) {
		fmt.Fprintf(&w, "error %s: %v\n", key, s.errs[key])
	}
	notes := slices.SortedFunc(slices.Values(s.notes), func(a, b core.Note) int { return strings.Compare(a.Subject, b.Subject) })
	for _, n := range notes {
		if n.Subject == kfdNode {
			continue // about the user who runs the test
		}
		fmt.Fprintf(&w, "note %s: %s\n", n.Subject, n.Text)
	}
	return w.String()
}

func TestGoldenMachines(t *testing.T) {
	t.Parallel()
	for name, tsv := range machines(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, tsv)
			b.scan()
			s := b.scan() // notes of a card come with the next look
			b.texts(s)    // some statistics are about the time since the last reading
			got := b.golden(s)
			golden := filepath.Join("testdata", "golden", name+".txt")
			if pagetest.Update() {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("devices differ from %s (-want +got):\n%s", golden, diff)
			}
			if again := b.golden(b.scan()); again != got {
				t.Errorf("the next look differs:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func TestRootThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := newBenchOn(t, filepath.Join(t.TempDir(), "none"))
	if s := b.scan(); s.err == nil || !strings.Contains(s.err.Error(), "host_root") {
		t.Errorf("error %v", s.err)
	}
	b = newBenchOn(t, t.TempDir())
	if s := b.good(); len(s.devices)+len(s.notes) != 0 {
		t.Errorf("an empty host has %v, %v", s.ids(), s.notes)
	}
}

// TestJoin has GPUs whose three lists do not agree.
func TestJoin(t *testing.T) {
	t.Parallel()
	functions := []gpu{
		{model: mi210, address: "0000:00:02.1", uid: 1}, {model: mi210, address: "0000:00:02.3", uid: 3},
	}
	five := gpu{model: mi210, address: "10021:81:1f.0", uid: 5}
	for _, tt := range []struct {
		name   string
		tsv    string
		change func(b *bench)
		want   map[string]core.PCIAddress
	}{
		{"virtual functions", machine(functions...), nil, map[string]core.PCIAddress{
			"GPU-0000000000000001": "0000:00:02.1", "GPU-0000000000000003": "0000:00:02.3",
		}},
		{"virtual functions by location", machine(functions...), func(b *bench) { b.remove("/sys/class/drm") }, map[string]core.PCIAddress{
			"GPU-0000000000000001": "0000:00:02.1", "GPU-0000000000000003": "0000:00:02.3",
		}},
		{"a domain of five digits", machine(five), nil, map[string]core.PCIAddress{"GPU-0000000000000005": "10021:81:1f.0"}},
		{"a domain of five digits by location", machine(five), func(b *bench) { b.remove("/sys/class/drm") }, map[string]core.PCIAddress{
			"GPU-0000000000000005": "10021:81:1f.0",
		}},
		{"the render node outranks the location", machine(server), func(b *bench) { b.properties(1, "location_id", "66") }, map[string]core.PCIAddress{
			"GPU-9e3779b97f4a7c15": "0000:c1:00.0",
		}},
		{"KFD alone", machine(server), func(b *bench) { b.remove("/sys/bus"); b.remove("/sys/class/drm") }, map[string]core.PCIAddress{
			"GPU-9e3779b97f4a7c15": "0000:c1:00.0",
		}},
		{"KFD knows one that is not on the bus", machine(server, radeon), func(b *bench) { b.remove("/sys/bus/pci/devices/0000:c1:00.0") }, map[string]core.PCIAddress{
			"GPU-1122334455667788": "0000:03:00.0",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, tt.tsv)
			if tt.change != nil {
				tt.change(b)
			}
			got := map[string]core.PCIAddress{}
			for id, d := range b.good().devices {
				got[id] = d.PCI
				if d.Ref.(*ref).node.ComputeUnits == 0 {
					t.Errorf("%s has no node", id)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// properties changes a property of a node of KFD's; an empty value takes it away.
func (b *bench) properties(node int, name, value string) {
	b.t.Helper()
	path := fmt.Sprintf("/sys/class/kfd/kfd/topology/nodes/%d/properties", node)
	text, err := b.host.ReadString(path)
	if err != nil {
		b.t.Fatal(err)
	}
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, name+" ") {
			if value == "" {
				continue
			}
			line = name + " " + value
		}
		lines = append(lines, line)
	}
	b.write(path, strings.Join(lines, "\n")+"\n")
}

func TestAPUs(t *testing.T) {
	t.Parallel()
	b := newBench(t, machine(radeon, apu), func(c *Config) { c.APUs = false })
	b.good()
	if s := b.good(); !slices.Equal(s.ids(), []string{"GPU-1122334455667788"}) || !strings.Contains(s.notes[0].Text, "apus = false") {
		t.Errorf("devices %v, notes %v", s.ids(), s.notes)
	}
	b = newBench(t, machine(apu))
	if d := b.good().only(t); !d.Attributes["apu"].AsBool() {
		t.Error("it is not seen to be one")
	}
	b.fail(apu.address, "hwmon", syscall.EIO)
	if d := b.good().only(t); !d.Attributes["apu"].AsBool() {
		t.Error("it is none any more")
	}
	// The first kernels with KFD show processor and GPU as one node.
	b = newBench(t, machine(server))
	b.properties(1, "cpu_cores_count", "4")
	if d := b.good().only(t); !d.Attributes["apu"].AsBool() {
		t.Error("a node with both kinds of cores is none")
	}
}

func TestRequireCompute(t *testing.T) {
	t.Parallel()
	plain := radeon
	plain.noKFD = true
	b := newBench(t, machine(plain))
	b.good()
	if s := b.good(); len(s.devices) != 0 || len(s.notes) == 0 || !strings.Contains(s.notes[0].Text, "require_compute = false") {
		t.Errorf("devices %v, notes %v", s.ids(), s.notes)
	}
	graphics := func(c *Config) { c.RequireCompute = false }
	b = newBench(t, machine(plain), graphics)
	d := b.good().only(t)
	g, err := b.Grant(t.Context(), d)
	if diff := cmp.Diff([]core.Node{{Path: "/dev/dri/renderD128", Permissions: "rw"}}, g.Nodes); diff != "" || err != nil || len(g.Lists) > 0 {
		t.Errorf("grant %+v, %v", g, err)
	}
	// A GPU that compute could use is not taken for one that it cannot.
	b = newBench(t, machine(cpx), graphics)
	b.good()
	b.remove("/sys/devices/virtual/kfd/kfd/topology/nodes")
	b.write("/sys/class/kfd/kfd/topology/nodes/0/properties", "simd_count 0\n")
	if s := b.scan(); !slices.Equal(s.ids(), []string{cpx.address + "?"}) || !slices.Equal(codes(s.devices[cpx.address+"?"]), []string{"soft " + codeNoKFD}) {
		t.Errorf("without its nodes: %v", s.ids())
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][]string{
		"GPU-9e3779b97f4a7c15":      {"GPU-71c0a1d2e3f40502/dpx0", "GPU-71c0a1d2e3f40502/dpx1"},
		"gpu-9E3779B97F4A7C15":      {"GPU-71c0a1d2e3f40502/dpx0", "GPU-71c0a1d2e3f40502/dpx1"},
		"0000:25:00.0":              {"GPU-9e3779b97f4a7c15"},
		" 25:00.0":                  {"GPU-9e3779b97f4a7c15"},
		"GPU-71c0a1d2e3f40502":      {"GPU-9e3779b97f4a7c15"},
		"GPU-71c0a1d2e3f40502/DPX1": {"GPU-71c0a1d2e3f40502/dpx0", "GPU-9e3779b97f4a7c15"},
		"GPU-none":                  {"GPU-71c0a1d2e3f40502/dpx0", "GPU-71c0a1d2e3f40502/dpx1", "GPU-9e3779b97f4a7c15"},
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, machine(server, dpx), func(c *Config) { c.IgnoredIDs = []string{id} })
			if diff := cmp.Diff(want, b.good().ids()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, g := range []gpu{server, dpx} {
				offered := slices.ContainsFunc(want, func(id string) bool { return strings.Contains(id, fmt.Sprintf("%016x", g.uid)) })
				if n := b.count(g.address, "mem_info_vram_total"); n > 0 && !offered {
					t.Errorf("%s is asked all the same", g.address)
				}
			}
		})
	}
}

// TestUnreadableBus has a bus and functions that cannot be read for once: GPUs that
// were offered are not taken for gone, and those with a driver not for ones without.
func TestUnreadableBus(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/sys/bus/pci/devices", "/sys/bus/pci/devices/0000:c1:00.0/vendor", "/sys/bus/pci/devices/0000:c1:00.0/device",
		"/sys/bus/pci/devices/0000:c1:00.0/class", "/sys/bus/pci/devices/0000:c1:00.0/driver",
	} {
		b := newBench(t, machine(server))
		b.good()
		b.faults.Set(path, syscall.EIO)
		if s := b.scan(); s.errs[server.address] == nil || len(s.devices) != 0 {
			t.Errorf("%s: devices %v, errors %v", path, s.ids(), s.errs)
		}
		b = newBench(t, machine(server))
		b.faults.Set(path, syscall.EIO)
		if s := b.scan(); len(s.devices) != 0 || len(s.notes) == 0 || !strings.Contains(s.notes[0].Text, "input/output error") {
			t.Errorf("%s at first sight: devices %v, notes %v", path, s.ids(), s.notes)
		}
	}
}

func TestGroupBy(t *testing.T) {
	t.Parallel()
	for by, want := range map[string]map[string]string{
		groupByModel: {"GPU-9e3779b97f4a7c15": "amd/gpu/AMD Instinct MI210", "GPU-71c0a1d2e3f40502/dpx0": "amd/gpu/AMD Instinct MI300X DPX-NPS1"},
		groupByGFX:   {"GPU-9e3779b97f4a7c15": "amd/gpu/gfx90a", "GPU-71c0a1d2e3f40502/dpx0": "amd/gpu/gfx942 DPX-NPS1"},
		groupByID:    {"GPU-9e3779b97f4a7c15": "amd/gpu/0x740f", "GPU-71c0a1d2e3f40502/dpx0": "amd/gpu/0x74a1 DPX-NPS1"},
	} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			one := dpx
			one.parts = []int{0}
			b := newBench(t, machine(server, one), func(c *Config) { c.GroupBy, c.PartitionType = by, typeGPU })
			if diff := cmp.Diff(want, b.good().groups()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// What the groups are named by stays.
			b.properties(1, "gfx_target_version", "")
			b.set(server.address, "product_name", "AMD Something else\n")
			if diff := cmp.Diff(want, b.good().groups()); diff != "" {
				t.Errorf("later, -want +got:\n%s", diff)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	// The driver comes between the listing of the bus and the second look.
	b := newBench(t, machine(server))
	first := true
	b.host = sysfs.New(b.root, sysfs.WithHook(func(_, path string) error {
		if strings.HasSuffix(path, server.address+"/driver") && first {
			first = false
			return syscall.ENOENT
		}
		return nil
	}))
	if s := b.scan(); len(s.devices) != 1 {
		t.Errorf("devices %v, notes %v", s.ids(), s.notes)
	}
}
