package core

import (
	"math"
	"strconv"
)

// Kind is the type of a [Value].
type Kind uint8

// The kinds of values.
const (
	KindNone Kind = iota
	KindInt
	KindFloat
	KindString
	KindBool
	KindVersion
	KindUnknown
)

// String returns the type's name: "int", "float", "string", "bool", "version", or
// "" for the kinds that hold no value.
func (k Kind) String() string {
	switch k {
	case KindInt:
		return "int"
	case KindFloat:
		return "float"
	case KindString:
		return "string"
	case KindBool:
		return "bool"
	case KindVersion:
		return "version"
	default:
		return ""
	}
}

// Unit is a unit of an attribute, as Nomad's constraints understand it. Units of
// one base are converted into each other when a job compares them.
type Unit string

// The units that Nomad knows (plugins/shared/structs/units.go).
const (
	NoUnit Unit = ""

	KiB Unit = "KiB"
	MiB Unit = "MiB"
	GiB Unit = "GiB"
	TiB Unit = "TiB"
	PiB Unit = "PiB"
	EiB Unit = "EiB"

	KB Unit = "kB"
	MB Unit = "MB"
	GB Unit = "GB"
	TB Unit = "TB"
	PB Unit = "PB"
	EB Unit = "EB"

	KiBPerS Unit = "KiB/s"
	MiBPerS Unit = "MiB/s"
	GiBPerS Unit = "GiB/s"
	TiBPerS Unit = "TiB/s"

	KBPerS Unit = "kB/s"
	MBPerS Unit = "MB/s"
	GBPerS Unit = "GB/s"
	TBPerS Unit = "TB/s"

	MHz Unit = "MHz"
	GHz Unit = "GHz"

	Milliwatt Unit = "mW"
	Watt      Unit = "W"
	Kilowatt  Unit = "kW"
	Megawatt  Unit = "MW"
	Gigawatt  Unit = "GW"
)

// Value is one typed value, of an attribute or of a reading. The zero Value is
// no value. Values are comparable with ==.
type Value struct {
	kind Kind
	unit Unit
	num  int64   // int, bool
	flt  float64 // float
	str  string  // string, version
}

// Int returns a whole number with a unit.
func Int(v int64, unit Unit) Value { return Value{kind: KindInt, num: v, unit: unit} }

// Count returns a whole number without a unit.
func Count(v int64) Value { return Int(v, NoUnit) }

// Float returns a number with a unit. NaN and the infinities are [Unknown]: an
// attribute that holds one brings Nomad's agent down.
func Float(v float64, unit Unit) Value {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown()
	}
	return Value{kind: KindFloat, flt: v, unit: unit}
}

// String returns a text. A text that reads as a number can never be matched by
// a job, so numbers belong into [Int] and [Float], and versions into [Version].
func String(v string) Value { return Value{kind: KindString, str: v} }

// Bool returns a truth value.
func Bool(v bool) Value {
	b := Value{kind: KindBool}
	if v {
		b.num = 1
	}
	return b
}

// Version returns a text that jobs compare with operator = "version".
func Version(v string) Value { return Value{kind: KindVersion, str: v} }

// Unknown returns the value of something that exists and could not be read this
// time. An attribute keeps the value known last; a reading is left out.
func Unknown() Value { return Value{kind: KindUnknown} }

// Kind returns the type of the value.
func (v Value) Kind() Kind { return v.kind }

// Unit returns the unit, if the value has one.
func (v Value) Unit() Unit { return v.unit }

// Known reports whether there is a value at all.
func (v Value) Known() bool { return v.kind != KindNone && v.kind != KindUnknown }

// Numeric reports whether the value is a whole number or a float.
func (v Value) Numeric() bool { return v.kind == KindInt || v.kind == KindFloat }

// AsInt returns the whole number of a [KindInt] value, else 0.
func (v Value) AsInt() int64 {
	if v.kind == KindInt {
		return v.num
	}
	return 0
}

// AsFloat returns the number of a numeric value, else 0.
func (v Value) AsFloat() float64 {
	switch v.kind {
	case KindInt:
		return float64(v.num)
	case KindFloat:
		return v.flt
	default:
		return 0
	}
}

// AsBool returns the truth value of a [KindBool] value, else false.
func (v Value) AsBool() bool { return v.kind == KindBool && v.num != 0 }

// Text returns the text of a [KindString] or [KindVersion] value, else "".
func (v Value) Text() string { return v.str }

// String returns the value with its unit, for people.
func (v Value) String() string {
	var s string
	switch v.kind {
	case KindInt:
		s = strconv.FormatInt(v.num, 10)
	case KindFloat:
		s = strconv.FormatFloat(v.flt, 'g', -1, 64)
	case KindString, KindVersion:
		s = v.str
	case KindBool:
		s = strconv.FormatBool(v.AsBool())
	case KindUnknown:
		s = "unknown"
	case KindNone:
	}
	if v.unit != NoUnit {
		s += " " + string(v.unit)
	}
	return s
}
