package config_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/config"
)

type raw = map[string]any

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  raw
		set  func(*vendor) // what differs from the defaults
	}{
		{"nothing", nil, func(*vendor) {}},
		{"empty", raw{}, func(*vendor) {}},
		{"nil is the default", raw{"enabled": nil, "modes": nil, "health": nil, "program": nil, "shares": nil}, func(*vendor) {}},
		{"bool", raw{"enabled": false}, func(v *vendor) { v.Enabled = false }},
		{"bool as text", raw{"enabled": "false"}, func(v *vendor) { v.Enabled = false }},
		{"string", raw{"library": "a"}, func(v *vendor) { v.Library = "a" }},
		{"string as bytes", raw{"library": []byte("a")}, func(v *vendor) { v.Library = "a" }},
		{"string as number", raw{"library": int64(3)}, func(v *vendor) { v.Library = "3" }},
		{"string as float", raw{"library": 0.25}, func(v *vendor) { v.Library = "0.25" }},
		{"string as unsigned", raw{"library": uint64(math.MaxUint64)}, func(v *vendor) { v.Library = "18446744073709551615" }},
		{"string as bool", raw{"library": true}, func(v *vendor) { v.Library = "true" }},
		{"choice", raw{"access": "devices"}, func(v *vendor) { v.Access = "devices" }},
		{"int", raw{"shares": 64}, func(v *vendor) { v.Shares = 64 }},
		{"int8", raw{"shares": int8(2)}, func(v *vendor) { v.Shares = 2 }},
		{"int64", raw{"offset": int64(math.MinInt64)}, func(v *vendor) { v.Offset = math.MinInt64 }},
		{"uint64", raw{"offset": uint64(7)}, func(v *vendor) { v.Offset = 7 }},
		{"whole float", raw{"shares": 2.0}, func(v *vendor) { v.Shares = 2 }},
		{"int as text", raw{"shares": "2"}, func(v *vendor) { v.Shares = 2 }},
		{"float", raw{"factor": 1.5}, func(v *vendor) { v.Factor = 1.5 }},
		{"float32", raw{"factor": float32(1.5)}, func(v *vendor) { v.Factor = 1.5 }},
		{"float as int", raw{"factor": int64(2)}, func(v *vendor) { v.Factor = 2 }},
		{"float as text", raw{"factor": "2.5"}, func(v *vendor) { v.Factor = 2.5 }},
		{"duration", raw{"pause": "1h"}, func(v *vendor) { v.Pause = time.Hour }},
		{"duration at its minimum", raw{"fingerprint_period": "1s"}, func(v *vendor) { v.FingerprintPeriod = time.Second }},
		{"duration at its maximum", raw{"fingerprint_period": "24h"}, func(v *vendor) { v.FingerprintPeriod = 24 * time.Hour }},
		{"span as number", raw{"health": raw{"unhealthy_after": int64(5)}}, func(v *vendor) { v.Health.UnhealthyAfter = config.Span{Looks: 5} }},
		{"span as text", raw{"health": raw{"recover_after": "4"}}, func(v *vendor) { v.Health.RecoverAfter = config.Span{Looks: 4} }},
		{"span as time", raw{"health": raw{"unhealthy_after": "2m"}}, func(v *vendor) { v.Health.UnhealthyAfter = config.Span{Time: 2 * time.Minute} }},
		{"list replaces", raw{"modes": []any{"c"}}, func(v *vendor) { v.Modes = []mode{"c"} }},
		{"empty list replaces", raw{"modes": []any{}}, func(v *vendor) { v.Modes = nil }},
		{"list of strings", raw{"ignored_ids": []string{"a", "b"}}, func(v *vendor) { v.IgnoredIDs = []string{"a", "b"} }},
		{"list of bytes", raw{"ignored_ids": []any{[]byte("a"), 7}}, func(v *vendor) { v.IgnoredIDs = []string{"a", "7"} }},
		{"map replaces", raw{"labels": raw{"x": "y"}}, func(v *vendor) { v.Labels = map[string]string{"x": "y"} }},
		{"map of strings", raw{"labels": map[string]string{"x": "y"}}, func(v *vendor) { v.Labels = map[string]string{"x": "y"} }},
		{"map in a list", raw{"labels": []raw{{"x": "y"}}}, func(v *vendor) { v.Labels = map[string]string{"x": "y"} }},
		{"map with keys of any type", raw{"labels": map[any]any{"x": []byte("y"), 1: 2}}, func(v *vendor) { v.Labels = map[string]string{"x": "y", "1": "2"} }},
		{"empty map replaces", raw{"labels": raw{}}, func(v *vendor) { v.Labels = nil }},
		{"block in a list", raw{"health": []any{raw{"unhealthy_after": "1"}}}, func(v *vendor) { v.Health.UnhealthyAfter = config.Span{Looks: 1} }},
		{"block in a list of maps", raw{"health": []raw{{"unhealthy_after": "1"}}}, func(v *vendor) { v.Health.UnhealthyAfter = config.Span{Looks: 1} }},
		{"block given no times", raw{"health": []any{}}, func(*vendor) {}},
		{"blocks", raw{"program": []any{raw{"path": "/a"}, raw{"wait": 7}}}, func(v *vendor) {
			v.Program = []program{{Path: "/a", Wait: config.Span{Looks: 2}}, {Path: "/p", Wait: config.Span{Looks: 7}}}
		}},
		{"one of many blocks", raw{"program": raw{"path": "/a"}}, func(v *vendor) { v.Program = []program{{Path: "/a", Wait: config.Span{Looks: 2}}} }},
		{"no blocks", raw{"program": []any{}}, func(*vendor) {}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := config.Defaults[vendor]()
			test.set(want)
			// What was there before does not shine through.
			got := &vendor{Library: "old", Modes: []mode{"old"}, Program: []program{{Path: "old"}}, Ceremony: ceremony{First: 9}}
			if err := config.Decode(test.raw, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const (
		wantPeriod = `a duration from "1s" to "24h"`
		wantSpan   = `a number of looks such as 3 or a time such as "30s", more than zero`
		wantList   = `a list of strings such as ["a", "b"]`
		wantMap    = `a map of strings such as { a = "b" }`
	)
	tests := []struct {
		name             string
		raw              raw
		key, given, want string
	}{
		{"bool", raw{"enabled": "maybe"}, "enabled", `"maybe"`, "true or false"},
		{"bool as number", raw{"enabled": 1}, "enabled", "1", "true or false"},
		{"bool as list", raw{"enabled": []any{true}}, "enabled", `["true"]`, "true or false"},
		{"string as list", raw{"library": []any{}}, "library", "[]", "a string"},
		{"string as block", raw{"library": raw{"a": 1}}, "library", "{ … }", "a string"},
		{"string that is not UTF-8", raw{"library": "\xff"}, "library", `"\xff"`, "a string"},
		{"string with NUL", raw{"library": []byte("a\x00")}, "library", `"a\x00"`, "a string"},
		{"string as a stranger", raw{"library": struct{}{}}, "library", "a value of type struct {}", "a string"},
		{"choice", raw{"access": "Runtime"}, "access", `"Runtime"`, `one of "runtime", "devices"`},
		{"int below", raw{"shares": 0}, "shares", "0", "a whole number from 1 to 64"},
		{"int above", raw{"shares": 65}, "shares", "65", "a whole number from 1 to 64"},
		{"int as fraction", raw{"shares": 1.5}, "shares", "1.5", "a whole number from 1 to 64"},
		{"int as text", raw{"shares": "many"}, "shares", `"many"`, "a whole number from 1 to 64"},
		{"int too large", raw{"offset": uint64(math.MaxUint64)}, "offset", "18446744073709551615", "a whole number"},
		{"float too large for an int", raw{"offset": float64(1 << 63)}, "offset", "9223372036854776000", "a whole number"},
		{"int as NaN", raw{"offset": math.NaN()}, "offset", "NaN", "a whole number"},
		{"int as bool", raw{"offset": true}, "offset", "true", "a whole number"},
		{"float below", raw{"factor": -0.5}, "factor", "-0.5", "a number of at least 0"},
		{"float NaN", raw{"factor": math.NaN()}, "factor", "NaN", "a number of at least 0"},
		{"float infinite", raw{"factor": "Inf"}, "factor", `"Inf"`, "a number of at least 0"},
		{"duration below", raw{"fingerprint_period": "999ms"}, "fingerprint_period", `"999ms"`, wantPeriod},
		{"duration above", raw{"fingerprint_period": "24h1s"}, "fingerprint_period", `"24h1s"`, wantPeriod},
		{"duration without unit", raw{"fingerprint_period": 30}, "fingerprint_period", "30", wantPeriod},
		{"duration as text", raw{"fingerprint_period": "often"}, "fingerprint_period", `"often"`, wantPeriod},
		{"duration negative", raw{"pause": "-1s"}, "pause", `"-1s"`, `a duration such as "30s"`},
		{"duration as list", raw{"pause": []any{"1s"}}, "pause", `["1s"]`, `a duration such as "30s"`},
		{"span zero", raw{"health": raw{"unhealthy_after": 0}}, "health.unhealthy_after", "0", wantSpan},
		{"span negative", raw{"health": raw{"recover_after": "-1s"}}, "health.recover_after", `"-1s"`, wantSpan},
		{"span as block", raw{"health": raw{"recover_after": raw{}}}, "health.recover_after", "{ … }", wantSpan},
		{"list as string", raw{"ignored_ids": "a"}, "ignored_ids", `"a"`, wantList},
		{"list as bytes", raw{"ignored_ids": []byte("a")}, "ignored_ids", `"a"`, wantList},
		{"list with null", raw{"ignored_ids": []any{"a", nil}}, "ignored_ids", "a list of 2", wantList},
		{"list of lists", raw{"ignored_ids": []any{[]any{}}}, "ignored_ids", "a list of 1", wantList},
		{"list with an empty ID", raw{"ignored_ids": []any{"a", " "}}, "ignored_ids", `" " at place 2`, "the ID or the PCI address of a device"},
		{"list of choices", raw{"modes": []any{"a", "d"}}, "modes", `"d"`, `a list of strings out of "a", "b", "c"`},
		{"map as string", raw{"labels": "a=b"}, "labels", `"a=b"`, wantMap},
		{"map of lists", raw{"labels": raw{"a": []any{}}}, "labels", "{ … }", wantMap},
		{"map of nothing", raw{"labels": raw{"a": nil}}, "labels", "{ … }", wantMap},
		{"two maps", raw{"labels": []any{raw{}, raw{}}}, "labels", "a list of 2", wantMap},
		{"map with a list as key", raw{"labels": map[any]any{[1]int{1}: "a"}}, "labels", "{ … }", wantMap},
		{"block as string", raw{"health": "good"}, "health", `"good"`, "one block health { … }"},
		{"block twice", raw{"health": []any{raw{}, raw{}}}, "health", "a list of 2", "one block health { … }"},
		{"blocks as number", raw{"program": 3}, "program", "3", "blocks program { … }"},
		{"blocks of strings", raw{"program": []any{"a"}}, "program", `["a"]`, "blocks program { … }"},
		{"blocks of nothing", raw{"program": []any{nil}}, "program", "a list of 1", "blocks program { … }"},
		{"in the second block", raw{"program": []any{raw{}, raw{"wait": "x"}}}, "program[1].wait", `"x"`, wantSpan},
		{"rule in the second block", raw{"program": []any{raw{}, raw{"path": "x"}}}, "program[1].path", "x", "a slash first"},
		{"rule in a block", raw{"ceremony": raw{"first": 2}}, "ceremony.first", "it", "less than second"},
		{"rule about one setting", raw{"host_root": "host"}, "host_root", `"host"`, `an absolute path such as "/"`},
		{"long text", raw{"enabled": strings.Repeat("é", 200)}, "enabled", `"` + strings.Repeat("é", 49) + "…", "true or false"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := vendor{Library: "before"}
			got := before
			err := config.Decode(test.raw, &got)
			problems := problemsOf(t, err)
			want := []config.Problem{{Key: test.key, Given: test.given, Want: test.want}}
			for i := range problems {
				problems[i].With = "" // not for people
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text := "configuration: " + test.key + " = " + test.given + ": want " + test.want; err.Error() != text {
				t.Errorf("error %q, want %q", err, text)
			}
			if diff := cmp.Diff(before, got); diff != "" {
				t.Errorf("the struct was changed:\n%s", diff)
			}
		})
	}
}

func problemsOf(t *testing.T, err error) []config.Problem {
	t.Helper()
	all, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("error %v is not a *config.Error", err)
	}
	return all.Problems
}

func TestDecodeUnknownKeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		raw  raw
		want string
	}{
		{raw{"enable": true}, "configuration: enable = true: there is no such setting; did you mean enabled?"},
		{raw{"stats_timout": "1s"}, `configuration: stats_timout = "1s": there is no such setting; did you mean stats_timeout?`},
		{raw{"colour": nil}, "configuration: colour = null: there is no such setting"},
		{raw{"": 1}, `configuration: "" = 1: there is no such setting`},
		{raw{"a\nb": 1}, `configuration: "a\nb" = 1: there is no such setting`},
		{raw{"health": raw{"recover": 1}}, "configuration: health.recover = 1: there is no such setting"},
		{raw{"program": []any{raw{"pat": 1}}}, "configuration: program[0].pat = 1: there is no such setting; did you mean path?"},
		{raw{strings.Repeat("x", 1<<20): 1}, "configuration: " + strings.Repeat("x", 100) + "… = 1: there is no such setting"},
	} {
		err := config.Decode(test.raw, &vendor{})
		if err == nil || err.Error() != test.want {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}

// One error tells everything, in the order of the struct, and nothing twice.
func TestDecodeNamesAll(t *testing.T) {
	t.Parallel()
	err := config.Decode(raw{
		"zzz":            1,
		"aaa":            raw{},
		"host_root":      "x",
		"driver_timeout": "soon",
		"stats_timeout":  "30s",
		"enabled":        "maybe",
		"health":         raw{"recover_after": "-3s", "unknown": 1},
		"ceremony":       raw{"first": 5, "second": "x"},
	}, &vendor{})
	want := `configuration: 8 settings are wrong
  enabled = "maybe": want true or false
  driver_timeout = "soon": want a duration from "100ms" to "5m"
  health.recover_after = "-3s": want a number of looks such as 3 or a time such as "30s", more than zero
  health.unknown = 1: there is no such setting
  ceremony.second = "x": want a whole number
  aaa = { … }: there is no such setting
  zzz = 1: there is no such setting
  host_root = "x": want an absolute path such as "/"`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A configuration that was right is not changed by decoding another into a copy,
// and decoding twice is decoding once.
func TestDecodeReplaces(t *testing.T) {
	t.Parallel()
	a := raw{"ignored_ids": []any{"a"}, "modes": []any{"a"}, "program": []any{raw{"path": "/a"}}, "labels": raw{"a": "b"}}
	b := raw{"ignored_ids": []any{"b"}}
	var first, second vendor
	for _, r := range []raw{a, a, b} {
		if err := config.Decode(r, &first); err != nil {
			t.Fatal(err)
		}
	}
	if err := config.Decode(b, &second); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(second, first); diff != "" {
		t.Errorf("-decoded once +decoded after others:\n%s", diff)
	}
}

func TestDecodeIntoNothing(t *testing.T) {
	t.Parallel()
	for _, into := range []config.Config{nil, (*vendor)(nil), byValue{}} {
		if err := config.Decode(raw{}, into); err == nil {
			t.Errorf("Decode into %T: no error", into)
		}
	}
	if err := config.Decode(raw{}, &untagged{}); err == nil || !strings.Contains(err.Error(), "no hcl tag") {
		t.Errorf("Decode into a struct with wrong tags: %v", err)
	}
}

type byValue struct{}

func (byValue) Base() *config.Common { return nil }

func (byValue) ShareRules() []config.Share { return nil }

type untagged struct {
	config.Common
	A string
}

// Whatever Nomad hands over: a configuration or problems with keys, never a panic,
// and the error fits a log.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `{"enabled":false,"shares":3}`, `{"health":{"recover_after":"1s"}}`, `{"health":[{},{}]}`,
		`{"program":[{"path":1},null,"x"]}`, `{"labels":{"a":[1]},"modes":["a",null]}`, `{"factor":1e999}`, `{"":{"":{}}}`,
		`{"offset":9223372036854775807,"pause":"9999999h"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var given raw
		if json.Unmarshal(text, &given) != nil {
			return
		}
		var got vendor
		err := config.Decode(given, &got)
		if err == nil {
			if got.FingerprintPeriod < time.Second || got.Shares < 1 || got.Shares > 64 {
				t.Errorf("accepted: %+v", got)
			}
			if got.Health.RecoverAfter == (config.Span{}) || got.Health.UnhealthyAfter == (config.Span{}) {
				t.Errorf("accepted: %+v", got.Health)
			}
			return
		}
		for _, problem := range problemsOf(t, err) {
			if line := problem.String(); len(line) > 1000 || strings.ContainsAny(line, "\n\x00") {
				t.Errorf("problem %q", line)
			}
		}
		if diff := cmp.Diff(vendor{}, got); diff != "" {
			t.Errorf("changed beside an error: %s", diff)
		}
	})
}
