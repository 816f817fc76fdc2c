package gpumetrics

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The types of attributes that the tests use.
const (
	typeU8  = 0
	typeU16 = 2
	typeS16 = 3
	typeU32 = 4
	typeS32 = 5
	typeU64 = 6
	typeS64 = 7
)

// list builds a file that is a list of attributes.
type list struct {
	data  []byte
	count int32
}

func newList(r Revision) *list {
	return &list{data: append([]byte{0, 0, r.Format, r.Content}, 0, 0, 0, 0)}
}

// add appends an attribute with its values.
func (l *list) add(id uint64, u unit, kind uint64, values ...uint64) *list {
	code := uint64(u)<<codeUnitShift | kind<<codeTypeShift | id<<codeIDShift | uint64(len(values))
	l.data = binary.LittleEndian.AppendUint64(l.data, code)
	for _, v := range values {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		l.data = append(l.data, b[:attributeTypes[kind]]...)
	}
	l.count++
	return l
}

func (l *list) bytes() []byte {
	binary.LittleEndian.PutUint16(l.data, uint16(len(l.data)))
	binary.LittleEndian.PutUint32(l.data[headerSize:], uint32(l.count))
	return l.data
}

func minus(v int64) uint64 { return uint64(v) }

// mi300 is a list as the driver of an MI300 makes it.
func mi300() *list {
	const unset = ^uint64(0)
	return newList(Revision{1, 9}).
		add(0, unitCelsius, typeU16, 61).
		add(1, unitCelsius, typeU16, 52).
		add(2, unitCelsius, typeU16, unset).
		add(3, unitWatt, typeU16, 410).
		add(4, unitPercent, typeU16, 73).
		add(5, unitPercent, typeU16, 18).
		add(6, unitGB, typeU64, 5300).
		add(7, unitNone, typeU64, 65536*7).
		add(8, unitNano, typeU64, 927684312043185).
		add(9, unitNone, typeU64, 1000).
		add(10, unitNone, typeU64, 0).
		add(11, unitNone, typeU64, 250).
		add(15, unitNone, typeU32, 0).
		add(16, unitNone, typeU16, 16).
		add(17, unitDeciGT, typeU16, 320).
		add(18, unitNone, typeU16, 16).
		add(19, unitGT, typeU16, 32).
		add(20, unitPercent, typeU64, 1<<40).
		add(21, unitNone, typeU64, unset).
		add(22, unitGB, typeU64, 12).
		add(29, unitKB, typeU64, 1, 2, 3, 4, 5, 6, 7, unset).
		add(31, unitNone, typeU16, 1, 1, 1, 1, 1, 1, 1, 2).
		add(32, unitTick, typeU64, 5).
		add(33, unitMHz, typeU16, 2100, 132, 0xffff).
		add(40, unitPercent, typeU32, 99, 1, 0xffffffff).
		add(41, unitPercent, typeU16, 3).
		add(42, unitPercent, typeU16, 0, 50, 0xffff, 0xffff).
		add(43, unitNone, typeU64, 1<<50, unset).
		add(49, unitCelsius, typeU16, 77).
		add(900, unitPercent, typeU64, 1)
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	m, err := Decode(mi300().bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := map[Field][]float64{
		TempHotspot: {61}, TempMem: {52}, SocketPower: {410}, GFXActivity: {73}, MemActivity: {18}, Energy: {7},
		SystemClock: {927684312043185}, AccumulationCounter: {1000}, ProchotResidencyAcc: {0}, PPTResidencyAcc: {250},
		PCIeWidth: {16}, PCIeSpeed: {32}, XGMIWidth: {16}, XGMISpeed: {32}, GFXActivityAcc: {1 << 40}, PCIeBandwidthAcc: {12},
		XGMIRead: {1, 2, 3, 4, 5, 6, 7}, FirmwareTimestamp: {5}, GFXClock: {2100, 132}, GFXBusy: {99, 1},
		MediaActivity: {0, 50}, GFXBusyAcc: {1 << 50},
	}
	if diff := cmp.Diff(want, known(m)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if sum, ok := m.Uint(XGMIRead); !ok || sum != 28 {
		t.Errorf("%d KB read, %t, want 28", sum, ok)
	}
	if busy, ok := m.Partition(0).Float(GFXBusy); ok {
		t.Errorf("a list tells no partitions apart, and partition 0 is busy by %v", busy)
	}
}

func TestAttributesOfAPartition(t *testing.T) {
	t.Parallel()
	m, err := DecodePartition(newList(Revision{1, 1}).
		add(33, unitMHz, typeU16, 2100, 0xffff).
		add(40, unitPercent, typeU32, 64, 0xffffffff).
		add(9, unitNone, typeU64, 1000).bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := map[Field][]float64{GFXClock: {2100}, GFXBusy: {64}, AccumulationCounter: {1000}}
	if diff := cmp.Diff(want, known(m)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestAttributeTypes reads one temperature in every type.
func TestAttributeTypes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, raw uint64
		want      float64
		ok        bool
	}{
		{typeU8, 200, 200, true},
		{typeU8, 0xff, 0, false},
		{1, minus(-40), -40, true},
		{1, minus(-1), 0, false},
		{typeU16, 0xff, 255, true},
		{typeU16, 0xffff, 0, false},
		{typeS16, minus(-40), -40, true},
		{typeS16, minus(-1), 0, false},
		{typeU32, 0xffff, 65535, true},
		{typeS32, minus(-40), -40, true},
		{typeU64, 0xffffffff, 1<<32 - 1, true},
		{typeS64, minus(-40), -40, true},
		{typeS64, minus(-1), 0, false},
	} {
		m, err := Decode(newList(Revision{1, 9}).add(0, unitCelsius, test.kind, test.raw).bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := m.Float(TempHotspot); ok != test.ok || got != test.want {
			t.Errorf("type %d, %#x: %v, %t, want %v, %t", test.kind, test.raw, got, ok, test.want, test.ok)
		}
	}
	m, err := Decode(newList(Revision{1, 9}).add(25, unitNone, typeS32, minus(-40)).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := m.Uint(PCIeReplays); ok {
		t.Errorf("-40 replays are %d", got)
	}
}

// TestAttributesThatAreLeftOut has attributes whose meaning is not certain.
func TestAttributesThatAreLeftOut(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*list{
		"a temperature in another unit": newList(Revision{1, 9}).add(0, unitPercent, typeU16, 61),
		"a power in a unit of tomorrow": newList(Revision{1, 9}).add(3, 11, typeU16, 61),
		"an unknown id":                 newList(Revision{1, 9}).add(1023, unitCelsius, typeU16, 61),
		"no instances":                  newList(Revision{1, 9}).add(0, unitCelsius, typeU16),
		"no attributes":                 newList(Revision{1, 9}),
	} {
		m, err := Decode(l.bytes())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(map[Field][]float64{}, known(m)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	m, err := Decode(newList(Revision{1, 9}).add(0, unitCelsius, typeU16, 61).add(0, unitCelsius, typeU16, 99).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := m.Float(TempHotspot); got != 61 {
		t.Errorf("of two hotspots the second counts: %v", got)
	}
}

func TestBrokenLists(t *testing.T) {
	t.Parallel()
	whole := mi300().bytes()
	cut := func(n int) []byte {
		data := append([]byte(nil), whole[:n]...)
		binary.LittleEndian.PutUint16(data, uint16(n))
		return data
	}
	for n := headerSize; n < len(whole); n++ {
		if _, err := Decode(cut(n)); err == nil || errors.Is(err, ErrRevision) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	change := func(at int, b byte) []byte {
		data := append([]byte(nil), whole...)
		data[at] = b
		return data
	}
	for _, test := range []struct {
		name string
		data []byte
		says string
	}{
		{"no room for the count", cut(headerSize), "4 bytes, which is less than the header and the number"},
		{"one attribute too few", change(headerSize, 29), "its 29 attributes end at byte"},
		{"one attribute too many", change(headerSize, 31), "attribute 31 of 31 begins at byte"},
		{"less than none of none", append([]byte{8, 0, 1, 9}, 0xff, 0xff, 0xff, 0xff), "its -1 attributes end at byte 8 of 8"},
		{"less than none", change(headerSize+3, 0xff), "its -16777186 attributes end at byte 8"},
		{"a type of tomorrow", change(headerSize+countSize+2, 0x80), "attribute 1 of 30 is described by 0x2800001"},
		{"a code of more than 32 bits", change(headerSize+countSize+4, 1), "attribute 1 of 30 is described by 0x102200001"},
		{"more instances than fit", change(headerSize+countSize+1, 3), "attribute 1 of 30 (0x2200301) ends at byte 1554"},
	} {
		if _, err := Decode(test.data); err == nil || !strings.Contains(err.Error(), test.says) || errors.Is(err, ErrRevision) {
			t.Errorf("%s: error %v, want one that says %q", test.name, err, test.says)
		}
	}
}
