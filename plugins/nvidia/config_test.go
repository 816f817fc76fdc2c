package nvidia

import (
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/config"
)

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c := config.Defaults[Config]()
	if err := config.Decode(map[string]any{}, c); err != nil {
		t.Fatal(err)
	}
	if c.MIGType != typeMIG || c.Access != accessRuntime || c.VisibleDevicesEnv != envVisibleDevices || !c.CUDAVisibleDevices {
		t.Errorf("defaults %+v", c)
	}
	if !c.Enabled || c.DRINodes || c.NVMLLibrary != "" || c.DriverCapabilities != "" {
		t.Errorf("defaults %+v", c)
	}
}

// A configuration of HashiCorp's plugin must work as it is.
func TestConfigOfHashiCorp(t *testing.T) {
	t.Parallel()
	var c Config
	err := config.Decode(map[string]any{
		"enabled":            true,
		"ignored_gpu_ids":    []any{"GPU-fef8089b", "GPU-ac81e44d"},
		"fingerprint_period": "5s",
	}, &c)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Base().IgnoredIDs; !slices.Equal(got, []string{"GPU-fef8089b", "GPU-ac81e44d"}) {
		t.Errorf("ignored %v", got)
	}
	c.IgnoredIDs = []string{"0000:3b:00.0"}
	if got := c.Base().IgnoredIDs; len(got) != 3 || len(c.Base().IgnoredIDs) != 3 {
		t.Errorf("ignored %v: want both lists, and not longer each time", got)
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		raw  map[string]any
		says string // "" if it is right
	}{
		{"numbers as numbers", map[string]any{"xid_ignore": []any{13, "31"}}, ""},
		{"capabilities", map[string]any{"driver_capabilities": "compute,utility"}, ""},
		{"all capabilities", map[string]any{"driver_capabilities": "all"}, ""},
		{"nodes", map[string]any{"extra_nodes": []any{"/dev/infiniband/uverbs0"}}, ""},
		{"graphics", map[string]any{"dri_nodes": true, "access": "devices"}, ""},
		{"mig type", map[string]any{"mig_type": "shared"}, `mig_type = "shared"`},
		{"access", map[string]any{"access": "cdi"}, `access = "cdi"`},
		{"no variable", map[string]any{"visible_devices_env": ""}, `set access = "devices"`},
		{"no name", map[string]any{"visible_devices_env": "A B"}, "the name of a variable"},
		{"taken variable", map[string]any{"visible_devices_env": "NVIDIA_DRIVER_CAPABILITIES"}, "something else"},
		{"one variable", map[string]any{"visible_devices_env": "CUDA_VISIBLE_DEVICES", "cuda_visible_devices": false}, "another variable"},
		{"capabilities that are none", map[string]any{"driver_capabilities": "compute utility"}, "joined by commas"},
		{"capabilities without a runtime", map[string]any{"driver_capabilities": "all", "access": "devices"}, `access = "runtime"`},
		{"graphics with the runtime", map[string]any{"dri_nodes": true}, `"graphics" in driver_capabilities`},
		{"no XID", map[string]any{"xid_fatal": []any{"seventy-nine"}}, "numbers of XID errors"},
		{"XID 0", map[string]any{"xid_ignore": []any{0}}, "numbers of XID errors"},
		{"both lists", map[string]any{"xid_ignore": []any{13, 31}, "xid_fatal": []any{31}}, "not in both"},
		{"channel", map[string]any{"imex_channels": []any{1 << 20}}, "from 0 to 1048575"},
		{"no node", map[string]any{"extra_nodes": []any{"/etc/shadow"}}, `"/etc/shadow"`},
		{"not quite a node", map[string]any{"extra_nodes": []any{"/dev/../etc/shadow"}}, "the path of a device node"},
		{"shared", map[string]any{"share": []map[string]any{{"devices": []any{"NVIDIA A10"}, "replicas": 4}}}, ""},
		{"shared by MPS", map[string]any{"share": []map[string]any{{"strategy": "mps"}}, "mps": map[string]any{"pipe_directory": "/run/mps"}}, ""},
		{"a strategy that is none", map[string]any{"share": []map[string]any{{"strategy": "vgpu"}}}, `share[0].strategy = "vgpu"`},
		{"never counts", map[string]any{"share": []map[string]any{{}, {"devices": []any{"a"}}}}, "last share block"},
		{"no directory", map[string]any{"mps": map[string]any{"pipe_directory": "mps"}}, "mps.pipe_directory"},
		{"limits without an order", map[string]any{"share": []map[string]any{{"strategy": "mps"}}, "cuda_visible_devices": false, "visible_devices_env": "X"}, "mps.limit_memory"},
		{"empty ID", map[string]any{"ignored_gpu_ids": []any{" "}}, "ignored_gpu_ids"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c Config
			err := config.Decode(tt.raw, &c)
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
