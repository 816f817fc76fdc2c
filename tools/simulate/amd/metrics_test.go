package amd

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// number reads an unsigned number of a blob.
func numberAt(blob []byte, at, size int) uint64 {
	var all [8]byte
	copy(all[:], blob[at:at+size])
	return binary.LittleEndian.Uint64(all[:])
}

// place is where kgd_pp_interface.h has a number.
type place struct{ At, Size int }

// TestMetrics reads the file at the offsets of the kernel's structures, which are
// written down here once more.
func TestMetrics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		profile, address string
		set              map[string]string
		size             int
		want             map[place]uint64
	}{
		{"4xmi210", "0000:05:00.0", map[string]string{"gpu.0.throttle.common": "0x1000000000"}, 120, map[place]uint64{
			{0, 2}: 120, {2, 1}: 1, {3, 1}: 3, {4, 2}: 38, {6, 2}: 43, {8, 2}: 45, {16, 2}: 0, {22, 2}: 41,
			{24, 8}: 5072416279, {54, 2}: 800, {58, 2}: 1600, {72, 2}: 0xffff, {74, 2}: 16, {76, 2}: 160, {88, 2}: 0xffff, {106, 2}: 793,
			{112, 8}: 1 << 36,
		}},
		{"mi300x-cpx", "0000:0a:00.0", map[string]string{"gpu.0.compute_partition": "SPX"}, 2208, map[place]uint64{
			{0, 2}: 2208, {2, 1}: 1, {3, 1}: 7, {4, 2}: 41, {6, 2}: 35, {10, 2}: 138, {12, 2}: 0, {14, 2}: 0, {16, 8}: 5300, {24, 8}: 59931843502,
			{40, 4}: 481200, {48, 4}: 120, {64, 4}: 0xffffffff, {68, 2}: 16, {70, 2}: 320, {72, 2}: 16, {74, 2}: 32, {76, 4}: 118400,
			{88, 8}: 412, {104, 8}: 0, {112, 8}: 0, {128, 4}: 0, {136, 8}: ^uint64(0), {296, 2}: 132, {310, 2}: 132, {312, 2}: 28, {336, 2}: 900, {338, 2}: 1,
			{344, 4}: 0, {344 + 28, 4}: 0, {344 + 32, 2}: 0xffff, {344 + 104, 8}: 118400, {344 + 232, 4}: 0xffffffff, {2200, 4}: 0xffffffff,
		}},
		{"mi300x-cpx", "0000:0a:00.0", map[string]string{"gpu.0.gpu_metrics": "1.6", "gpu.0.compute_partition": "DPX", "gpu.0.partition.1.utilization": "66"}, 1664, map[place]uint64{
			{0, 2}: 1664, {2, 1}: 1, {3, 1}: 6, {4, 2}: 41, {16, 8}: 59931843502, {32, 4}: 481200, {40, 4}: 120, {56, 4}: 0xffffffff, {60, 2}: 16, {62, 2}: 320,
			{68, 4}: 118400, {104, 8}: 0, {264, 2}: 132, {304, 2}: 900, {306, 2}: 2, {312, 4}: 0, {312 + 12, 4}: 0, {312 + 16, 4}: 0xffffffff,
			{312 + 168, 4}: 66, {312 + 168 + 12, 4}: 66, {312 + 2*168, 4}: 0xffffffff, {1656, 4}: 0xffffffff,
		}},
		{"apu-dgpu", "0000:c5:00.0", nil, 120, map[place]uint64{
			{0, 2}: 120, {2, 1}: 2, {3, 1}: 1, {4, 2}: 4500, {8, 2}: 0xffff, {28, 2}: 0, {64, 2}: 500, {66, 2}: 600, {68, 2}: 800, {76, 2}: 500,
		}},
	} {
		m := start(t, tt.profile, tt.set)
		blob, err := hostOf(t, m).Read(device(tt.address, "gpu_metrics"))
		check(t, err)
		if len(blob) != tt.size {
			t.Errorf("%s: %d bytes, want %d", tt.profile, len(blob), tt.size)
			continue
		}
		got := map[place]uint64{}
		for p := range tt.want {
			got[p] = numberAt(blob, p.At, p.Size)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", tt.profile, tt.set, diff)
		}
	}
}

// TestLayoutsFit holds each field inside its layout, and apart from the others.
func TestLayoutsFit(t *testing.T) {
	t.Parallel()
	for version, l := range layouts {
		owner := make([]string, l.size)
		claim := func(at, length int, name string) {
			for i := at; i < at+length; i++ {
				if i >= l.size {
					t.Fatalf("%s: %s at %d is outside", version, name, at)
				}
				if owner[i] != "" {
					t.Errorf("%s: %s at %d is where %s is", version, name, at, owner[i])
				}
				owner[i] = name
			}
		}
		claim(0, 4, "header")
		for _, f := range l.fields {
			if f.at%f.size != 0 {
				t.Errorf("%s: %s at %d is not aligned", version, f.key, f.at)
			}
			claim(f.at, f.size*max(f.count, 1), f.key)
		}
		if l.partitions > 0 {
			claim(l.partitions, 2, "num_partition")
			claim(l.statistics, maxPartitions*l.statisticsLength, "statistics")
		}
	}
}
