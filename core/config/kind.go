package config

import (
	"reflect"
	"time"
)

// Kind is what a setting holds.
type Kind int

// The kinds of settings, with the Go type of each.
const (
	KindBool      Kind = iota // bool
	KindString                // string, or a type made from it
	KindInt                   // int, int64
	KindFloat                 // float64
	KindDuration              // time.Duration
	KindSpan                  // Span
	KindStrings               // []string
	KindStringMap             // map[string]string
	KindBlock                 // struct
	KindBlocks                // []struct
)

// kinds says, for each Kind, how it is called in documents and which type it has
// in HCL.
var kinds = [...]struct{ name, hcl string }{
	KindBool:      {"bool", "bool"},
	KindString:    {"string", "string"},
	KindInt:       {"whole number", "number"},
	KindFloat:     {"number", "number"},
	KindDuration:  {"duration", "string"},
	KindSpan:      {"looks or duration", "string"},
	KindStrings:   {"list of strings", "list(string)"},
	KindStringMap: {"map of strings", "map(string)"},
	KindBlock:     {"block", ""},
	KindBlocks:    {"blocks", ""},
}

// String returns the name of the kind as documents have it.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kinds) {
		return "unknown"
	}
	return kinds[k].name
}

// HCL returns the type of an attribute of this kind, as Nomad's hclspec writes
// it: bool, string, number, list(string), map(string). It is empty for blocks.
func (k Kind) HCL() string {
	if k < 0 || int(k) >= len(kinds) {
		return ""
	}
	return kinds[k].hcl
}

var (
	typeDuration = reflect.TypeFor[time.Duration]()
	typeSpan     = reflect.TypeFor[Span]()
)

// kindOf returns the kind of a Go type, and false if there is none for it.
func kindOf(t reflect.Type, block bool) (Kind, bool) {
	if block {
		switch {
		case t == typeSpan:
			return 0, false
		case t.Kind() == reflect.Struct:
			return KindBlock, true
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != typeSpan:
			return KindBlocks, true
		}
		return 0, false
	}
	switch t {
	case typeDuration:
		return KindDuration, true
	case typeSpan:
		return KindSpan, true
	}
	switch t.Kind() {
	case reflect.Bool:
		return KindBool, true
	case reflect.String:
		return KindString, true
	case reflect.Int, reflect.Int64:
		return KindInt, true
	case reflect.Float64:
		return KindFloat, true
	case reflect.Slice:
		return KindStrings, t.Elem().Kind() == reflect.String
	case reflect.Map:
		return KindStringMap, t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String
	default:
		return 0, false
	}
}
