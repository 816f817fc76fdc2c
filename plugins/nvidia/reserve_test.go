package nvidia

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
)

// node is a machine with two GPUs, the first with one MIG instance. Files stand
// in for device nodes.
const node = `/dev/nvidiactl	x
/dev/nvidia0	x
/dev/nvidia1	x
/dev/nvidia-uvm	x
/dev/nvidia-caps/nvidia-cap12	x
/dev/nvidia-caps/nvidia-cap13	x
/dev/nvidia-caps-imex-channels/channel3	x
/proc/driver/nvidia-caps/mig-minors	config 1\nmonitor 2\ngpu0/gi1/access 12\ngpu0/gi1/ci0/access 13\ngpu0/gi2/access 21\ngpu0/gi2/ci0/access 22\n
/sys/bus/pci/devices/0000:3b:00.0/drm/card1/dev	x
/sys/bus/pci/devices/0000:3b:00.0/drm/renderD129/dev	x
/sys/bus/pci/devices/0000:3b:00.0/drm/controlD65/dev	x
`

func TestGrant(t *testing.T) {
	t.Parallel()
	gpu := claim{uuid: "GPU-0a1b", pci: "0000:3b:00.0", minor: 1}
	part := claim{uuid: "MIG-2c3d", pci: "0000:1b:00.0", minor: 0, mig: true, gi: 1, ci: 0}
	rw := func(optional bool, paths ...string) []core.Node {
		var nodes []core.Node
		for _, p := range paths {
			nodes = append(nodes, core.Node{Path: p, Permissions: "rw", Optional: optional})
		}
		return nodes
	}
	always := rw(true, "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")
	devices := func(c *Config) { c.Access = accessDevices }
	for _, tt := range []struct {
		name   string
		change func(*Config)
		device claim
		want   core.Grant
	}{
		{
			"runtime", func(*Config) {}, gpu,
			core.Grant{
				Env:   map[string]string{"NVIDIA_DEVICE_GPU_0A1B": "GPU-0a1b"},
				Lists: map[string][]string{"NVIDIA_VISIBLE_DEVICES": {"GPU-0a1b"}, "CUDA_VISIBLE_DEVICES": {"GPU-0a1b"}},
			},
		},
		{
			"runtime, everything set", func(c *Config) {
				c.VisibleDevicesEnv, c.CUDAVisibleDevices = "SITE_GPUS", false
				c.DriverCapabilities, c.IMEXChannels, c.ExtraNodes = "compute,utility", []string{"0", "3"}, []string{"/dev/gdrdrv"}
			}, part,
			core.Grant{
				Env:   map[string]string{"NVIDIA_DEVICE_MIG_2C3D": "MIG-2c3d", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
				Lists: map[string][]string{"SITE_GPUS": {"MIG-2c3d"}, "NVIDIA_IMEX_CHANNELS": {"0", "3"}},
				Nodes: rw(false, "/dev/gdrdrv"),
			},
		},
		{
			"devices", devices, gpu,
			core.Grant{
				Env:   map[string]string{"NVIDIA_DEVICE_GPU_0A1B": "GPU-0a1b"},
				Lists: map[string][]string{"CUDA_VISIBLE_DEVICES": {"GPU-0a1b"}},
				Nodes: slices.Concat(rw(false, "/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia-uvm"), always),
			},
		},
		{
			"devices, MIG", devices, part,
			core.Grant{
				Env:   map[string]string{"NVIDIA_DEVICE_MIG_2C3D": "MIG-2c3d"},
				Lists: map[string][]string{"CUDA_VISIBLE_DEVICES": {"MIG-2c3d"}},
				Nodes: slices.Concat(
					rw(false, "/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"),
					always,
				),
			},
		},
		{
			"devices, everything set", func(c *Config) {
				c.Access, c.DRINodes, c.IMEXChannels = accessDevices, true, []string{"3"}
			}, gpu,
			core.Grant{
				Env:   map[string]string{"NVIDIA_DEVICE_GPU_0A1B": "GPU-0a1b"},
				Lists: map[string][]string{"CUDA_VISIBLE_DEVICES": {"GPU-0a1b"}},
				Nodes: slices.Concat(
					rw(false, "/dev/nvidiactl", "/dev/nvidia1", "/dev/nvidia-uvm", "/dev/nvidia-caps-imex-channels/channel3"),
					always, rw(false, "/dev/dri/card1", "/dev/dri/renderD129"),
				),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config.Defaults[Config]()
			tt.change(c)
			got, err := c.grant(host(t, node), tt.device)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("grant (-want +got):\n%s", diff)
			}
			for _, problem := range c.Validate() {
				t.Errorf("the configuration is refused: %v", problem)
			}
		})
	}
}

func TestGrantErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		drop   string // lines of the machine that are not there
		change func(*Config)
		device claim
		says   string
	}{
		{"no control node", "/dev/nvidiactl", nil, claim{minor: 1}, "/dev/nvidiactl does not exist; run nvidia-smi"},
		{"no GPU node", "", nil, claim{minor: 7}, "/dev/nvidia7 does not exist; run nvidia-modprobe -c 7"},
		{"module not loaded", "/dev/nvidia-uvm", nil, claim{minor: 1}, "nvidia-modprobe -u"},
		{"unknown minor number", "", nil, claim{minor: -1}, `access = "runtime"`},
		{
			"the instance's node was never made", "", nil,
			claim{mig: true, gi: 2},
			"nvidia-cap21 does not exist; run nvidia-modprobe -f /proc/driver/nvidia/capabilities/gpu0/mig/gi2/access",
		},
		{"the layout changed", "", nil, claim{mig: true, gi: 3}, `no entry "gpu0/gi3/access"`},
		{"no list of capabilities", "/proc", nil, claim{mig: true, gi: 1}, "capability nodes of the MIG instance"},
		{
			"no IMEX channel", "", func(c *Config) { c.IMEXChannels = []string{"4"} },
			claim{minor: 1},
			"channel4 does not exist; run nvidia-modprobe -i 4",
		},
		{"no graphics", "/sys", func(c *Config) { c.DRINodes = true }, claim{minor: 1, pci: "0000:3b:00.0"}, "nvidia-drm"},
		{"no PCI address", "", func(c *Config) { c.DRINodes = true }, claim{minor: 1}, "dri_nodes = false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var lines []string
			for line := range strings.Lines(node) {
				path, _, _ := strings.Cut(line, "\t")
				if tt.drop == "" || path != tt.drop && !strings.HasPrefix(path, tt.drop+"/") {
					lines = append(lines, line)
				}
			}
			c := config.Defaults[Config]()
			c.Access = accessDevices
			if tt.change != nil {
				tt.change(c)
			}
			_, err := c.grant(host(t, strings.Join(lines, "")), tt.device)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that says %q", err, tt.says)
			}
		})
	}
}

// Drivers list every instance that there could be on any number of GPUs.
func TestGrantWithALongList(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	minor := 3
	add := func(name migCap) {
		fmt.Fprintf(&list, `%s %d\n`, name, minor)
		minor++
	}
	for gpu := range 32 {
		for gi := range 15 {
			add(gpuInstanceCap(gpu, gi))
			for ci := range 8 {
				add(computeInstanceCap(gpu, gi, ci))
			}
		}
	}
	machine := "/dev/nvidiactl\tx\n/dev/nvidia31\tx\n/dev/nvidia-uvm\tx\n" +
		"/dev/nvidia-caps/nvidia-cap4314\tx\n/dev/nvidia-caps/nvidia-cap4322\tx\n" +
		migMinorsPath + "\t" + list.String() + "\n"
	c := config.Defaults[Config]()
	c.Access = accessDevices
	got, err := c.grant(host(t, machine), claim{uuid: "MIG-1", minor: 31, mig: true, gi: 14, ci: 7})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(got.Nodes, func(n core.Node) bool { return n.Path == "/dev/nvidia-caps/nvidia-cap4322" }) {
		t.Errorf("nodes %v", got.Nodes)
	}
}

func TestSlug(t *testing.T) {
	t.Parallel()
	for uuid, want := range map[string]string{
		"GPU-5c2b-aF":     "GPU_5C2B_AF",
		"MIG-GPU-1a/12/0": "MIG_GPU_1A_12_0",
		"${evil}=\n":      "__EVIL___",
	} {
		if got := slug(uuid); got != want {
			t.Errorf("slug(%q) = %q, want %q", uuid, got, want)
		}
	}
}
