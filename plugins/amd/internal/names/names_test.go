package names

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
)

const host = `
/usr/share/libdrm/amdgpu.ids	# comment\n1.0.0\nFFF0,\t01,\tAMD New\t One\n74A1,\t00,\tAMD Renamed\nbroken\nFFF0,\tx,\tno\n,,\n
/usr/share/misc/pci.ids	1001  Other\n\tfff1  Wrong\n1002  Advanced Micro Devices, Inc. [AMD/ATI]\n\tfff1  Chip One [Radeon Good]\n\t\t1002 0001  Subsystem\n\tfff2  Chip Two\n1003  Next\n\tfff3  Wrong\n
`

func TestOf(t *testing.T) {
	t.Parallel()
	n := New(sysfs.New(sysfstest.UnpackText(t, host)))
	for _, test := range []struct {
		id            ID
		product, want string
	}{
		{ID{0x74a1, 0}, "", "AMD Instinct MI300X"},
		{ID{0x74a1, 0}, "AMD Instinct MI300X OAM", "AMD Instinct MI300X"},
		{ID{0x740f, 2}, " AMD  INSTINCT MI210 ", "AMD Instinct MI210"},
		{ID{0x740c, 1}, "AMD INSTINCT MI250 (MCM) OAM AC MBA", "AMD Instinct MI250"},
		{ID{0x740c, 1}, "AMD INSTINCT MI250X (MCM) OAM", "AMD Instinct MI250X"},
		{ID{0x740c, 1}, "", "AMD Instinct MI250X / MI250"},
		{ID{0x74a1, 0}, "AMD Instinct MI399X", "AMD Instinct MI399X"}, // the board knows better
		{ID{0x744c, 0xc8}, "", "AMD Radeon RX 7900 XTX"},
		{ID{0x744c, 0xcc}, "", "AMD Radeon RX 7900 XT"},
		{ID{0xfff0, 1}, "", "AMD New One"},
		{ID{0xfff0, 2}, "", "AMD fff0 rev 02"},
		{ID{0xfff1, 0}, "", "AMD Radeon Good"},
		{ID{0xfff2, 0}, "", "AMD Chip Two"},
		{ID{0xfff3, 0}, "", "AMD fff3 rev 00"},
		{ID{0xfff3, 0}, "AMD Named", "AMD Named"},
	} {
		if got := n.Of(test.id, test.product); got != test.want {
			t.Errorf("%04x %02x %q: %q, want %q", test.id.Device, test.id.Revision, test.product, got, test.want)
		}
	}
	empty := New(sysfs.New(t.TempDir()))
	if got := empty.Of(ID{0xfff1, 0}, ""); got != "AMD fff1 rev 00" {
		t.Errorf("on a host without tables: %q", got)
	}
}

// The built-in table is whole.
func TestBuiltin(t *testing.T) {
	t.Parallel()
	if n := len(table()); n < 700 {
		t.Errorf("%d names", n)
	}
	for id, name := range table() {
		if !strings.HasPrefix(name, "AMD ") && !strings.HasPrefix(name, "ATI ") {
			t.Errorf("%04x %02x: %q", id.Device, id.Revision, name)
		}
	}
}

func FuzzTables(f *testing.F) {
	f.Add([]byte("74A1,\t00,\tAMD Instinct MI300X\n"), "AMD X / Y Z")
	f.Add([]byte("x\n1002  AMD\n\t74a1  Chip [Name]\n"), "")
	f.Fuzz(func(t *testing.T, data []byte, product string) {
		for id, name := range parseTable(data) {
			if name == "" || !utf8.ValidString(name) {
				t.Errorf("%v: %q", id, name)
			}
			if spelled(product, name) == "" && product != "" {
				t.Errorf("%q spelled like %q is nothing", product, name)
			}
		}
		if name := fromPCIIDs(data, 0x74a1); !utf8.ValidString(name) {
			t.Errorf("%q", name)
		}
		_ = spelled(product, string(data))
	})
}
