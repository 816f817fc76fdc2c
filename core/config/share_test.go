package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/config"
)

type plain struct{ config.Common }

// own has a share block of its own in the place of the core's.
type own struct {
	config.Common
	Share []ownShare `hcl:"share,block" doc:"Devices to share, with a way to do it."`
}

type ownShare struct {
	config.Share
	Strategy string `hcl:"strategy" default:"turns" oneof:"turns,crowd" doc:"How they are shared."`
}

func (o *own) ShareRules() []config.Share {
	var all []config.Share
	for _, s := range o.Share {
		rule := s.Share
		rule.Strategy = s.Strategy
		all = append(all, rule)
	}
	return all
}

func TestShareBlocks(t *testing.T) {
	t.Parallel()
	type block = map[string]any
	tests := map[string]struct {
		blocks []block
		wrong  []string // what the error holds; none means that all is well
	}{
		"a model":        {blocks: []block{{"devices": []any{"Acme One"}, "replicas": 4}}},
		"all the rest":   {blocks: []block{{"devices": []any{"Acme One"}}, {}}},
		"one instance":   {blocks: []block{{"replicas": 1}}, wrong: []string{"share[0].replicas", "from 2 to 128"}},
		"no name":        {blocks: []block{{"devices": []any{" "}}}, wrong: []string{"share[0].devices", "place 1"}},
		"a wrong type":   {blocks: []block{{"type": "GPU/share"}}, wrong: []string{"share[0].type", "gpu-share"}},
		"a wrong suffix": {blocks: []block{{"name_suffix": "-a\n"}}, wrong: []string{"share[0].name_suffix"}},
		"never counts":   {blocks: []block{{}, {"devices": []any{"a"}}}, wrong: []string{"share[0].devices", "last share block"}},
		"named twice":    {blocks: []block{{"devices": []any{"a"}}, {"devices": []any{"A"}}}, wrong: []string{"share[1].devices", "share[0] does not name"}},
		"an unknown key": {blocks: []block{{"replica": 3}}, wrong: []string{"share[0].replica", "did you mean replicas"}},
		"all wrong at once": {
			blocks: []block{{"replicas": 500, "type": "?"}, {"devices": []any{""}}},
			wrong:  []string{"share[0].replicas", "share[0].type", "share[1].devices", "share[0].devices"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := &plain{}
			err := config.Decode(map[string]any{"share": test.blocks}, cfg)
			if len(test.wrong) == 0 {
				if err != nil || len(cfg.ShareRules()) != len(test.blocks) {
					t.Fatalf("%d rules, error %v", len(cfg.ShareRules()), err)
				}
				return
			}
			if _, ok := errors.AsType[*config.Error](err); !ok {
				t.Fatalf("error %v, want a *config.Error", err)
			}
			for _, words := range test.wrong {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%v\ndoes not say %q", err, words)
				}
			}
		})
	}
}

// A struct's own block takes the place of the embedded one with the same key, in
// the schema as in the rules.
func TestOwnShareBlock(t *testing.T) {
	t.Parallel()
	if err := config.Check(own{}); err != nil {
		t.Fatal(err)
	}
	schema, err := config.SchemaOf(own{})
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, f := range schema.Fields {
		if f.Key == "share" {
			blocks++
			if last := f.Fields[len(f.Fields)-1].Key; last != "strategy" {
				t.Errorf("the last setting of the block is %s", last)
			}
		}
	}
	if blocks != 1 {
		t.Errorf("%d share blocks in the schema", blocks)
	}
	cfg := &own{}
	err = config.Decode(map[string]any{"share": []map[string]any{{"replicas": 3, "strategy": "crowd"}, {}}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	rules := config.Config(cfg).ShareRules()
	if len(rules) != 2 || rules[0].Replicas != 3 || rules[0].Strategy != "crowd" || rules[1].Strategy != "turns" {
		t.Errorf("rules %+v", rules)
	}
}
