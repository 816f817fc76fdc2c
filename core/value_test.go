package core_test

import (
	"errors"
	"math"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
)

func TestValues(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		value   core.Value
		kind    core.Kind
		text    string
		known   bool
		numeric bool
		float   float64
	}{
		"none":      {core.Value{}, core.KindNone, "", false, false, 0},
		"unknown":   {core.Unknown(), core.KindUnknown, "unknown", false, false, 0},
		"int":       {core.Int(-80, core.GiB), core.KindInt, "-80 GiB", true, true, -80},
		"count":     {core.Count(7), core.KindInt, "7", true, true, 7},
		"float":     {core.Float(1.5, core.GHz), core.KindFloat, "1.5 GHz", true, true, 1.5},
		"NaN":       {core.Float(math.NaN(), core.GHz), core.KindUnknown, "unknown", false, false, 0},
		"infinity":  {core.Float(math.Inf(-1), core.NoUnit), core.KindUnknown, "unknown", false, false, 0},
		"string":    {core.String("x"), core.KindString, "x", true, false, 0},
		"version":   {core.Version("1.2"), core.KindVersion, "1.2", true, false, 0},
		"true":      {core.Bool(true), core.KindBool, "true", true, false, 0},
		"not true":  {core.Bool(false), core.KindBool, "false", true, false, 0},
		"big whole": {core.Count(math.MaxInt64), core.KindInt, "9223372036854775807", true, true, math.MaxInt64},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := test.value
			if v.Kind() != test.kind || v.String() != test.text || v.Known() != test.known || v.Numeric() != test.numeric || v.AsFloat() != test.float {
				t.Errorf("kind %v, text %q, known %v, numeric %v, float %v", v.Kind(), v.String(), v.Known(), v.Numeric(), v.AsFloat())
			}
		})
	}
	if core.Int(1, core.MiB) == core.Int(1, core.MB) || core.String("1") == core.Version("1") || core.Bool(true) == core.Count(1) {
		t.Error("unlike values are equal")
	}
}

func TestFaultIsAnError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	var err error = &core.Fault{Reason: "broken", Remedy: "mend it", Err: cause}
	if err.Error() != "broken; mend it" || !errors.Is(err, cause) {
		t.Errorf("error %q", err)
	}
	if text := (&core.Fault{Reason: "broken"}).Error(); text != "broken" {
		t.Errorf("without a remedy: %q", text)
	}
}
