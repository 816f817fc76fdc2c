package xrt

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestParseSubdevice(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]subdevice{
		"rom.u.0":          {"rom", false, 0},
		"rom.u.1025":       {"rom", false, 1025},
		"firewall.m.1024":  {"firewall", true, 1024},
		"dma.qdma.u.12545": {"dma.qdma", false, 12545},
		"hwmon_sdm.u.2":    {"hwmon_sdm", false, 2},
	} {
		if got, ok := parseSubdevice(name); got != want || !ok {
			t.Errorf("%s: %+v, %v, want %+v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "rom", "rom.u", "rom.u.", "rom.u.x", "rom.u.-1", "rom.x.0", ".u.0", "u.0", "romance.u.0x1", "rom.u.99999999999", "0000:3b:00.1"} {
		if got, ok := parseSubdevice(name); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	dirs := subdevices([]string{"rom", "rom.u.3", "rom.u.1", "rom.u.2", "power", "resource0"})
	if len(dirs) != 1 || dirs["rom"] != "rom.u.1" {
		t.Errorf("%v", dirs)
	}
}

func TestParsers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"xilinx_u200_xdma_201830_2\n": "xilinx_u200_xdma_201830_2", "xilinx": "xilinx",
		"": "", "42\n": "", "a b": "", "_x": "", "\xff": "", strings.Repeat("x", 200): "",
	} {
		if got, err := parseVBNV([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("VBNV %.20q: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]uint64{"1561465320\n": 0x5d1211e8, "43981": 43981, "0x10": 16} {
		if got, err := parseStamp([]byte(text)); got != want || err != nil {
			t.Errorf("timestamp %q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"0\n": errNone, "0x0": errNone, "": sysfs.ErrMalformed, "-1": sysfs.ErrMalformed, "18446744073709551615": family.ErrAllOnes, "soon": sysfs.ErrMalformed,
	} {
		if got, err := parseStamp([]byte(text)); got != 0 || !errors.Is(err, want) {
			t.Errorf("timestamp %q: %d, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]int64{"4\n": 4, "1024": 1024, "0": 0, "1025": 0, "-4": 0, "": 0, "four": 0} {
		if got, err := parseBanks([]byte(text)); got != want || (err == nil) != (want != 0) {
			t.Errorf("banks %q: %d, %v, want %d", text, got, err, want)
		}
	}
	const one, two = "5a2c11d4b8e8f9f0a1b2c3d4e5f60718", "1f2e3d4c5b6a79880918273645546372"
	const oneDashed, twoDashed = "5a2c11d4-b8e8-f9f0-a1b2-c3d4e5f60718", "1f2e3d4c-5b6a-7988-0918-273645546372"
	for text, want := range map[string]string{
		one: oneDashed, one + "\n" + two + "\n": oneDashed + "," + twoDashed, "": "", "x": "", one + "\nx": "", strings.Repeat("f", 32): "",
	} {
		if got, err := parseInterfaces([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("interfaces %q: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "none", "\n": "none", strings.Repeat("0", 32): "none", oneDashed + "\n": oneDashed, oneDashed + "\n" + twoDashed + "\n": oneDashed + "," + twoDashed,
		"unable": "", strings.Repeat("f", 32): "",
	} {
		if got, err := parseImages([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("images %q: %q, %v, want %q", text, got, err, want)
		}
	}
	for address, want := range map[string]string{
		"0000:31:00.1": "/dev/xfpga/dma.qdma.u12545.0", "0001:d8:1f.7": "/dev/xfpga/dma.qdma.u121087.0", "x": "",
	} {
		if got, _ := qdmaNode(core.PCIAddress(address)); got != want {
			t.Errorf("node of %s: %q, want %q", address, got, want)
		}
	}
}

// Numbers that cannot be are unknown, among them a negative one without its sign.
func TestSensorValues(t *testing.T) {
	t.Parallel()
	type reading func(family.Fact[int64], int) core.Value
	fan := func(f family.Fact[int64], _ int) core.Value { return speed(f) }
	for _, tt := range []struct {
		read     reading
		n        int64
		exponent int
		want     core.Value
	}{
		{celsius, 37000, -3, core.Float(37, core.NoUnit)},
		{celsius, 39, 0, core.Float(39, core.NoUnit)},
		{celsius, -5, 0, core.Float(-5, core.NoUnit)},
		{celsius, 4294711296, -3, core.Unknown()},
		{celsius, 151, 0, core.Unknown()},
		{celsius, 0, 0, core.Value{}},
		{watts, 17423200, -6, core.Float(17.4232, core.NoUnit)},
		{watts, 31, 0, core.Float(31, core.NoUnit)},
		{watts, 0, 0, core.Value{}},
		{watts, -1, 0, core.Unknown()},
		{watts, 5, 9, core.Unknown()},
		{supply, 12091, -3, core.Float(12.091, core.NoUnit)},
		{supply, 4294967286, -3, core.Value{}},
		{supply, -1, 0, core.Value{}},
		{fan, 1086, 0, core.Count(1086)},
		{fan, 0, 0, core.Value{}},
		{fan, 4294967295, 0, core.Value{}},
		{fan, math.MinInt64, 0, core.Value{}},
	} {
		if got := tt.read(family.Is(tt.n), tt.exponent); got != tt.want {
			t.Errorf("%d × 10^%d: %v, want %v", tt.n, tt.exponent, got, tt.want)
		}
		if got := tt.read(family.Fact[int64]{Value: tt.n}, tt.exponent); got.Known() {
			t.Errorf("%d that was not read: %v", tt.n, got)
		}
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := config.Check(Config{}); err != nil {
		t.Error(err)
	}
	for dir, right := range map[string]bool{
		"": true, "/opt/xilinx/xrt": true, "/usr": true,
		"opt/xrt": false, "/": false, "/opt/../etc": false, "/opt/xrt/": false, "/dev": false, "/dev/dri": false, "/sys/bus": false, "/proc": false, "/run/xrt": false, "/opt/${x}": false,
	} {
		if problems := (&Config{Runtime: dir}).Validate(); (len(problems) == 0) != right {
			t.Errorf("runtime %q: %v", dir, problems)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, seed := range []string{"xilinx_u200_xdma_201830_2\n", "1561465320", "4", "5a2c11d4b8e8f9f0a1b2c3d4e5f60718\n", "rom.u.0", "dma.qdma.u.3", "\xff\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, ok := parseSubdevice(string(data)); ok && (s.kind == "" || s.number < 0) {
			t.Errorf("sub-device %+v", s)
		}
		if vbnv, err := parseVBNV(data); err == nil && (family.Slug(vbnv) == "" || len(vbnv) > 128) {
			t.Errorf("VBNV %q has no slug", vbnv)
		}
		if n, err := parseStamp(data); err == nil && (n == 0 || n == math.MaxUint64) {
			t.Errorf("timestamp %d", n)
		}
		if n, err := parseBanks(data); err == nil && (n < 1 || n > maxBanks) {
			t.Errorf("banks %d", n)
		}
		if id, err := parseUUID(data); err == nil && id == (family.UUID{}) {
			t.Errorf("no UUID and no error from %q", data)
		}
		for _, parse := range []func([]byte) (string, error){parseInterfaces, parseImages, parsePart} {
			if text, err := parse(data); err == nil && text == "" {
				t.Errorf("no text and no error from %q", data)
			}
		}
	})
}
