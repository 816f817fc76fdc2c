package pluginclient

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

var testSchema = hclspec.NewObject(map[string]*hclspec.Spec{
	"enabled": hclspec.NewDefault(hclspec.NewAttr("enabled", "bool", false), hclspec.NewLiteral("true")),
	"period":  hclspec.NewDefault(hclspec.NewAttr("period", "string", false), hclspec.NewLiteral(`"1m"`)),
	"ignored": hclspec.NewAttr("ignored", "list(string)", false),
	"health": hclspec.NewBlock("health", false, hclspec.NewObject(map[string]*hclspec.Spec{
		"after": hclspec.NewDefault(hclspec.NewAttr("after", "number", false), hclspec.NewLiteral("3")),
	})),
})

func TestConfigReachesThePlugin(t *testing.T) {
	t.Parallel()
	defaults := map[string]any{"enabled": true, "period": "1m", "ignored": nil, "health": nil}
	with := func(changes map[string]any) map[string]any {
		all := maps.Clone(defaults)
		maps.Copy(all, changes)
		return all
	}
	for name, test := range map[string]struct {
		text string
		sets []string
		want map[string]any
	}{
		"nothing":  {want: defaults},
		"contents": {text: "enabled = false\nperiod = \"5s\"", want: with(map[string]any{"enabled": false, "period": "5s"})},
		"block": {
			text: `health { after = 9 }`,
			want: with(map[string]any{"health": map[string]any{"after": int64(9)}}),
		},
		"config block": {text: `config { ignored = ["a"] }`, want: with(map[string]any{"ignored": []any{"a"}})},
		"agent file": {
			text: `datacenter = "dc1"
				client { enabled = true }
				plugin "other" { config { colour = "red" } }
				plugin "thing" { args = ["x"]
				  config { period = "7s" } }`,
			want: with(map[string]any{"period": "7s"}),
		},
		"agent file in JSON": {
			text: `{"plugin": {"thing": {"config": {"period": "7s"}}}}`,
			want: with(map[string]any{"period": "7s"}),
		},
		"agent file without config": {text: `plugin "thing" {}`, want: defaults},
		"settings": {
			sets: []string{"enabled=false", "period=30s", `ignored=["x", "y,z"]`, "health.after=4"},
			want: with(map[string]any{
				"enabled": false, "period": "30s", "ignored": []any{"x", "y,z"}, "health": map[string]any{"after": int64(4)},
			}),
		},
		"settings over text": {
			text: "period = \"5s\"\nhealth { after = 9 }",
			sets: []string{"period=6s", "health.after=10"},
			want: with(map[string]any{"period": "6s", "health": map[string]any{"after": int64(10)}}),
		},
		"function": {text: "period = \"${lower(\"5S\")}\"", want: with(map[string]any{"period": "5s"})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := ParseConfig(test.text, "thing")
			if err != nil {
				t.Fatal(err)
			}
			if config == nil {
				config = Config{}
			}
			for _, s := range test.sets {
				if err := config.Set(s); err != nil {
					t.Fatal(err)
				}
			}
			packed, err := Encode(config, testSchema)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := base.MsgPackDecode(packed, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the plugin sees (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		sets []string
		want []string
	}{
		"not HCL":      {text: "enabled = = 1", want: []string{"reading the configuration", "1:11"}},
		"foreign key":  {text: `colour = "red"`, want: []string{`"colour"`, "known keys: enabled, health, ignored, period"}},
		"foreign set":  {sets: []string{"health.colour=red"}, want: []string{`"colour"`}},
		"wrong type":   {text: `enabled = "perhaps"`, want: []string{"bool"}},
		"no value":     {sets: []string{"enabled"}, want: []string{"want key=value"}},
		"not a block":  {text: `period = "5s"`, sets: []string{"period.x=1"}, want: []string{`"period" is not a block`}},
		"wrong label":  {text: `plugin "nvidia" {}`, want: []string{`"nvidia"`, `none for "thing"`, "skip"}},
		"wrong blocks": {text: "health {}\nhealth {}", sets: []string{"health.after=1"}, want: []string{`2 blocks "health"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := ParseConfig(test.text, "thing")
			for _, s := range test.sets {
				if err == nil {
					err = config.Set(s)
				}
			}
			if err == nil {
				_, err = Encode(config, testSchema)
			}
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestNoSchema(t *testing.T) {
	t.Parallel()
	if packed, err := Encode(nil, nil); packed != nil || err != nil {
		t.Errorf("got %v, %v", packed, err)
	}
	if _, err := Encode(Config{"a": 1}, nil); err == nil {
		t.Error("a configuration was taken without a schema")
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(`plugin "thing" { config { a = 1 } }`)
	f.Add("config {\n}")
	f.Add(`{"plugin": [{"thing": []}]}`)
	f.Add("a = [1, \"x\"]\nb { c = true }")
	f.Fuzz(func(_ *testing.T, text string) {
		config, err := ParseConfig(text, "thing")
		if err == nil {
			_, _ = Encode(config, testSchema)
		}
	})
}
