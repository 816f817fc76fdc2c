package fpga

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestConfigIsSound(t *testing.T) {
	t.Parallel()
	if err := config.Check(Config{}); err != nil {
		t.Fatal(err)
	}
	c := config.Defaults[Config]()
	if err := config.Decode(map[string]any{}, c); err != nil {
		t.Fatal(err)
	}
	if c.DFL.Mode != "port" || c.DFL.VFIO || c.DFL.UIO || c.FPGAManagers || c.AMI.ExposeMgmtNode || len(c.DFL.Programs) > 0 {
		t.Errorf("by default more is handed over than a device: %+v", c)
	}
}

// What knows a card well comes before what knows only that it is there.
func TestFamilies(t *testing.T) {
	t.Parallel()
	names := func(c *Config) string {
		var all []string
		for _, f := range c.families() {
			all = append(all, f.Name())
		}
		return strings.Join(all, " ")
	}
	if got, want := names(config.Defaults[Config]()), "dfl opae xrt ami aws zocl"; got != want {
		t.Errorf("families %q, want %q", got, want)
	}
	if got, want := names(configured()), "dfl opae xrt ami aws zocl vfio mgr"; got != want {
		t.Errorf("families %q, want %q", got, want)
	}
}

func TestConfigProblems(t *testing.T) {
	t.Parallel()
	const (
		uuid = "69528db6-eb31-577a-8c36-68f9faa081f6"
		bare = "f7df405cbd7acf7222f144b0b93acd18"
	)
	sum := strings.Repeat("0f", 32)
	program := func(change map[string]any) map[string]any {
		block := map[string]any{"interface": uuid, "afu": bare, "bitstream": "a/b.gbs", "sha256": strings.ToUpper(sum)}
		maps.Copy(block, change)
		return map[string]any{"dfl": map[string]any{"bitstream_dir": "/opt/images", "program": []any{block}}}
	}
	nodes := func(device string, paths ...any) map[string]any {
		return map[string]any{"nodes": []any{map[string]any{"device": device, "paths": paths}}}
	}
	for _, test := range []struct {
		name string
		raw  map[string]any
		says string // "" if it is right
	}{
		{"a program", program(nil), ""},
		{"nodes", nodes("mgr:platform/soc/x", "/dev/uio0", "/dev/vfio/12"), ""},
		{"region mode", map[string]any{"dfl": map[string]any{"mode": "region"}}, ""},
		{"another mode", map[string]any{"dfl": map[string]any{"mode": "af"}}, `dfl.mode = "af"`},
		{"no directory", map[string]any{"dfl": map[string]any{"program": []any{map[string]any{"interface": uuid, "afu": uuid, "bitstream": "x", "sha256": sum}}}}, "dfl.bitstream_dir"},
		{"a relative directory", map[string]any{"dfl": map[string]any{"bitstream_dir": "images"}}, "absolute path of a directory"},
		{"a program in region mode", map[string]any{"dfl": map[string]any{
			"mode": "region", "bitstream_dir": "/opt", "program": []any{map[string]any{"interface": uuid, "afu": uuid, "bitstream": "x", "sha256": sum}},
		}}, "the task programs the card"},
		{"no interface", program(map[string]any{"interface": ""}), "dfl.program[0].interface"},
		{"an AFU that is none", program(map[string]any{"afu": "nlb3"}), `dfl.program[0].afu = "nlb3"`},
		{"an AFU of zeros", program(map[string]any{"afu": strings.Repeat("0", 32)}), "dfl.program[0].afu"},
		{"no file", program(map[string]any{"bitstream": ""}), "dfl.program[0].bitstream"},
		{"a file elsewhere", program(map[string]any{"bitstream": "../b.gbs"}), "below bitstream_dir"},
		{"a file from the root", program(map[string]any{"bitstream": "/etc/shadow"}), "below bitstream_dir"},
		{"the directory itself", program(map[string]any{"bitstream": "a/.."}), "below bitstream_dir"},
		{"no sum", program(map[string]any{"sha256": "abc"}), "sha256sum"},
		{"one interface twice", map[string]any{"dfl": map[string]any{"bitstream_dir": "/opt", "program": []any{
			map[string]any{"interface": uuid, "afu": uuid, "bitstream": "x", "sha256": sum},
			map[string]any{"interface": strings.ReplaceAll(uuid, "-", ""), "afu": bare, "bitstream": "y", "sha256": sum},
		}}}, "dfl.program[1].interface"},
		{"nodes of an address", nodes("0000:3b:00.0", "/dev/uio0"), "nodes[0].device"},
		{"nodes without a device", nodes("", "/dev/uio0"), "nodes[0].device"},
		{"no node", nodes("mgr:x", "/etc/shadow"), "the path of a device node"},
		{"not quite a node", nodes("mgr:x", "/dev/../etc/shadow"), "the path of a device node"},
		{"a management node", nodes("ami:0000:c1:00.0", "/dev/ami1"), "write the card's flash"},
		{"memory", nodes("mgr:x", "/dev/mem"), "host's memory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var c Config
			err := config.Decode(test.raw, &c)
			switch {
			case test.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
				t.Errorf("error %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestNodesByDevice(t *testing.T) {
	t.Parallel()
	c := Config{Nodes: []Nodes{{"a:1", []string{"/dev/x"}}, {"b:1", nil}, {"a:1", []string{"/dev/y"}}}}
	got := c.nodesByDevice()
	if diff := cmp.Diff([]string{"/dev/x", "/dev/y"}, got["a:1"]); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if why := family.Danger("/dev/uio0"); why != "" {
		t.Errorf("/dev/uio0: %s", why)
	}
}
