package dfl

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id            pci.ID
		vendor, model string
		listed        bool
	}{
		{pci.ID{Vendor: 0x8086, Device: 0xbcce, SubsystemVendor: 0x8086, SubsystemDevice: 0x1770}, "intel", "n6000", true},
		{pci.ID{Vendor: 0x8086, Device: 0xbccf, SubsystemVendor: 0x8086, SubsystemDevice: 0x1771}, "intel", "n6001", true},
		{pci.ID{Vendor: 0x8086, Device: 0xbcce, SubsystemVendor: 0x8086, SubsystemDevice: 0x17d4}, "intel", "c6100", true},
		{pci.ID{Vendor: 0x8086, Device: 0xbcce, SubsystemVendor: 0x8086, SubsystemDevice: 0x138d}, "intel", "d5005", true},
		{pci.ID{Vendor: 0x8086, Device: 0xbcce, SubsystemVendor: 0x1bad, SubsystemDevice: 0x1770}, "intel", "ofs", true},
		{pci.ID{Vendor: 0x8086, Device: 0x0b30}, "intel", "n3000", true},
		{pci.ID{Vendor: 0x8086, Device: 0x0b2c}, "intel", "d5005", true},
		{pci.ID{Vendor: 0x8086, Device: 0x09c4}, "intel", "a10-pac", true},
		{pci.ID{Vendor: 0x8086, Device: 0xbcbd}, "intel", "xeon-fpga", true},
		{pci.ID{Vendor: 0x8086, Device: 0xaf00}, "intel", "ofs", true},
		{pci.ID{Vendor: 0x1ded, Device: 0x8103}, "intel", "alibaba", true},
		{pci.ID{Vendor: 0x1c2c, Device: 0x1000}, "silicom", "n5010", true},
		{pci.ID{Vendor: 0x1c2c, Device: 0x1001}, "silicom", "n5011", true},
		{pci.ID{Vendor: 0x1c2c, Device: 0x2000}, "silicom", "dfl-1c2c-2000", false},
		{pci.ID{Vendor: 0x10ee, Device: 0x0b30}, "intel", "dfl-10ee-0b30", false},
	} {
		if got := identify(test.id); got.vendor != test.vendor || got.model != test.model || got.listed != test.listed {
			t.Errorf("%v: %+v, want %s %s %v", test.id, got, test.vendor, test.model, test.listed)
		}
	}
}

// A board keeps its name while its numbers cannot be read, and is never called by
// the name of its like after it had one of its own.
func TestKeepIdentity(t *testing.T) {
	t.Parallel()
	n6001 := pci.ID{Vendor: 0x8086, Device: 0xbcce, SubsystemVendor: 0x8086, SubsystemDevice: 0x1771}
	like := pci.ID{Vendor: 0x8086, Device: 0xbcce}
	m := family.NewMemory()
	for n, step := range []struct {
		id   pci.ID
		err  error
		want string
	}{
		{pci.ID{}, syscall.EIO, ""},
		{like, nil, "ofs"},
		{n6001, nil, "n6001"},
		{like, nil, "n6001"},
		{pci.ID{}, syscall.EIO, "n6001"},
		{pci.ID{Vendor: 0x8086, Device: 0x0b30}, nil, "n3000"},
	} {
		got := keepIdentity(m, "x", step.id, step.err)
		if got.Value.model != step.want || got.Known() != (step.want != "") {
			t.Errorf("step %d: %+v, want %q", n, got, step.want)
		}
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value  uint64
		fields []field
		want   string
	}{
		{0, portErrorBits, "0x0"},
		{0x10, catfatalBits, "0x10 (DramFatalErr)"},
		{1<<63 | 1<<57, pcieErrorBits, "0x8200000000000000 (bit 57, FunctTypeErr)"},
		{0x1c, fmeErrorBits, "0x1c (KtiCdcParityErr, IommuParityErr)"},
		{0x8, fmeErrorBits, "0x8 (KtiCdcParityErr)"},
	} {
		if got := register(test.value, test.fields); got != core.String(test.want) {
			t.Errorf("%#x: %v, want %q", test.value, got, test.want)
		}
	}
}

// A bit has one name, and every register is in order.
func TestErrorBits(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string][]field{
		"port": portErrorBits, "fme": fmeErrorBits, "pcie": pcieErrorBits, "nonfatal": nonfatalBits, "catfatal": catfatalBits,
	} {
		next := 0
		for _, f := range fields {
			if f.low < next || f.high < f.low || f.high > 63 || f.name == "" {
				t.Errorf("%s: %+v after bit %d", name, f, next-1)
			}
			next = f.high + 1
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	none, unknown := core.Value{}, core.Unknown()
	for name, test := range map[string][2]core.Value{
		"version":             {bbsVersion(0x5010202aecbd6e5), core.Version("5.0.1")},
		"date":                {bitstreamDate(0x2205041), core.String("2022-05-04")},
		"date of 16":          {bitstreamDate(0x1612156), core.String("2016-12-15")},
		"no date":             {bitstreamDate(0), none},
		"no month":            {bitstreamDate(0x2213041), none},
		"letters":             {bitstreamDate(0x22a5041), none},
		"too many digits":     {bitstreamDate(0x122050412), none},
		"normal":              {powerState(0), core.String("normal")},
		"AP2":                 {powerState(2), core.String("AP2")},
		"no state":            {powerState(7), unknown},
		"controller":          {bmcVersion(0x30200), core.String("3.2.0")},
		"controller of N3000": {bmcVersion(0x44020006), core.String("D.2.0.6")},
		"of four numbers":     {bmcVersion(0x01020304), core.String("1.2.3.4")},
	} {
		if test[0] != test[1] {
			t.Errorf("%s: %v, want %v", name, test[0], test[1])
		}
	}
}

func FuzzAERTotal(f *testing.F) {
	f.Add([]byte("Undefined 0\nDLP 0\nTOTAL_ERR_COR 12\n"))
	f.Add([]byte("TOTAL_ERR_COR \n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := aerTotal("TOTAL_ERR_COR")(data)
		if err == nil && !strings.Contains(string(data), "TOTAL_ERR_COR ") {
			t.Errorf("%q: %d", data, n)
		}
	})
}

func FuzzPortNumber(f *testing.F) {
	f.Add([]byte("0x1\n"))
	f.Add([]byte("64"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := parsePortNumber(data); err == nil && n > maxPort {
			t.Errorf("%q: port %d", data, n)
		}
	})
}

func TestBlame(t *testing.T) {
	t.Parallel()
	if err := (blame{syscall.ENOENT}); !errors.Is(err, syscall.ENOENT) {
		t.Error("a blamed error hides its cause")
	}
}
