// Package gpumetrics decodes gpu_metrics, the binary file in which the amdgpu
// driver gives one snapshot of what a GPU's firmware measures, and xcp_metrics,
// the same for one compute partition.
//
// The file begins with its size and revision. Up to v3.0 a revision is a C
// structure (drivers/gpu/drm/amd/include/kgd_pp_interface.h), here a table of
// offsets; v1.9 and the newer xcp_metrics are lists of attributes that describe
// themselves. Either way the driver fills everything with ones before it writes
// what it knows, so that all ones, in the width of the value, mean unset.
package gpumetrics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrRevision says that a file has a revision that is not known here. It stays so
// until the driver is replaced; other errors may be gone at the next read.
var ErrRevision = errors.New("unknown revision")

// Revision tells the layout of a file.
type Revision struct{ Format, Content uint8 }

// String returns the revision as the kernel's source names it: "1.3".
func (r Revision) String() string { return fmt.Sprintf("%d.%d", r.Format, r.Content) }

// headerSize is that of struct metrics_table_header: u16 structure_size, u8
// format_revision, u8 content_revision.
const headerSize = 4

// Metrics is a decoded file. It refers to the bytes it was decoded from, which
// must not change. Copies are cheap, and the zero Metrics knows nothing.
type Metrics struct {
	// Revision is that of the file.
	Revision Revision

	data   []byte
	layout *layout
	part   int // 0: the whole table; k+1: partition k's part of it
}

// format is one of the two files.
type format struct {
	name    string
	layouts map[Revision]*layout
	list    Revision // the revision that is a list of attributes
}

var (
	gpuFile       = format{"gpu_metrics", layouts(gpuTables), Revision{1, 9}}
	partitionFile = format{"xcp_metrics", layouts(partitionTables), Revision{1, 1}}
)

// Decode decodes a gpu_metrics file in any revision from 1.0 to 1.9, 2.0 to 2.4
// and 3.0. Of another it returns an error that wraps [ErrRevision].
//
// What follows the structure in data is ignored. The driver cuts a file at 4095
// bytes; a file that was cut is an error.
func Decode(data []byte) (Metrics, error) { return gpuFile.decode(data) }

// DecodePartition decodes an xcp_metrics file, revision 1.0 or 1.1, which holds
// the metrics of one partition: all its instances are that partition's.
func DecodePartition(data []byte) (Metrics, error) { return partitionFile.decode(data) }

func (f *format) decode(data []byte) (Metrics, error) {
	if len(data) < headerSize {
		return Metrics{}, fmt.Errorf("%s: %d bytes, which is less than its header", f.name, len(data))
	}
	size := int(binary.LittleEndian.Uint16(data))
	m := Metrics{Revision: Revision{data[2], data[3]}}
	if size < headerSize {
		return Metrics{}, fmt.Errorf("%s: the header gives revision %v and a size of %d bytes, which is less than itself", f.name, m.Revision, size)
	}
	m.layout = f.layouts[m.Revision]
	if m.layout == nil && m.Revision != f.list {
		return Metrics{}, fmt.Errorf("%s: %w %v, of %d bytes", f.name, ErrRevision, m.Revision, size)
	}
	if size > len(data) {
		return Metrics{}, fmt.Errorf("%s %v: the header gives a size of %d bytes, and there are %d", f.name, m.Revision, size, len(data))
	}
	m.data = data[:size:size]
	if m.layout == nil {
		layout, err := readAttributes(m.data)
		if err != nil {
			return Metrics{}, fmt.Errorf("%s %v: %w", f.name, m.Revision, err)
		}
		m.layout = layout
		return m, nil
	}
	if size < m.layout.size {
		return Metrics{}, fmt.Errorf("%s %v: the header gives a size of %d bytes, and this revision has %d", f.name, m.Revision, size, m.layout.size)
	}
	return m, nil
}

// Partition returns the table as partition k has it, counted from 0: the
// instances of [GFXBusy], [GFXBusyAcc] and [MediaActivity] are its own, and
// unknown where the table does not tell partitions apart. Everything else stays
// the GPU's.
func (m Metrics) Partition(k int) Metrics {
	if k < 0 || k >= maxPartitions {
		k = maxPartitions // none
	}
	m.part = k + 1
	return m
}

// slot returns where f is, narrowed to the partition.
func (m Metrics) slot(f Field) (s slot, ok bool) {
	if m.layout == nil || f >= fieldCount {
		return slot{}, false
	}
	s = m.layout.slots[f]
	if m.part > 0 && fields[f].own {
		if s.stride == 0 || m.part > maxPartitions {
			return slot{}, false
		}
		s.offset += uint16(m.part-1) * s.stride
		s.stride = 0
	}
	return s, s.count > 0
}

// Len returns how many instances of f the layout has, known or not.
func (m Metrics) Len(f Field) int {
	s, _ := m.slot(f)
	return s.len()
}

func (s slot) len() int {
	if s.stride > 0 {
		return int(s.count) * maxPartitions
	}
	return int(s.count)
}

// At returns instance i of f in the field's unit, counted from 0; ok is false if
// it is unknown. Where instances belong to partitions, those of the first come
// first.
func (m Metrics) At(f Field, i int) (value float64, ok bool) {
	s, _ := m.slot(f)
	raw, ok := m.raw(s, i)
	if !ok {
		return 0, false
	}
	return s.value(raw), true
}

// Float returns f in its unit: of several instances the mean of those that are
// known. ok is false if none is.
func (m Metrics) Float(f Field) (value float64, ok bool) {
	s, _ := m.slot(f)
	var sum float64
	var n int
	for i := range s.len() {
		if raw, ok := m.raw(s, i); ok {
			sum += s.value(raw)
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return sum / float64(n), true
}

// Max returns the greatest known instance of f in its unit. ok is false if none
// is known.
func (m Metrics) Max(f Field) (value float64, ok bool) {
	s, _ := m.slot(f)
	for i := range s.len() {
		raw, known := m.raw(s, i)
		if !known {
			continue
		}
		if v := s.value(raw); !ok || v > value {
			value, ok = v, true
		}
	}
	return value, ok
}

// Uint returns a count, bits or a clock exactly: of several instances the sum of
// those that are known. ok is false if none is, and for fields that may have a
// fraction.
func (m Metrics) Uint(f Field) (value uint64, ok bool) {
	s, found := m.slot(f)
	if !found || !fields[f].whole {
		return 0, false
	}
	for i := range s.len() {
		raw, known := m.raw(s, i)
		if !known {
			continue
		}
		sum, carry := bits.Add64(value, raw, 0)
		if carry != 0 || s.signed && int64(raw) < 0 {
			return 0, false
		}
		value, ok = sum, true
	}
	return value, ok
}

// PerCycle returns by how much f, a sum over cycles, grew in a cycle between
// earlier, an older snapshot of the same GPU, and m: for [GFXActivityAcc] that is
// the average activity in %, for a residency the part of the time between 0 and 1.
// Of several instances it is the mean. ok is false if that is unknown, because no
// cycle passed or the counters began anew.
func (m Metrics) PerCycle(earlier Metrics, f Field) (value float64, ok bool) {
	then, _ := earlier.Uint(FirmwareTimestamp)
	if now, ok := m.Uint(FirmwareTimestamp); ok && now <= then {
		return 0, false
	}
	cycles, ok := m.growth(earlier, AccumulationCounter, 0)
	if !ok || cycles == 0 {
		return 0, false
	}
	var sum float64
	var n int
	for i := range m.Len(f) {
		if grown, ok := m.growth(earlier, f, i); ok {
			sum += float64(grown)
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return sum / float64(n) / float64(cycles), true
}

// growth returns by how much an instance of a counter grew. Those of 32 bits wrap
// around within hours; one that seems to have grown by more than half of its range
// began anew.
func (m Metrics) growth(earlier Metrics, f Field, i int) (uint64, bool) {
	s, _ := m.slot(f)
	was, _ := earlier.slot(f)
	now, known := m.raw(s, i)
	then, both := earlier.raw(was, i)
	if !known || !both || s.width != was.width || !fields[f].whole {
		return 0, false
	}
	unused := 64 - 8*s.width
	grown := (now - then) << unused >> unused
	return grown, grown < 1<<(8*s.width-1)
}

// raw returns what is stored as instance i; ok is false if it is unset.
func (m Metrics) raw(s slot, i int) (value uint64, ok bool) {
	if i < 0 || i >= s.len() {
		return 0, false
	}
	at := int(s.offset) + i/int(s.count)*int(s.stride) + i%int(s.count)*int(s.step)
	if at+int(s.width) > len(m.data) {
		return 0, false
	}
	b := m.data[at:]
	switch s.width {
	case u8:
		value = uint64(b[0])
	case u16:
		value = uint64(binary.LittleEndian.Uint16(b))
	case u32:
		value = uint64(binary.LittleEndian.Uint32(b))
	case u64:
		value = binary.LittleEndian.Uint64(b)
	}
	unused := 64 - 8*s.width
	if value == ^uint64(0)>>unused {
		return 0, false
	}
	if s.signed {
		value = uint64(int64(value<<unused) >> unused)
	}
	return value, true
}

// value turns what is stored into the field's unit.
func (s slot) value(raw uint64) float64 {
	if s.signed {
		return float64(int64(raw)) * s.scale
	}
	return float64(raw) * s.scale
}
