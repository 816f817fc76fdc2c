package pci_test

import (
	"errors"
	"math"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want core.PCIAddress // empty: an error
	}{
		{"0000:3b:00.0", "0000:3b:00.0"},
		{"0000:3B:00.0", "0000:3b:00.0"},
		{"00000000:3B:00.0", "0000:3b:00.0"},
		{"00000000:3B:00.0\x00\x00\x00", "0000:3b:00.0"},
		{" 3b:00.0\n", "0000:3b:00.0"},
		{"3b:1f.7", "0000:3b:1f.7"},
		{"0:3b:0.1", "0000:3b:00.1"},
		{"10000:e1:00.0", "10000:e1:00.0"},
		{"00010000:E1:00.0", "10000:e1:00.0"},
		{"ffffffff:00:00.0", "ffffffff:00:00.0"},
		{"0000:3b:20.0", ""},
		{"0000:3b:00.8", ""},
		{"0000:3b:00", ""},
		{"0000:3b:00.", ""},
		{"0000:3b:00.00", ""},
		{"0000:3b:000.0", ""},
		{"0000:03b:00.0", ""},
		{"000000000:3b:00.0", ""},
		{"0000:3b:00.0.0", ""},
		{"0000::00.0", ""},
		{":3b:00.0", ""},
		{"0:0000:3b:00.0", ""},
		{"0000:+b:00.0", ""},
		{"0000:-1:00.0", ""},
		{"0000:0x:00.0", ""},
		{"0000:3g:00.0", ""},
		{"GPU-3b:00.0", ""},
		{"3b.0", ""},
		{"", ""},
		{".", ""},
	}
	for _, test := range tests {
		got, err := pci.ParseAddress(test.text)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", test.text, got, err, test.want)
		}
		if err != nil && !errors.Is(err, pci.ErrAddress) {
			t.Errorf("ParseAddress(%q): %v is not ErrAddress", test.text, err)
		}
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		numbers [4]uint32
		want    core.PCIAddress
	}{
		{[4]uint32{0, 0x3b, 0, 0}, "0000:3b:00.0"},
		{[4]uint32{0x10000, 0xff, 0x1f, 7}, "10000:ff:1f.7"},
		{[4]uint32{0, 0x100, 0, 0}, ""},
		{[4]uint32{0, 0, 0x20, 0}, ""},
		{[4]uint32{0, 0, 0, 8}, ""},
	} {
		n := test.numbers
		if got, err := pci.Address(n[0], n[1], n[2], n[3]); got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Address(%v) = %q, %v; want %q", n, got, err, test.want)
		}
	}
}

// What can be parsed has one form only.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"0000:3b:00.0", "00000000:3B:00.0\x00", "10000:e1:00.0", "3b:00.0", "", "::.", "é:00.0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := pci.ParseAddress(text)
		if err != nil {
			if address != "" {
				t.Errorf("%q beside %v", address, err)
			}
			return
		}
		if again, err := pci.ParseAddress(string(address)); err != nil || again != address {
			t.Errorf("ParseAddress(%q) = %q, and then %q, %v", text, address, again, err)
		}
		if len(address) < len("0000:00:00.0") || len(address) > len("00000000:00:00.0") {
			t.Errorf("%q", address)
		}
	})
}

func TestParseSpeed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"16.0 GT/s PCIe\n": 16, "2.5 GT/s PCIe": 2.5, "8 GT/s": 8, "64.0 GT/s PCIe": 64, "128.0 GT/s PCIe": 128,
		"Unknown": 0, "Unknown\n": 0, "Unknown speed\n": 0,
		"": -1, "16": -1, "GT/s": -1, "16 GT/sec": -1, "-5 GT/s": -1, "NaN GT/s": -1, "Inf GT/s": -1, "0 GT/s": -1,
	} {
		got, err := pci.ParseSpeed(text)
		if want == -1 {
			if err == nil {
				t.Errorf("ParseSpeed(%q) = %v, want an error", text, got)
			}
		} else if got != want || err != nil {
			t.Errorf("ParseSpeed(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"16\n": 16, "1": 1, "x8": 8, "32": 32, "0\n": 0, "63": 0, "255\n": 0, "3": 0,
		"": -1, "x": -1, "16 lanes": -1, "Unknown": -1,
	} {
		got, err := pci.ParseWidth(text)
		if want == -1 {
			if err == nil {
				t.Errorf("ParseWidth(%q) = %v, want an error", text, got)
			}
		} else if got != want || err != nil {
			t.Errorf("ParseWidth(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func FuzzParseSpeed(f *testing.F) {
	f.Add("16.0 GT/s PCIe\n")
	f.Add("Unknown speed")
	f.Fuzz(func(t *testing.T, text string) {
		speed, err := pci.ParseSpeed(text)
		if speed < 0 || math.IsNaN(speed) || math.IsInf(speed, 0) || err != nil && speed != 0 {
			t.Errorf("ParseSpeed(%q) = %v, %v", text, speed, err)
		}
		if width, err := pci.ParseWidth(text); width < 0 || width > 32 || err != nil && width != 0 {
			t.Errorf("ParseWidth(%q) = %v, %v", text, width, err)
		}
	})
}

// The table of the PCI Express specifications: coding taken off, one direction.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		speed             float64
		generation        int
		lane, four, width int64
	}{
		{2.5, 1, 250, 1000, 4000},
		{5, 2, 500, 2000, 8000},
		{8, 3, 985, 3938, 15754},
		{16, 4, 1969, 7877, 31508},
		{32, 5, 3938, 15754, 63015},
		{64, 6, 7563, 30250, 121000},
	} {
		if got := pci.Generation(test.speed); got != test.generation {
			t.Errorf("Generation(%v) = %d, want %d", test.speed, got, test.generation)
		}
		for width, want := range map[int]int64{1: test.lane, 4: test.four, 16: test.width} {
			if got, ok := (pci.Link{Speed: test.speed, Width: width}).Bandwidth(); got != want || !ok {
				t.Errorf("generation %d x%d = %d, %v; want %d", test.generation, width, got, ok, want)
			}
		}
	}
	for _, test := range [][2]int{{0, 16}, {-1, 16}, {7, 16}, {3, 0}, {3, 63}, {3, -1}, {1 << 30, 16}} {
		if got, ok := pci.Bandwidth(test[0], test[1]); got != 0 || ok {
			t.Errorf("Bandwidth(%d, %d) = %d, %v; want none", test[0], test[1], got, ok)
		}
	}
	for _, speed := range []float64{0, 1, 128, -2.5, math.NaN()} {
		if got := pci.Generation(speed); got != 0 {
			t.Errorf("Generation(%v) = %d, want none", speed, got)
		}
	}
	if got, ok := (pci.Link{}).Bandwidth(); got != 0 || ok {
		t.Errorf("an unknown link carries %d, %v", got, ok)
	}
}
