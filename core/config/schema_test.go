package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/config"
)

func TestSchemaOf(t *testing.T) {
	t.Parallel()
	schema, err := config.SchemaOf(&vendor{})
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Key, Kind, HCL, Literal, Min, Max, OneOf string }
	var got []row
	var walk func(prefix string, fields []config.Field)
	walk = func(prefix string, fields []config.Field) {
		for i := range fields {
			f := &fields[i]
			if f.Doc == "" {
				t.Errorf("%s%s has no documentation", prefix, f.Key)
			}
			got = append(got, row{prefix + f.Key, f.Kind.String(), f.Kind.HCL(), f.Literal(), f.Min, f.Max, strings.Join(f.OneOf, " ")})
			walk(prefix+f.Key+".", f.Fields)
		}
	}
	walk("", schema.Fields)
	want := []row{
		{"enabled", "bool", "bool", "true", "", "", ""},
		{"fingerprint_period", "duration", "string", `"1m"`, "1s", "24h", ""},
		{"ignored_ids", "list of strings", "list(string)", "[]", "", "", ""},
		{"stats_timeout", "duration", "string", `"1s"`, "10ms", "1m", ""},
		{"driver_timeout", "duration", "string", `"5s"`, "100ms", "5m", ""},
		{"health", "block", "", "", "", "", ""},
		{"health.unhealthy_after", "looks or duration", "string", `"3"`, "", "", ""},
		{"health.recover_after", "looks or duration", "string", `"30s"`, "", "", ""},
		{"share", "blocks", "", "", "", "", ""},
		{"share.devices", "list of strings", "list(string)", "[]", "", "", ""},
		{"share.replicas", "whole number", "number", "2", "2", "128", ""},
		{"share.type", "string", "string", `""`, "", "", ""},
		{"share.name_suffix", "string", "string", `""`, "", "", ""},
		{"share.one_per_task", "bool", "bool", "false", "", "", ""},
		{"metrics", "block", "", "", "", "", ""},
		{"metrics.address", "string", "string", `""`, "", "", ""},
		{"host_root", "string", "string", `"/"`, "", "", ""},
		{"library", "string", "string", `""`, "", "", ""},
		{"access", "string", "string", `"runtime"`, "", "", "runtime devices"},
		{"shares", "whole number", "number", "1", "1", "64", ""},
		{"offset", "whole number", "number", "-5", "", "", ""},
		{"factor", "number", "number", "0.5", "0", "", ""},
		{"pause", "duration", "string", `"0s"`, "", "", ""},
		{"modes", "list of strings", "list(string)", `["a", "b"]`, "", "", "a b c"},
		{"labels", "map of strings", "map(string)", `{"k" = "v", "l" = "$${w}"}`, "", "", ""},
		{"program", "blocks", "", "", "", "", ""},
		{"program.path", "string", "string", `"/p"`, "", "", ""},
		{"program.wait", "looks or duration", "string", `"2"`, "", "", ""},
		{"ceremony", "block", "", "", "", "", ""},
		{"ceremony.first", "whole number", "number", "1", "", "", ""},
		{"ceremony.second", "whole number", "number", "2", "", "", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// endless holds itself.
type endless struct {
	Inner []endless `hcl:"inner,block" doc:"x"`
}

type hidden struct {
	A string `hcl:"a" doc:"x"`
}

func TestSchemaOfRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"no struct", 3, "int is not a struct"},
		{"nil", nil, "not a struct"},
		{"no tag", struct{ A string }{}, "A: no hcl tag"},
		{"unexported", struct {
			a string `hcl:"a" doc:"x"`
		}{}, "a: the field is not exported"},
		{"no doc", struct {
			A string `hcl:"a"`
		}{}, "A: no doc tag"},
		{"no default", struct {
			A bool `hcl:"a" doc:"x"`
		}{}, "A: no default tag"},
		{"empty key", struct {
			A string `hcl:"" doc:"x"`
		}{}, "is not a key"},
		{"key in capitals", struct {
			A string `hcl:"aB" doc:"x"`
		}{}, "is not a key"},
		{"unknown option", struct {
			A string `hcl:"a,label" doc:"x"`
		}{}, "unknown option"},
		{"unknown type", struct {
			A chan int `hcl:"a" doc:"x"`
		}{}, "chan int"},
		{"list of numbers", struct {
			A []int `hcl:"a" doc:"x"`
		}{}, "[]int"},
		{"map of numbers", struct {
			A map[string]int `hcl:"a" doc:"x"`
		}{}, "map[string]int"},
		{"pointer", struct {
			A *string `hcl:"a" doc:"x"`
		}{}, "*string"},
		{"struct that is no block", struct {
			A hidden `hcl:"a" doc:"x"`
		}{}, "hidden"},
		{"block that is no struct", struct {
			A string `hcl:"a,block" doc:"x"`
		}{}, "string"},
		{"span as block", struct {
			A config.Span `hcl:"a,block" doc:"x"`
		}{}, "Span"},
		{"block with default", struct {
			A hidden `hcl:"a,block" default:"x" doc:"x"`
		}{}, "a block cannot have a default tag"},
		{"mistake in a block", struct {
			A struct {
				B string `hcl:"b"`
			} `hcl:"a,block" doc:"x"`
		}{}, "B: no doc tag"},
		{"key twice", struct {
			A string `hcl:"a" doc:"x"`
			B string `hcl:"a" doc:"x"`
		}{}, "the key a is also that of"},
		{"key of the core", struct {
			config.Common
			A bool `hcl:"enabled" default:"true" doc:"x"`
		}{}, "the key enabled is also that of"},
		{"embedded pointer", struct{ *config.Common }{}, "embedded"},
		{"embedded and not exported", struct{ hidden }{}, "embedded"},
		{"bad default", struct {
			A int `hcl:"a" default:"x" doc:"x"`
		}{}, "default tag"},
		{"bad span", struct {
			A config.Span `hcl:"a" default:"0" doc:"x"`
		}{}, "default tag"},
		{"bad map", struct {
			A map[string]string `hcl:"a" default:"x" doc:"x"`
		}{}, "default tag"},
		{"default below min", struct {
			A int `hcl:"a" default:"1" min:"2" doc:"x"`
		}{}, "is not a whole number of at least 2"},
		{"default above max", struct {
			A time.Duration `hcl:"a" default:"1h" max:"1m" doc:"x"`
		}{}, `is not a duration of at most "1m"`},
		{"negative default", struct {
			A time.Duration `hcl:"a" default:"-1s" doc:"x"`
		}{}, "is not a duration"},
		{"default that is no choice", struct {
			A string `hcl:"a" default:"c" oneof:"a,b" doc:"x"`
		}{}, `is not one of "a", "b"`},
		{"no default among choices", struct {
			A string `hcl:"a" oneof:"a,b" doc:"x"`
		}{}, `is not one of "a", "b"`},
		{"bad min", struct {
			A int `hcl:"a" default:"1" min:"x" doc:"x"`
		}{}, "min tag"},
		{"bad max", struct {
			A int `hcl:"a" default:"1" max:"x" doc:"x"`
		}{}, "max tag"},
		{"min above max", struct {
			A int `hcl:"a" default:"1" min:"2" max:"1" doc:"x"`
		}{}, "min is more than max"},
		{"bounds of a string", struct {
			A string `hcl:"a" min:"2" doc:"x"`
		}{}, "cannot have bounds"},
		{"choices of a number", struct {
			A int `hcl:"a" default:"1" oneof:"1,2" doc:"x"`
		}{}, "cannot have a oneof tag"},
		{"endless", endless{}, "nested too deeply"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			schema, err := config.SchemaOf(test.v)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if len(schema.Fields) > 0 {
				t.Errorf("fields beside an error: %v", schema.Fields)
			}
			if config.Check(test.v) == nil {
				t.Error("Check finds nothing")
			}
		})
	}
}

// All mistakes of a struct are named at once.
func TestSchemaOfNamesAll(t *testing.T) {
	t.Parallel()
	_, err := config.SchemaOf(struct {
		A string
		B bool `hcl:"b" doc:"x"`
	}{})
	if err == nil || !strings.Contains(err.Error(), "A: ") || !strings.Contains(err.Error(), "B: ") {
		t.Errorf("error %v, want one about A and B", err)
	}
}

type contrary struct {
	config.Common
	A int `hcl:"a" default:"1" doc:"x"`
}

// Validate refuses everything.
func (c *contrary) Validate() []config.Problem {
	return []config.Problem{{Key: "a", Given: "1", Want: "nothing"}}
}

func TestCheckFindsDefaultsThatBreakRules(t *testing.T) {
	t.Parallel()
	if err := config.Check(contrary{}); err == nil || !strings.Contains(err.Error(), "a = 1: want nothing") {
		t.Errorf("error %v", err)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Span{
		"1": {Looks: 1}, "3": {Looks: 3}, "1000000": {Looks: 1_000_000},
		"30s": {Time: 30 * time.Second}, "1m": {Time: time.Minute}, "1h30m": {Time: 90 * time.Minute}, "24h": {Time: 24 * time.Hour},
		"1ns": {Time: 1},
	} {
		got, err := config.ParseSpan(text)
		if got != want || err != nil {
			t.Errorf("ParseSpan(%q) = %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("String of %q is %q", text, got)
		}
	}
	for _, text := range []string{"", "0", "0s", "-1", "-1s", "1.5", "1000001", "99999999999999999999", "s", "3 looks", " 3"} {
		if got, err := config.ParseSpan(text); err == nil || got != (config.Span{}) {
			t.Errorf("ParseSpan(%q) = %+v, %v; want an error", text, got, err)
		}
	}
}

func FuzzParseSpan(f *testing.F) {
	for _, seed := range []string{"3", "30s", "0", "-1h", "1h0m0s", "100ms", "2562047h47m16.854775807s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		span, err := config.ParseSpan(text)
		if err != nil {
			return
		}
		if span.Looks < 0 || span.Time < 0 || (span.Looks == 0) == (span.Time == 0) {
			t.Errorf("ParseSpan(%q) = %+v", text, span)
		}
		if again, err := config.ParseSpan(span.String()); err != nil || again != span {
			t.Errorf("%q is %+v, written as %q, and that is %+v, %v", text, span, span, again, err)
		}
	})
}

func TestKind(t *testing.T) {
	t.Parallel()
	for _, kind := range []config.Kind{-1, config.KindBlocks + 1} {
		if kind.String() != "unknown" || kind.HCL() != "" {
			t.Errorf("Kind(%d) is %q and %q", int(kind), kind, kind.HCL())
		}
	}
}

// Every setting of the core says what it does in sentences, and nothing in them
// breaks a table.
func TestCommonIsDocumented(t *testing.T) {
	t.Parallel()
	schema, err := config.SchemaOf(config.Common{})
	if err != nil {
		t.Fatal(err)
	}
	var walk func(fields []config.Field)
	walk = func(fields []config.Field) {
		for _, f := range fields {
			if !strings.HasSuffix(f.Doc, ".") || f.Doc[:1] != strings.ToUpper(f.Doc[:1]) || strings.ContainsAny(f.Doc, "|\n") {
				t.Errorf("%s: %q is not made of sentences", f.Key, f.Doc)
			}
			walk(f.Fields)
		}
	}
	walk(schema.Fields)
}
