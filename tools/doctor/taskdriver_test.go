package doctor

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

// TestOverrides: a task of the exec driver opens nodes whatever their mode, unless
// the client or the task gives that away.
func TestOverrides(t *testing.T) {
	t.Parallel()
	type config = map[string]any
	for name, test := range map[string]struct {
		client, task config
		want         bool
	}{
		"by default":                       {want: true},
		"the client allows it":             {client: config{"allow_caps": []any{"chown", "dac_override"}}, want: true},
		"the client allows all":            {client: config{"allow_caps": []any{"all"}}, want: true},
		"the client does not":              {client: config{"allow_caps": []any{"chown"}}},
		"the task drops it":                {task: config{"cap_drop": []any{"CAP_DAC_OVERRIDE"}}},
		"the task drops all":               {task: config{"cap_drop": []any{"all"}}},
		"the task drops all but this":      {task: config{"cap_drop": []any{"ALL"}, "cap_add": []any{"dac_override"}}, want: true},
		"the task adds what is forbidden":  {client: config{"allow_caps": []any{}}, task: config{"cap_add": []any{"dac_override"}}},
		"the task drops something else":    {task: config{"cap_drop": []any{"mknod"}}, want: true},
		"what was written is of no use":    {task: config{"cap_drop": "all"}, want: true},
		"an entry that is no capability":   {client: config{"allow_caps": []any{7, nil}}},
		"the client's block says nothing":  {client: config{}, want: true},
		"something else in client's block": {client: config{"no_pivot_root": true}, want: true},
	} {
		c := agentConfig{}
		if test.client != nil {
			c.blocks = []*block{{name: "exec", config: test.client}}
		}
		p := &placement{examination: &examination{config: c}}
		if got := p.overrides(&api.Task{Driver: "exec", Config: test.task}); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
