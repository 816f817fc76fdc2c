package nvml

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FieldID names a value that is read in a batch (nvml.h, NVML_FI_DEV_*).
type FieldID uint32

// The fields that the plugin reads.
const (
	FieldECCCurrent           FieldID = 1   // 1 = active
	FieldECCSingleVolatile    FieldID = 3   // corrected, since the driver was loaded
	FieldECCDoubleVolatile    FieldID = 4   // uncorrected, since the driver was loaded
	FieldECCSingleAggregate   FieldID = 5   // corrected, over the life of the GPU
	FieldECCDoubleAggregate   FieldID = 6   // uncorrected, over the life of the GPU
	FieldECCSingleVolL1       FieldID = 7   // corrected, volatile, L1 cache
	FieldECCSingleVolL2       FieldID = 9   // corrected, volatile, L2 cache
	FieldECCSingleVolDevice   FieldID = 11  // corrected, volatile, device memory
	FieldRetiredSingle        FieldID = 29  // pages
	FieldRetiredDouble        FieldID = 30  // pages
	FieldRetiredPending       FieldID = 31  // 1 = yes
	FieldNVLinkRecoveryTotal  FieldID = 59  // errors, all links
	FieldMemoryTemperature    FieldID = 82  // degrees Celsius
	FieldEnergy               FieldID = 83  // mJ since the driver was loaded
	FieldNVLinkCount          FieldID = 91  // links present
	FieldRetiredPendingDouble FieldID = 93  // 1 = yes, after a double bit error
	FieldPCIeReplay           FieldID = 94  // counter
	FieldNVLinkDataTX         FieldID = 138 // KiB; scope is the link, or AllLinks
	FieldNVLinkDataRX         FieldID = 139 // KiB; scope is the link, or AllLinks
	FieldRemappedCorrectable  FieldID = 142 // rows
	FieldRemappedUncorrected  FieldID = 143 // rows
	FieldRemapPending         FieldID = 144 // 1 = yes
	FieldRemapFailure         FieldID = 145 // 1 = yes
	FieldNVLinkState          FieldID = 165 // scope is the link; 0 = inactive
	FieldPowerAverage         FieldID = 185 // mW over one second
	FieldPowerInstant         FieldID = 186 // mW
	FieldPowerLimit           FieldID = 190 // mW, enforced
	FieldRecoveryAction       FieldID = 230 // nvmlDeviceGpuRecoveryAction_t
	FieldBankRemapPending     FieldID = 307 // 1 = yes
)

// Values of FieldNVLinkState. All others mean that the link carries no data.
const (
	NVLinkActive = 1
	NVLinkSleep  = 2
)

// AllLinks is the scope that stands for all NVLinks of a GPU.
const AllLinks = math.MaxUint32

// Field is a FieldID with its scope, which is 0 for most of them.
type Field struct {
	ID    FieldID
	Scope uint32
}

// String returns the field's number and, if it has one, its scope.
func (f Field) String() string {
	switch f.Scope {
	case 0:
		return fmt.Sprintf("field %d", f.ID)
	case AllLinks:
		return fmt.Sprintf("field %d of all links", f.ID)
	default:
		return fmt.Sprintf("field %d of %d", f.ID, f.Scope)
	}
}

// arg is never 0, the argument that stands for the whole batch: no field has
// the number 0.
func (f Field) arg() uint64 { return uint64(f.ID)<<32 | uint64(f.Scope) }

// Fields returns fields without a scope.
func Fields(ids ...FieldID) []Field {
	fields := make([]Field, len(ids))
	for i, id := range ids {
		fields[i].ID = id
	}
	return fields
}

// ValueType is the type of a field's value (nvml.h, nvmlValueType_t).
type ValueType uint32

// The types of values. TypeUnsignedLong is a C long: 64 bits on all platforms
// that the driver's Linux library exists for.
const (
	TypeDouble           ValueType = 0
	TypeUnsignedInt      ValueType = 1
	TypeUnsignedLong     ValueType = 2
	TypeUnsignedLongLong ValueType = 3
	TypeSignedLongLong   ValueType = 4
	TypeSignedInt        ValueType = 5
	TypeUnsignedShort    ValueType = 6
)

// FieldValue is the answer for one field. Look at Err before the value.
type FieldValue struct {
	Field Field
	// Err is nil, or why there is no value; it wraps a Return.
	Err error
	// Type says how Raw is to be read; Uint and Float do so.
	Type ValueType
	// Raw is the C union in the byte order of the machine.
	Raw [8]byte
	// Return is the code of this field, as the library gave it.
	Return Return
}

// Uint returns the value as a whole number. ok is false if there is no value, it
// is negative, or it is no whole number.
func (v FieldValue) Uint() (n uint64, ok bool) {
	if v.Err != nil || v.Return != Success {
		return 0, false
	}
	raw := binary.NativeEndian.Uint64(v.Raw[:])
	switch v.Type {
	case TypeUnsignedInt:
		return uint64(binary.NativeEndian.Uint32(v.Raw[:])), true
	case TypeUnsignedLong, TypeUnsignedLongLong:
		return raw, true
	case TypeSignedLongLong:
		if int64(raw) < 0 {
			return 0, false
		}
		return raw, true
	case TypeSignedInt:
		n := int32(binary.NativeEndian.Uint32(v.Raw[:]))
		if n < 0 {
			return 0, false
		}
		return uint64(n), true
	case TypeUnsignedShort:
		return uint64(binary.NativeEndian.Uint16(v.Raw[:])), true
	case TypeDouble:
		f := math.Float64frombits(raw)
		if f < 0 || f >= 1<<63 || f != math.Trunc(f) {
			return 0, false
		}
		return uint64(f), true
	default:
		return 0, false
	}
}

// Float returns the value as a number. ok is false if there is no value, or it
// is not finite.
func (v FieldValue) Float() (f float64, ok bool) {
	if v.Err != nil || v.Return != Success {
		return 0, false
	}
	raw := binary.NativeEndian.Uint64(v.Raw[:])
	switch v.Type {
	case TypeDouble:
		f = math.Float64frombits(raw)
		return f, !math.IsNaN(f) && !math.IsInf(f, 0)
	case TypeSignedLongLong:
		return float64(int64(raw)), true
	case TypeSignedInt:
		return float64(int32(binary.NativeEndian.Uint32(v.Raw[:]))), true
	default:
		n, ok := v.Uint()
		return float64(n), ok
	}
}

// UintField makes the answer "n" for a field, as a driver gives it for most
// counters. Fakes and tests use it.
func UintField(f Field, n uint64) FieldValue {
	v := FieldValue{Field: f, Type: TypeUnsignedLongLong}
	binary.NativeEndian.PutUint64(v.Raw[:], n)
	return v
}
