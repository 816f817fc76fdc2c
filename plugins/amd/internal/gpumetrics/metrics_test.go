package gpumetrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// known are the instances that a table knows, by field.
func known(m Metrics) map[Field][]float64 {
	all := make(map[Field][]float64)
	for f := range fieldCount {
		for i := range m.Len(f) {
			if v, ok := m.At(f, i); ok {
				all[f] = append(all[f], v)
			}
		}
	}
	return all
}

// decoderOf returns what decodes files of a structure.
func decoderOf(partition bool) func([]byte) (Metrics, error) {
	if partition {
		return DecodePartition
	}
	return Decode
}

// TestLayouts sets every member of every structure to a value of its own and
// finds it again under its field, and nothing else.
func TestLayouts(t *testing.T) {
	t.Parallel()
	var seen []Revision
	for name, s := range structures(t) {
		revision, partition, ok := revisionOf(name)
		if !ok {
			continue
		}
		if !partition {
			seen = append(seen, revision)
		}
		decode := decoderOf(partition)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := s.blob(revision)
			unset, err := decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[Field][]float64{}, known(unset)); diff != "" {
				t.Errorf("a table of ones (-want +got):\n%s", diff)
			}

			want := make(map[Field][]float64)
			sums := make(map[Field]uint64)
			for n, m := range s.members {
				raw := uint64(n + 1)
				if m.width == u8 {
					raw %= 0xff
				}
				m.put(data, raw)
				meaning, read, err := meaningOf(revision, m.name)
				if err != nil {
					t.Fatal(err)
				}
				if read {
					want[meaning.field] = append(want[meaning.field], float64(raw)*meaning.scale)
					sums[meaning.field] += raw
				}
			}
			got, err := decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Revision != revision {
				t.Errorf("revision %v, want %v", got.Revision, revision)
			}
			if diff := cmp.Diff(want, known(got)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			for f := range fieldCount {
				sum, ok := got.Uint(f)
				if wantSum, wanted := sums[f], want[f] != nil && fields[f].whole; ok != wanted || ok && sum != wantSum {
					t.Errorf("the sum of %v is %d, %t, want %d, %t", f, sum, ok, wantSum, wanted)
				}
			}

			// One member after the other becomes unset.
			for _, m := range s.members {
				meaning, read, _ := meaningOf(revision, m.name)
				if !read {
					continue
				}
				old := slices.Clone(data)
				m.put(data, m.ones())
				got, err := decode(data)
				if err != nil {
					t.Fatal(err)
				}
				part := got
				if strings.HasPrefix(m.name, "xcp_stats") {
					part = got.Partition(m.partition)
				}
				if v, ok := part.At(meaning.field, meaning.first+m.index); ok {
					t.Errorf("%s[%d] of partition %d is unset and read as %v", m.name, m.index, m.partition, v)
				}
				if lost := len(want[meaning.field]) - len(known(got)[meaning.field]); lost != 1 {
					t.Errorf("%s[%d] unset takes %d instances away", m.name, m.index, lost)
				}
				data = old
			}
		})
	}
	want := []Revision{
		{1, 0},
		{1, 1},
		{1, 2},
		{1, 3},
		{1, 4},
		{1, 5},
		{1, 6},
		{1, 7},
		{1, 8},
		{2, 0},
		{2, 1},
		{2, 2},
		{2, 3},
		{2, 4},
		{3, 0},
	}
	slices.SortFunc(seen, func(a, b Revision) int { return strings.Compare(a.String(), b.String()) })
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
}

// TestUnsetIsByWidth has values that would be unset in a narrower member.
func TestUnsetIsByWidth(t *testing.T) {
	t.Parallel()
	all := structures(t)
	for _, test := range []struct {
		structure, member string
		raw               uint64
		want              float64
	}{
		{"v1_3", "temperature_edge", 0xff, 255},
		{"v1_3", "throttle_status", 0xffff, 65535},
		{"v1_3", "firmware_timestamp", 0xffffffff, 1<<32 - 1},
		{"v1_0", "pcie_link_width", 0xfe, 254},
		{"v1_8", "accumulation_counter", 0xffff, 65535},
		{"v1_8", "accumulation_counter", 0xfffffffe, 1<<32 - 2},
	} {
		s := all[test.structure]
		revision, _, _ := revisionOf(test.structure)
		data := s.blob(revision)
		for _, m := range s.members {
			if m.name == test.member {
				m.put(data, test.raw)
			}
		}
		m, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := m.Float(read[test.member].field); !ok || got != test.want {
			t.Errorf("%s.%s: %#x is read as %v, %t", test.structure, test.member, test.raw, got, ok)
		}
	}
}

// filled returns a decoded file with some members set.
func filled(tb testing.TB, structure string, set func(m member) (raw uint64, ok bool)) Metrics {
	tb.Helper()
	s := structures(tb)[structure]
	revision, partition, _ := revisionOf(structure)
	data := s.blob(revision)
	for _, m := range s.members {
		if raw, ok := set(m); ok {
			m.put(data, raw)
		}
	}
	m, err := decoderOf(partition)(data)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestPartition(t *testing.T) {
	t.Parallel()
	// Two partitions of three XCCs each.
	m := filled(t, "v1_8", func(m member) (uint64, bool) {
		switch m.name {
		case "xcp_stats.gfx_busy_inst":
			return uint64(10*m.partition + m.index), m.partition < 2 && m.index < 3
		case "xcp_stats.vcn_busy":
			return uint64(50 + m.partition), m.partition < 2 && m.index == 0
		case "average_gfx_activity":
			return 7, true
		case "num_partition":
			return 2, true
		case "pcie_lc_perf_other_end_recovery": // follows the last partition
			return 3, true
		}
		return 0, false
	})
	if count, ok := m.Uint(PartitionCount); !ok || count != 2 {
		t.Errorf("%d partitions, %t", count, ok)
	}
	if busy, ok := m.Float(GFXBusy); !ok || busy != 6 {
		t.Errorf("all XCCs are busy by %v, %t, want 6", busy, ok)
	}
	if n := m.Len(GFXBusy); n != 64 {
		t.Errorf("room for %d XCCs, want 64", n)
	}
	second := m.Partition(1)
	if busy, ok := second.Float(GFXBusy); !ok || busy != 11 {
		t.Errorf("the second partition is busy by %v, %t, want 11", busy, ok)
	}
	if busy, ok := second.Max(GFXBusy); !ok || busy != 12 {
		t.Errorf("its busiest XCC by %v, %t, want 12", busy, ok)
	}
	if n := second.Len(GFXBusy); n != 8 {
		t.Errorf("room for %d XCCs in it, want 8", n)
	}
	if busy, ok := second.Float(MediaActivity); !ok || busy != 51 {
		t.Errorf("its video engine is busy by %v, %t, want 51", busy, ok)
	}
	if busy, ok := second.Float(GFXActivity); !ok || busy != 7 {
		t.Errorf("the GPU's activity is %v, %t, want 7", busy, ok)
	}
	for _, k := range []int{2, 7, 8, 100, -1, -100} {
		if busy, ok := m.Partition(k).Float(GFXBusy); ok {
			t.Errorf("partition %d does not exist and is busy by %v", k, busy)
		}
	}
	if _, ok := second.Partition(0).At(GFXBusy, 0); !ok {
		t.Error("a partition cannot be changed for another")
	}

	whole := filled(t, "v1_4", func(member) (uint64, bool) { return 5, true })
	if busy, ok := whole.Partition(0).Float(MediaActivity); ok {
		t.Errorf("v1.4 tells no partitions apart, and partition 0 is busy by %v", busy)
	}
	if _, ok := whole.Float(MediaActivity); !ok {
		t.Error("v1.4 does not know how busy the GPU's video engines are")
	}
}

func TestAccessorsOfNothing(t *testing.T) {
	t.Parallel()
	full := filled(t, "v1_3", func(member) (uint64, bool) { return 1, true })
	for _, test := range []struct {
		name string
		m    Metrics
		f    Field
	}{
		{"the zero table", Metrics{}, TempEdge},
		{"a field that the layout has not", full, Energy},
		{"no field at all", full, fieldCount},
		{"the last number", full, 255},
	} {
		if v, ok := test.m.Float(test.f); ok || v != 0 {
			t.Errorf("%s: Float %v, %t", test.name, v, ok)
		}
		if v, ok := test.m.Max(test.f); ok || v != 0 {
			t.Errorf("%s: Max %v, %t", test.name, v, ok)
		}
		if v, ok := test.m.Uint(test.f); ok || v != 0 {
			t.Errorf("%s: Uint %v, %t", test.name, v, ok)
		}
		if n := test.m.Len(test.f); n != 0 {
			t.Errorf("%s: Len %d", test.name, n)
		}
		if v, ok := test.m.PerCycle(full, test.f); ok || v != 0 {
			t.Errorf("%s: PerCycle %v, %t", test.name, v, ok)
		}
	}
	for _, i := range []int{-1, 1, 1 << 40} {
		if v, ok := full.At(TempEdge, i); ok {
			t.Errorf("instance %d of the edge's temperature is %v", i, v)
		}
	}
	if v, ok := full.Uint(TempEdge); ok {
		t.Errorf("a temperature is a count of %d", v)
	}
	if _, ok := full.Throttlers(); !ok {
		t.Error("v1.3 does not know what throttles")
	}
	if names, ok := (Metrics{}).Throttlers(); ok || names != nil {
		t.Errorf("the zero table is throttled by %v", names)
	}
}

func TestUintDoesNotWrap(t *testing.T) {
	t.Parallel()
	m := filled(t, "v1_8", func(m member) (uint64, bool) { return 1 << 63, m.name == "xgmi_read_data_acc" && m.index < 2 })
	if sum, ok := m.Uint(XGMIRead); ok || sum != 0 {
		t.Errorf("two times 2^63 is %d", sum)
	}
}
