package config_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mode is a type of its own, as vendors have for choices.
type mode string

// vendor has a setting of every kind.
type vendor struct {
	config.Common

	Library  string            `hcl:"library" doc:"A text."`
	Access   mode              `hcl:"access" default:"runtime" oneof:"runtime,devices" doc:"A choice | of two."`
	Shares   int               `hcl:"shares" default:"1" min:"1" max:"64" doc:"A whole number."`
	Offset   int64             `hcl:"offset" default:"-5" doc:"A whole number without bounds."`
	Factor   float64           `hcl:"factor" default:"0.5" min:"0" doc:"A number."`
	Pause    time.Duration     `hcl:"pause" default:"0s" doc:"A duration without bounds."`
	Modes    []mode            `hcl:"modes" default:"a,b" oneof:"a,b,c" doc:"A list of choices."`
	Labels   map[string]string `hcl:"labels" default:"k=v,l=${w}" doc:"A map."`
	Program  []program         `hcl:"program,block" doc:"Blocks."`
	Inner    *int              `hcl:"-"`
	Ceremony ceremony          `hcl:"ceremony,block" doc:"A block with rules."`
}

type program struct {
	Path string      `hcl:"path" default:"/p" doc:"A text in a block."`
	Wait config.Span `hcl:"wait" default:"2" doc:"A span in a block."`
}

// Validate wants a path that begins with a slash.
func (p *program) Validate() []config.Problem {
	if strings.HasPrefix(p.Path, "/") {
		return nil
	}
	return []config.Problem{{Key: "path", Given: p.Path, Want: "a slash first"}}
}

type ceremony struct {
	First  int `hcl:"first" default:"1" doc:"One number."`
	Second int `hcl:"second" default:"2" doc:"Another number."`
}

// Validate wants the first to be less than the second.
func (c *ceremony) Validate() []config.Problem {
	if c.First < c.Second {
		return nil
	}
	return []config.Problem{{Key: "first", With: "second", Given: "it", Want: "less than second"}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, v := range []any{config.Common{}, &config.Common{}, vendor{}, (*vendor)(nil)} {
		if err := config.Check(v); err != nil {
			t.Errorf("Check(%T): %v", v, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := &vendor{
		Common: config.Common{
			Enabled:           true,
			FingerprintPeriod: time.Minute,
			StatsTimeout:      time.Second,
			DriverTimeout:     5 * time.Second,
			HostRoot:          "/",
			Health:            config.Health{UnhealthyAfter: config.Span{Looks: 3}, RecoverAfter: config.Span{Time: 30 * time.Second}},
		},
		Access: "runtime", Shares: 1, Offset: -5, Factor: 0.5,
		Modes: []mode{"a", "b"}, Labels: map[string]string{"k": "v", "l": "${w}"},
		Ceremony: ceremony{First: 1, Second: 2},
	}
	got := config.Defaults[vendor]()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if base := config.Config(got).Base(); base != &got.Common {
		t.Error("Base is not the embedded Common")
	}
	// No two configurations share a list or a map.
	got.Modes[0], got.Labels["k"] = "c", "changed"
	if diff := cmp.Diff(want, config.Defaults[vendor]()); diff != "" {
		t.Errorf("after another one was changed, -want +got:\n%s", diff)
	}
}

func TestDefaultsPanicOnWrongTags(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	config.Defaults[struct {
		A bool `hcl:"a" doc:"No default."`
	}]()
}

func TestTable(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]any{"common.md": config.Common{}, "vendor.md": &vendor{}} {
		got, err := config.Table(v)
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s, -want +got (go test -update writes it anew):\n%s", golden, diff)
		}
		for line := range strings.Lines(got) {
			if cells := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); cells != 6 {
				t.Errorf("%s: a row of %d cells: %s", golden, cells-1, line)
			}
		}
	}
	if table, err := config.Table(3); err == nil {
		t.Errorf("Table(3) = %q, want an error", table)
	}
}
