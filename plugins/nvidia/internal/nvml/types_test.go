package nvml

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestFieldValueTypes(t *testing.T) {
	t.Parallel()
	raw := func(n uint64) (b [8]byte) { binary.NativeEndian.PutUint64(b[:], n); return b }
	raw32 := func(n uint32) (b [8]byte) {
		binary.NativeEndian.PutUint32(b[:], n)
		binary.NativeEndian.PutUint32(b[4:], 0xdeadbeef) // what the union held before
		return b
	}
	raw16 := func(n uint16) (b [8]byte) {
		b = raw(math.MaxUint64)
		binary.NativeEndian.PutUint16(b[:], n)
		return b
	}
	double := func(f float64) [8]byte { return raw(math.Float64bits(f)) }
	for _, tt := range []struct {
		name    string
		v       FieldValue
		n       uint64
		isUint  bool
		f       float64
		isFloat bool
	}{
		{"unsigned int", FieldValue{Type: TypeUnsignedInt, Raw: raw32(7)}, 7, true, 7, true},
		{"unsigned long", FieldValue{Type: TypeUnsignedLong, Raw: raw(1 << 40)}, 1 << 40, true, 1 << 40, true},
		{"unsigned long long", FieldValue{Type: TypeUnsignedLongLong, Raw: raw(1 << 63)}, 1 << 63, true, 1 << 63, true},
		{"unsigned short", FieldValue{Type: TypeUnsignedShort, Raw: raw16(65535)}, 65535, true, 65535, true},
		{"signed", FieldValue{Type: TypeSignedInt, Raw: raw32(5)}, 5, true, 5, true},
		{"negative", FieldValue{Type: TypeSignedInt, Raw: raw32(math.MaxUint32)}, 0, false, -1, true},
		{"signed long long", FieldValue{Type: TypeSignedLongLong, Raw: raw(5)}, 5, true, 5, true},
		{"negative long long", FieldValue{Type: TypeSignedLongLong, Raw: raw(math.MaxUint64)}, 0, false, -1, true},
		{"double", FieldValue{Type: TypeDouble, Raw: double(12.5)}, 0, false, 12.5, true},
		{"whole double", FieldValue{Type: TypeDouble, Raw: double(12)}, 12, true, 12, true},
		{"negative double", FieldValue{Type: TypeDouble, Raw: double(-12)}, 0, false, -12, true},
		{"huge double", FieldValue{Type: TypeDouble, Raw: double(1e30)}, 0, false, 1e30, true},
		{"NaN", FieldValue{Type: TypeDouble, Raw: double(math.NaN())}, 0, false, 0, false},
		{"infinity", FieldValue{Type: TypeDouble, Raw: double(math.Inf(1))}, 0, false, 0, false},
		{"a type of the future", FieldValue{Type: 99, Raw: raw(5)}, 0, false, 0, false},
		{"an error", FieldValue{Type: TypeUnsignedInt, Raw: raw32(5), Err: ErrUnknown}, 0, false, 0, false},
		{"a code without an error", FieldValue{Type: TypeUnsignedInt, Raw: raw32(5), Return: ErrUnknown}, 0, false, 0, false},
	} {
		if n, ok := tt.v.Uint(); n != tt.n || ok != tt.isUint {
			t.Errorf("%s: whole number %d, %v", tt.name, n, ok)
		}
		f, ok := tt.v.Float()
		if ok != tt.isFloat || ok && f != tt.f {
			t.Errorf("%s: number %v, %v", tt.name, f, ok)
		}
	}
}

func FuzzFieldValue(f *testing.F) {
	f.Add(uint32(0), uint64(0x7ff8000000000001))
	f.Add(uint32(5), uint64(0xffffffff))
	f.Fuzz(func(t *testing.T, kind uint32, bits uint64) {
		v := FieldValue{Type: ValueType(kind)}
		binary.NativeEndian.PutUint64(v.Raw[:], bits)
		n, isUint := v.Uint()
		x, isFloat := v.Float()
		if isFloat && (math.IsNaN(x) || math.IsInf(x, 0)) {
			t.Errorf("%v", x)
		}
		if isUint && (!isFloat || float64(n) != x) {
			t.Errorf("%d and %v", n, x)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ got, want string }{
		{PCI{Domain: 0, Bus: 0x3b}.Address(), "0000:3b:00.0"},
		{PCI{Domain: 0x10000, Bus: 0xff, Device: 0x1f}.Address(), "10000:ff:1f.0"},
		{Hopper.String(), "hopper"},
		{Architecture(99).String() + Brand(0).String(), ""},
		{Brand(14).String(), "NVIDIA"},
		{ComputeMode(3).String() + "/" + ComputeMode(9).String(), "exclusive-process/"},
		{Virtualization(2).String() + Virtualization(77).String(), "vgpu"},
		{AddressingMode(2).String() + AddressingMode(77).String(), "ats"},
		{Field{FieldNVLinkState, 3}.String(), "field 165 of 3"},
		{Fabric{State: FabricInProgress, CliqueID: 1}.Clique(), ""},
		{Fabric{State: FabricCompleted, CliqueID: 1}.Clique() + "!", "!"},
		{Fabric{
			State: FabricCompleted, CliqueID: 32766,
			ClusterUUID: [16]byte{0x9f, 0x0a, 0x5c, 0x3b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		}.Clique(), "9f0a5c3b-0102-0304-0506-0708090a0b0c.32766"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
	if c := (Fabric{State: FabricCompleted, Status: ErrUnknown, ClusterUUID: [16]byte{1}}).Clique(); c != "" {
		t.Errorf("a fabric that could not be joined has the clique %q", c)
	}
}
