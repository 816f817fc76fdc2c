package amd

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

func TestPluginMakesVendor(t *testing.T) {
	t.Parallel()
	d := Plugin()
	host := sysfs.New(t.TempDir())
	defer host.Close() //nolint:errcheck // nothing was written
	v := d.New(d.Defaults(), plugin.Env{Log: hclog.NewNullLogger(), Host: host})
	if _, ok := v.(core.Watcher); !ok || d.Name != "nomad-device-amd" {
		t.Errorf("%T of %s", v, d.Name)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c := config.Defaults[Config]()
	if err := config.Decode(map[string]any{}, c); err != nil {
		t.Fatal(err)
	}
	if !c.Enabled || !c.APUs || !c.RequireCompute || c.PartitionType != typePartition || c.GroupBy != groupByModel || c.Access != accessDevices ||
		c.ROCRVisibleDevices != visibleUUID || c.CardNode || c.StrictECC || c.UEThreshold != 1 || c.UERecoverAfter != 0 || c.RASPeriod != 10*time.Second || c.KFDEvents {
		t.Errorf("defaults %+v", c)
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		raw  map[string]any
		says string // "" if it is right
	}{
		{"everything", map[string]any{
			"apus": false, "require_compute": false, "partition_type": "gpu", "group_by": "gfx", "access": "runtime", "rocr_visible_devices": "none",
			"card_node": true, "strict_ecc": true, "ue_threshold": 3, "ue_recover_after": "1h", "ras_period": "1m", "kfd_events": true,
		}, ""},
		{"type", map[string]any{"partition_type": "share"}, `partition_type = "share"`},
		{"group", map[string]any{"group_by": "slot"}, `group_by = "slot"`},
		{"access", map[string]any{"access": "cdi"}, `access = "cdi"`},
		{"list", map[string]any{"rocr_visible_devices": "all"}, `rocr_visible_devices = "all"`},
		{"threshold", map[string]any{"ue_threshold": 0}, "ue_threshold"},
		{"period", map[string]any{"ras_period": "1ms"}, "ras_period"},
		{"recovery", map[string]any{"ue_recover_after": "-1s"}, "ue_recover_after"},
		{"unknown", map[string]any{"visible_devices": true}, "visible_devices"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := config.Decode(tt.raw, config.Defaults[Config]())
			switch {
			case tt.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
