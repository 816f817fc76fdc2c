package gpumetrics

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode holds both decoders to what they promise of any bytes.
func FuzzDecode(f *testing.F) {
	for name, s := range structures(f) {
		revision, _, ok := revisionOf(name)
		if !ok {
			continue
		}
		data := s.blob(revision)
		f.Add(data)
		for i := range data[headerSize:] {
			data[headerSize+i] = byte(i)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add(mi300().bytes())
	f.Add(newList(Revision{1, 1}).add(40, unitPercent, typeS32, minus(-7), 5).bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, decode := range []func([]byte) (Metrics, error){Decode, DecodePartition} {
			m, err := decode(data)
			if err != nil {
				if len(known(m)) > 0 {
					t.Error("metrics beside an error")
				}
				continue
			}
			again, err := decode(append(slices.Clone(data), 0xff, 0))
			if err != nil {
				t.Fatalf("with more bytes after it: %v", err)
			}
			if diff := cmp.Diff(known(m), known(again)); diff != "" {
				t.Errorf("more bytes after it change it:\n%s", diff)
			}
			check(t, m)
			for _, k := range []int{-1, 0, maxPartitions - 1, maxPartitions} {
				check(t, m.Partition(k))
			}
		}
	})
}

// check compares what the accessors say of one table.
func check(t *testing.T, m Metrics) {
	t.Helper()
	for field := range fieldCount {
		var known int
		greatest := math.Inf(-1)
		for i := range m.Len(field) {
			if v, ok := m.At(field, i); ok {
				known++
				greatest = max(greatest, v)
			}
		}
		mean, ok := m.Float(field)
		if ok != (known > 0) || math.IsNaN(mean) || math.IsInf(mean, 0) || ok && mean > greatest*(1+1e-9)+1e-9 && greatest >= 0 {
			t.Errorf("%v: mean %v, %t of %d instances, the greatest of which is %v", field, mean, ok, known, greatest)
		}
		if v, ok := m.Max(field); ok != (known > 0) || ok && v != greatest {
			t.Errorf("%v: maximum %v, %t of %d instances, the greatest of which is %v", field, v, ok, known, greatest)
		}
		if v, ok := m.Uint(field); ok && (known == 0 || !fields[field].whole) {
			t.Errorf("%v: a count of %d", field, v)
		}
		if v, ok := m.PerCycle(m, field); ok {
			t.Errorf("%v: grew by %v since itself", field, v)
		}
	}
	m.Throttlers()
}

// BenchmarkDecode decodes a table and reads what statistics are made of.
func BenchmarkDecode(b *testing.B) {
	s := structures(b)["v1_8"]
	fixed := s.blob(Revision{1, 8})
	for i, m := range s.members {
		m.put(fixed, uint64(i))
	}
	for _, file := range []struct {
		name string
		data []byte
	}{{"table", fixed}, {"list", mi300().bytes()}} {
		b.Run(file.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := Decode(file.data)
				if err != nil {
					b.Fatal(err)
				}
				for f := range fieldCount {
					m.Float(f)
					m.Uint(f)
				}
			}
		})
	}
}

// TestAllocations: a table is decoded and read without one, a list with one for
// its layout.
func TestAllocations(t *testing.T) {
	fixed, attributes := structures(t)["v1_8"].blob(Revision{1, 8}), mi300().bytes()
	for _, test := range []struct {
		name string
		data []byte
		want float64
	}{{"table", fixed, 0}, {"list", attributes, 1}} {
		got := testing.AllocsPerRun(100, func() {
			m, err := Decode(test.data)
			if err != nil {
				t.Fatal(err)
			}
			for f := range fieldCount {
				m.Partition(0).Float(f)
				m.Uint(f)
			}
		})
		if got != test.want {
			t.Errorf("%s: %v allocations, want %v", test.name, got, test.want)
		}
	}
}
