package describe_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/describe"
)

func TestTables(t *testing.T) {
	t.Parallel()
	heat := &describe.Stat{Name: "Heat", Unit: "C", Description: "How warm | how cold", On: "GPU"}
	memory := &describe.Attribute{Name: "memory", Kind: core.KindInt, Unit: core.MiB, Description: "Size.", On: "GPU"}
	for want, got := range map[string]string{
		"| Heat | C | GPU | How warm \\| how cold |\n": describe.Stats([]*describe.Stat{heat}),
		"| `memory` | int | MiB | GPU | Size. |\n":     describe.Attributes([]*describe.Attribute{memory}),
	} {
		if !strings.HasSuffix(got, "|\n"+want) {
			t.Errorf("got\n%swant at its end\n%s", got, want)
		}
	}
	if r := heat.OutOf(core.Count(1), core.Unknown()); r.Limit.Kind() != core.KindNone || r.Name != "Heat" || r.Unit != "C" {
		t.Errorf("a reading out of an unknown limit: %+v", r)
	}
	if r := heat.OutOf(core.Count(1), core.Count(2)); r.Limit != core.Count(2) {
		t.Errorf("a reading out of a limit: %+v", r)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")
	page := describe.Page{"a": func() (string, error) { return "new\n", nil }}
	text := "before\n<!-- begin: a -->\nold\n<!-- end: a -->\nafter\n"
	want := "before\n<!-- begin: a -->\n\nnew\n\n<!-- end: a -->\nafter\n"
	got, err := page.Fill(text)
	if err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	if again, err := page.Fill(got); err != nil || again != got {
		t.Errorf("filled again: %q, %v", again, err)
	}
	for _, broken := range []string{"", "<!-- begin: a -->\n"} {
		if _, err := page.Fill(broken); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
	page["a"] = func() (string, error) { return "", failure }
	if _, err := page.Fill(text); !errors.Is(err, failure) {
		t.Errorf("error %v", err)
	}
}
