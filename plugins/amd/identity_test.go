package amd

import (
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIdentity looks several times at GPUs whose unique IDs are not what they should
// be, and expects IDs that stay.
func TestIdentity(t *testing.T) {
	t.Parallel()
	at := server.address
	set := func(content string) func(b *bench) { return func(b *bench) { b.set(at, "unique_id", content) } }
	fail := func(err error) func(b *bench) { return func(b *bench) { b.fail(at, "unique_id", err) } }
	noKFDID := func(b *bench) { b.properties(1, "unique_id", "0") }
	both := func(changes ...func(b *bench)) func(b *bench) {
		return func(b *bench) {
			for _, change := range changes {
				change(b)
			}
		}
	}
	const unique, place = "GPU-9e3779b97f4a7c15", "PCI-0000:c1:00.0"
	type step struct {
		change func(b *bench)
		want   string // empty: not identified
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"read errors later", []step{{nil, unique}, {fail(syscall.EIO), unique}, {fail(syscall.EPERM), unique}, {fail(nil), unique}}},
		{"a read error at first sight", []step{{fail(syscall.EIO), ""}, {fail(nil), unique}}},
		{"empty later", []step{{nil, unique}, {set(""), unique}, {both(set(""), noKFDID), unique}}},
		{"garbage later", []step{{nil, unique}, {set("\xff\xfe"), unique}, {set("none"), unique}}},
		{"gone later", []step{{nil, unique}, {fail(syscall.ENOENT), unique}}},
		{"empty", []step{{both(set("\n"), noKFDID), place}, {set("9e3779b97f4a7c15\n"), place}}},
		{"empty, and KFD knows it", []step{{set(""), unique}}},
		{"zero", []step{{both(set("0000000000000000\n"), noKFDID), place}}},
		{"absent", []step{{both(fail(syscall.ENOENT), noKFDID), place}, {fail(syscall.EIO), place}}},
		{"garbage", []step{{set("what?\n"), ""}, {set(strings.Repeat("9", 5000)), ""}, {set("9e3779b97f4a7c15"), unique}}},
		{"with 0x", []step{{set("0x9E3779B97F4A7C15\n"), unique}}},
		{"short", []step{{set("15\n"), "GPU-0000000000000015"}}},
		{"another GPU in the slot", []step{{nil, unique}, {set("1111111111111111\n"), "GPU-1111111111111111"}, {set(""), "GPU-1111111111111111"}}},
		{"another GPU in the slot, which has none", []step{
			{both(fail(syscall.ENOENT), noKFDID), place},
			{func(b *bench) { b.set(at, "device", "0x744c\n"); b.set(at, "product_name", "") }, place},
		}},
		{"absent while the driver sets it up", []step{
			{both(fail(syscall.ENOENT), noKFDID, func(b *bench) { b.fail(at, "drm", syscall.ENOENT) }), ""},
			{both(fail(nil), func(b *bench) { b.fail(at, "drm", nil) }), unique},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, machine(server))
			for i, step := range tt.steps {
				if step.change != nil {
					step.change(b)
				}
				s := b.scan()
				var want []string
				if step.want != "" {
					want = []string{step.want}
				}
				if diff := cmp.Diff(want, s.ids()); diff != "" {
					t.Fatalf("step %d: -want +got:\n%s%v", i+1, diff, s.errs)
				}
				if want == nil && s.errs[at] == nil {
					t.Errorf("step %d: no error", i+1)
				}
			}
		})
	}
}

// TestAnotherModelInTheSlot forgets the one that was there.
func TestAnotherModelInTheSlot(t *testing.T) {
	t.Parallel()
	g := radeon
	g.uid = 0
	b := newBench(t, machine(g))
	if name := b.good().only(t).Group.Name; name != "AMD Radeon RX 7900 XTX" {
		t.Fatalf("called %s", name)
	}
	b.set(g.address, "device", "0x7550\n")
	b.set(g.address, "revision", "0xc0\n")
	if name := b.good().only(t).Group.Name; name != "AMD Radeon RX 9070 XT" {
		t.Errorf("the next one is called %s", name)
	}
}

// TestOneIDForTwo has GPUs that claim the same unique ID.
func TestOneIDForTwo(t *testing.T) {
	t.Parallel()
	first, second := server, server
	second.address = "0000:c2:00.0"
	b := newBench(t, machine(first, second))
	want := []string{"PCI-0000:c1:00.0", "PCI-0000:c2:00.0"}
	for range 2 {
		if diff := cmp.Diff(want, b.good().ids()); diff != "" {
			t.Errorf("both at first sight: -want +got:\n%s", diff)
		}
	}
	// Whoever had it before keeps it.
	hidden := "/sys/bus/pci/devices/0000:c2:00.0"
	b = newBench(t, machine(first, second))
	b.faults.Set(hidden+"/vendor", syscall.ENOENT)
	if diff := cmp.Diff([]string{"GPU-9e3779b97f4a7c15"}, b.good().ids()); diff != "" {
		t.Fatalf("one: -want +got:\n%s", diff)
	}
	b.faults.Set(hidden+"/vendor", nil)
	want = []string{"GPU-9e3779b97f4a7c15", "PCI-0000:c2:00.0"}
	s := b.good()
	if diff := cmp.Diff(want, s.ids()); diff != "" {
		t.Errorf("the second: -want +got:\n%s", diff)
	}
	for id, d := range s.devices {
		if r := d.Ref.(*ref); r.uid != "" {
			t.Errorf("%s has the unique ID %s to itself", id, r.uid)
		}
	}
}

// TestAnotherSlot has a GPU that is put into another slot, and back, and a copy.
func TestAnotherSlot(t *testing.T) {
	t.Parallel()
	second := server
	second.address = "0000:c2:00.0"
	b := newBench(t, machine(server, second))
	show := func(addresses ...string) []string {
		for _, a := range []string{server.address, second.address} {
			var err error
			if !slices.Contains(addresses, a) {
				err = syscall.ENOENT
			}
			b.faults.Set("/sys/bus/pci/devices/"+a+"/vendor", err)
		}
		return b.good().ids()
	}
	for i, slot := range []string{server.address, second.address, server.address} {
		if got := show(slot); !slices.Equal(got, []string{"GPU-9e3779b97f4a7c15"}) {
			t.Errorf("move %d: %v", i, got)
		}
	}
	if got := show(server.address, second.address); !slices.Equal(got, []string{"GPU-9e3779b97f4a7c15", "PCI-0000:c2:00.0"}) {
		t.Errorf("both: %v", got)
	}
}

// TestNames looks at what groups are called.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(b *bench)
		want   string
	}{
		"by the board":                      {nil, "AMD Instinct MI210"},
		"by the table":                      {func(b *bench) { b.set(server.address, "product_name", "\n") }, "AMD Instinct MI210"},
		"the board cannot be read":          {func(b *bench) { b.fail(server.address, "product_name", syscall.EIO) }, "AMD Instinct MI210"},
		"the board says garbage":            {func(b *bench) { b.set(server.address, "product_name", "\xff\xfe\x00") }, "AMD Instinct MI210"},
		"the board says something else":     {func(b *bench) { b.set(server.address, "product_name", "AMD  Instinct\tMI210X\n") }, "AMD Instinct MI210X"},
		"nobody knows it":                   {func(b *bench) { b.set(server.address, "device", "0x1234\n"); b.set(server.address, "product_name", "") }, "AMD 1234 rev 02"},
		"the board's name is without end":   {func(b *bench) { b.set(server.address, "product_name", strings.Repeat("x", 5000)) }, "AMD Instinct MI210"},
		"the host's own table is not asked": {func(b *bench) { b.write("/usr/share/libdrm/amdgpu.ids", "740F,\t02,\tAMD Other\n") }, "AMD Instinct MI210"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, machine(server))
			if tt.change != nil {
				tt.change(b)
			}
			if got := b.good().only(t).Group.Name; got != tt.want {
				t.Errorf("called %q, want %q", got, tt.want)
			}
		})
	}
}

// groupsOf returns the IDs of a scan by the groups they are in.
func groupsOf(s scan) map[string][]string {
	groups := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(s.devices)) {
		name := s.devices[id].Group.String()
		groups[name] = append(groups[name], id)
	}
	return groups
}
