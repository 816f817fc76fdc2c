package doctor

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

// TestConstraint judges constraints as Nomad's scheduler does.
func TestConstraint(t *testing.T) {
	t.Parallel()
	g := &api.NodeDeviceResource{
		Vendor: "nvidia", Type: "gpu", Name: "Tesla T4",
		Instances: []*api.NodeDevice{{ID: "GPU-a"}, {ID: "GPU-b"}},
		Attributes: map[string]*api.Attribute{
			"memory":  {IntVal: new(int64(15360)), Unit: "MiB"},
			"clock":   {FloatVal: new(1.5), Unit: "GHz"},
			"cores":   {IntVal: new(int64(2560))},
			"driver":  {StringVal: new("580.82.07")},
			"ecc":     {BoolVal: new(true)},
			"numbers": {StringVal: new("0700")},
		},
	}
	for _, test := range []struct {
		left, operator, right string
		want                  outcome
	}{
		{"${device.attr.memory}", ">=", "15 GiB", holds},
		{"${device.attr.memory}", ">", "15 GiB", fails},
		{"${device.attr.memory}", "=", "15360 MiB", holds},
		{"${device.attr.memory}", ">=", "15", unlike},
		{"${device.attr.memory}", ">=", "1 GHz", unlike},
		{"${device.attr.clock}", "<", "1600 MHz", holds},
		{"${device.attr.cores}", "!=", "2560", fails},
		{"${device.attr.cores}", "not", "2561", holds},
		{"${device.attr.cores}", "<=", "2560", holds},
		{"${device.attr.cores}", "<", "2560", fails},
		{"${device.attr.nothing}", "=", "1", lacking},
		{"${device.attr.nothing}", "!=", "1", holds},
		{"${device.attr.memory}", "is_set", "", holds},
		{"${device.attr.nothing}", "is_set", "", lacking},
		{"${device.attr.nothing}", "is_not_set", "", holds},
		{"${device.attr.memory}", "is_not_set", "", fails},
		{"${device.attr.ecc}", "is", "true", holds},
		{"${device.attr.ecc}", "==", "false", fails},
		{"${device.attr.numbers}", "=", "0700", unlike},
		{"${device.attr.driver}", "version", ">= 550", holds},
		{"${device.attr.driver}", "version", "< 550", fails},
		{"${device.attr.driver}", "version", "550.54", unlike},
		{"${device.attr.driver}", "semver", ">= 550.0.0", holds},
		{"${device.attr.cores}", "version", "> 2000", holds},
		{"${device.attr.clock}", "version", "> 1", unlike},
		{"${device.attr.driver}", "regexp", "^580", holds},
		{"${device.attr.driver}", "regexp", "(", fails},
		{"${device.attr.cores}", "regexp", "^2", unlike},
		{"${device.model}", "=", "Tesla T4", holds},
		{"${device.vendor}", "=", "amd", fails},
		{"${device.type}", "=", "gpu", holds},
		{"${device.ids}", "set_contains", "GPU-b", holds},
		{"${device.ids}", "set_contains_all", "GPU-a, GPU-c", fails},
		{"${device.ids}", "set_contains_any", "GPU-a,GPU-c", holds},
		{"${device.ids}", "set_contains_any", "GPU-c", fails},
		{"Tesla T4", "", "${device.model}", holds},
		{"${node.class}", "=", "gpu", lacking},
		{"${device.model}", "likes", "gpu", fails},
	} {
		v := constraint{test.left, test.operator, test.right}.on(g)
		if v.outcome != test.want {
			t.Errorf("%s %s %s: %d, want %d", test.left, test.operator, test.right, v.outcome, test.want)
		}
		if v.String() == "" {
			t.Errorf("%s %s %s: nothing is said", test.left, test.operator, test.right)
		}
	}
}

// TestMended holds what is offered in the place of a constraint that fails: it
// has to hold.
func TestMended(t *testing.T) {
	t.Parallel()
	g := &api.NodeDeviceResource{Name: "Tesla T4", Attributes: map[string]*api.Attribute{
		"memory": {IntVal: new(int64(15360)), Unit: "MiB"},
		"driver": {StringVal: new("580.82.07")},
		"serial": {StringVal: new("true")},
	}}
	for _, c := range []constraint{
		{"${device.attr.memory}", ">", "40 GiB"},
		{"${device.attr.memory}", "<", "1 GiB"},
		{"${device.attr.memory}", "=", "1 GiB"},
		{"${device.attr.memory}", ">=", "1000"},
		{"${device.attr.driver}", ">=", "550"},
		{"${device.attr.driver}", "version", ">= 600"},
		{"${device.attr.driver}", "regexp", "^600"},
		{"${device.attr.serial}", "=", "true"},
		{"${device.model}", "=", "H100"},
	} {
		v := c.on(g)
		if v.outcome == holds {
			t.Errorf("%v holds", c)
		}
		mended := v.replacement()
		if mended == nil || mended.on(g).outcome != holds {
			t.Errorf("%v is mended by %v", c, mended)
		}
	}
	for _, c := range []constraint{{"${device.attr.memory}", "!=", "15360 MiB"}, {"${device.attr.none}", "=", "1"}, {"${device.ids}", "set_contains", "GPU-a"}} {
		if mended := c.on(g).replacement(); mended != nil {
			t.Errorf("%v is mended by %v", c, mended)
		}
	}
}
