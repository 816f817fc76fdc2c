package docs

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// shown is a block for a shell that a page shows.
type shown struct {
	begins string // its first line
	// parsed says why the block is not run here; if it is empty the block is run.
	// Every command in it is looked up in any case.
	parsed string
	agent  bool                     // whether it asks a Nomad agent
	then   string                   // what is run after it, in the same shell
	prints []string                 // what it must print
	before func(*testing.T, *place) // what must be there first
}

// Why blocks are not run here.
const (
	asRoot   = "it changes the machine"
	aDriver  = "it needs a driver and its hardware"
	asBefore = "docs/operating.md runs the same"
	checks   = "it takes a minute; the tests of tools/cmd/devctl run devctl check"
	aJournal = "it asks systemd"
	aRelease = "it needs the files of a release; make release-test has them"
	theGate  = "it takes minutes, and the gate does the same with make"
	minutes  = "it takes minutes, and make has a target for it"
)

// table has the blocks for a shell of each page, in their order.
var table = map[string][]shown{
	"README.md": {
		{begins: "unzip nomad-device-nvidia_X.Y.Z_linux_amd64.zip nomad-device-nvidia", parsed: aRelease},
		{begins: "nomad node status -self", agent: true, prints: []string{"nvidia/gpu/NVIDIA H100 80GB HBM3[GPU-", "0 problems"}},
		{begins: "make demo", parsed: minutes},
		{begins: "make build", prints: []string{"8xh100", "could not be replaced", "7 healthy"}},
		{begins: "make test", parsed: minutes},
	},
	"docs/devctl.md": {
		{begins: ".bin/devctl simulate start 4xmi210 --dir demo > demo.hcl"},
		{begins: ".bin/devctl inspect .bin/nomad-device-amd --config demo.hcl", prints: []string{"4 devices, 4 healthy"}},
		{begins: ".bin/devctl inspect .bin/nomad-device-amd --config demo.hcl --stats --reserve-all", prints: []string{"ROCR_VISIBLE_DEVICES"}},
		{begins: ".bin/devctl simulate set demo gpu.0.utilization.gpu=87 gpu.0.temperature=81", prints: []string{"87%", "81°C"}},
		{begins: ".bin/devctl check .bin/nomad-device-amd --simulator demo --run C12", prints: []string{"0 failed"}},
		{begins: ".bin/devctl simulate list", prints: []string{"8xmi300x"}},
		{begins: ".bin/devctl simulate stop demo && rm demo.hcl"},
	},
	"docs/metrics.md": {
		{begins: "curl http://127.0.0.1:9500/metrics", before: serve, prints: []string{"nomad_device_healthy{", "nomad_device_plugin_info{"}},
	},
	"docs/migrating.md": {
		{begins: "nomad node status -self -verbose > before.txt", agent: true},
		{begins: "install -m 0755 nomad-device-nvidia /opt/nomad/plugins/nomad-device-nvidia.new", before: node},
		{begins: "devctl doctor --agent-config /etc/nomad.d", prints: []string{"0 problems"}},
		{begins: "systemctl restart nomad", parsed: asRoot},
	},
	"docs/operating.md": {
		{begins: "apt-get install ./nomad-devices-nvidia_X.Y.Z_amd64.deb", parsed: aRelease},
		{begins: "devctl doctor --agent-config /etc/nomad.d", before: node, prints: []string{"0 problems"}},
		{begins: "nomad node status -self", agent: true, prints: []string{"Device Resource Utilization", "Device Group Attributes", "Device Stats"}},
		{begins: "nomad node status -self -json | jq '.NodeResources.Devices[].Instances[] | {ID, Healthy, HealthDescription}'", agent: true, prints: []string{`"Healthy": true`}},
		{
			begins: "devctl inspect /opt/nomad/plugins/nomad-device-nvidia --config /etc/nomad.d/nvidia.hcl",
			prints: []string{"8 healthy", "NVIDIA_VISIBLE_DEVICES", "LOAD"},
		},
		{begins: "devctl top --nomad --once", agent: true, prints: []string{"NVIDIA H100 80GB HBM3"}},
		{begins: "journalctl -u nomad -g 'nomad-device-'", parsed: aJournal},
		{begins: "install -m 0755 nomad-device-nvidia /opt/nomad/plugins/nomad-device-nvidia.new", parsed: asRoot},
		{begins: "nomad node drain -enable -self -yes", agent: true, prints: []string{"drain strategy set"}},
		{begins: "nomad node drain -disable -self -yes", agent: true},
		{begins: "nomad node drain -enable -self -yes", parsed: aDriver},
		{begins: "nomad node drain -enable -self -yes", parsed: aDriver},
	},
	"docs/conformance.md": {
		{begins: "devctl check ./nomad-device-x", parsed: checks},
		{begins: "devctl simulate start 8xh100 --dir machine", parsed: checks},
	},
	"docs/performance.md": {
		{begins: "make bench                                   # about five minutes", parsed: minutes},
		{begins: "go test -run '^$' -bench . ./plugins/amd", parsed: minutes},
	},
	"docs/plugins/amd.md": {
		{begins: "echo CPX > /sys/bus/pci/devices/0000:05:00.0/current_compute_partition", parsed: aDriver},
		{begins: "nomad node status -self -json | jq '.NodeResources.Devices[].Instances[] | {ID, Healthy, HealthDescription}'", parsed: asBefore},
		{begins: `export ROCR_VISIBLE_DEVICES=$(env | sed -n 's/^AMD_GPU_GPU_\([0-9A-F]*\)=.*/GPU-\1/p' | tr 'A-F' 'a-f' | sort | paste -sd, -)`, before: twoGPUs, then: `echo "$ROCR_VISIBLE_DEVICES"`, prints: []string{"GPU-1b,GPU-3a\n"}},
	},
	"docs/plugins/fpga.md":   {{begins: "nomad node status -self -json | jq '.NodeResources.Devices[].Instances[] | {ID, Healthy, HealthDescription}'", parsed: asBefore}},
	"docs/plugins/nvidia.md": {{begins: "nomad node status -self -json | jq '.NodeResources.Devices[].Instances[] | {ID, Healthy, HealthDescription}'", parsed: asBefore}},
	"docs/releasing.md": {
		{begins: "apt-get install gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross", parsed: asRoot},
		{begins: "build/release/tag X.Y.Z", parsed: "it tags the commit; tools/release runs it on a repository of its own"},
		{begins: "make release-tools", parsed: minutes},
		{begins: "gpg --verify nomad-devices_X.Y.Z_SHA256SUMS.sig nomad-devices_X.Y.Z_SHA256SUMS", parsed: aRelease},
		{begins: "git checkout vX.Y.Z", parsed: aRelease},
	},
	"docs/troubleshooting.md": {
		{begins: "devctl doctor --nomad --job job.nomad.hcl", before: node, agent: true, prints: []string{"0 problems"}},
		{begins: "journalctl -u nomad -b -g 'nomad-device-|plugin folder|plugin_dir'", parsed: aJournal},
		{begins: "devctl doctor --agent-config /etc/nomad.d", prints: []string{"0 problems"}},
		{begins: "systemctl restart nomad", parsed: asRoot},
		{begins: "journalctl -u nomad -g 'metrics'", parsed: aJournal},
		{begins: "devctl doctor --agent-config /etc/nomad.d --job job.nomad.hcl", prints: []string{"0 problems"}},
		{begins: "nvidia-ctk runtime configure --runtime=docker", parsed: asRoot},
		{begins: "export CUDA_VISIBLE_DEVICES=$(env | sed -n 's/^NVIDIA_DEVICE_[^=]*=//p' | sort | paste -sd, -)", before: twoGPUs, prints: []string{"GPU-a,GPU-b\n"}},
		{begins: "stat -c %g /dev/kfd", parsed: aDriver},
		{begins: "nomad alloc stop <allocation>", parsed: "it needs an allocation that was restarted"},
	},
	"plugins/amd/README.md":           {{begins: "CGO_ENABLED=0 go build ./cmd/nomad-device-amd", parsed: theGate}},
	"plugins/fpga/README.md":          {{begins: "CGO_ENABLED=0 go build ./cmd/nomad-device-fpga", parsed: theGate}},
	"plugins/nvidia/README.md":        {{begins: "go build ./cmd/nomad-device-nvidia", parsed: theGate}},
	"tools/simulate/amd/README.md":    {{begins: "$ devctl simulate start 8xmi300x --dir demo", prints: []string{"host_root = "}}},
	"tools/simulate/fpga/README.md":   {{begins: "$ devctl simulate start mixed-fpga --dir demo", prints: []string{"host_root = "}}},
	"tools/simulate/nvidia/README.md": {{begins: "$ devctl simulate start 8xh100 --dir demo", prints: []string{"nvml_library = "}}},
}

// elsewhere are the pages whose blocks another test runs, from the first to the
// last, with its file.
var elsewhere = map[string]string{
	"docs/writing-a-plugin.md": "tools/outside/tutorial_test.go",
}

// serve runs the NVIDIA plugin as the page says, on a port that is free.
func serve(t *testing.T, p *place) {
	t.Helper()
	ctx := t.Context()
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	p.replace = append(p.replace, "127.0.0.1:9500", address)

	machine, err := p.run(ctx, "devctl simulate start 2xt4 --dir machine", "sh")
	if err != nil {
		t.Fatalf("%v: %s", err, machine)
	}
	config, err := pluginclient.ParseConfig(machine+"\nmetrics {\n address = \""+address+"\"\n}\n", rig.PluginName)
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := pluginclient.Start(ctx, p.plugins[rig.PluginName], pluginclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(plugin.Close)
	if err := plugin.Configure(ctx, config); err != nil {
		t.Fatal(err)
	}
	streams, end := context.WithCancel(ctx)
	t.Cleanup(end)
	devices := make(chan error, 1)
	go func() {
		for groups, err := range plugin.Fingerprints(streams) {
			if err != nil || len(groups) > 0 {
				select {
				case devices <- err:
				default:
				}
			}
		}
	}()
	if err := <-devices; err != nil {
		t.Fatal(err)
	}
	await(t, address)
}

// node makes a place that has what the pages say of a node: the NVIDIA plugin in
// its directory, its configuration in Nomad's, a simulated machine with eight
// H100, and a job that asks for one.
func node(t *testing.T, p *place) {
	t.Helper()
	settings, err := p.run(t.Context(), "devctl simulate start 8xh100 --dir machine", "sh")
	if err != nil {
		t.Fatalf("%v: %s", err, settings)
	}
	plugins, config := filepath.Join(p.dir, "plugins"), filepath.Join(p.dir, "nomad.d")
	job, err := os.ReadFile(filepath.Join(root(t), "plugins", "nvidia", "examples", "raw-exec.nomad.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	configuration := "data_dir = \"" + p.dir + "/data\"\nplugin_dir = \"" + plugins + "\"\nclient {\n enabled = true\n}\n" +
		"plugin \"" + rig.PluginName + "\" {\n config {\n" + settings + "\n}\n}\n"
	for _, err := range []error{
		os.Mkdir(plugins, 0o755),
		os.Mkdir(config, 0o755),
		os.WriteFile(filepath.Join(config, "nvidia.hcl"), []byte(configuration), 0o644),
		os.WriteFile(filepath.Join(p.dir, "job.nomad.hcl"), job, 0o644),
		os.Link(p.plugins[rig.PluginName], filepath.Join(plugins, rig.PluginName)),
		os.Link(p.plugins[rig.PluginName], filepath.Join(p.dir, rig.PluginName)), // what was unpacked
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.replace = append(p.replace, "/opt/nomad/plugins", plugins, "/etc/nomad.d", config)
}

// startAgent starts a Nomad agent with the NVIDIA plugin on a machine with eight
// H100, which nomad and devctl then ask. On a machine that cannot run one it does
// nothing.
func startAgent(t *testing.T, p *place) {
	t.Helper()
	if agent.Requirements() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	home, err := os.MkdirTemp("", "docs-") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	machine, err := nvidia.Start(ctx, filepath.Join(p.dir, "agents-machine"), "8xh100", nvidia.Options{})
	if err != nil {
		t.Fatal(err)
	}
	started, err := agent.Start(ctx, agent.Config{
		Nomad: p.nomad, Dir: home,
		Plugins: []agent.Plugin{{Binary: p.plugins[rig.PluginName], Config: machine.Config()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := started.WaitDevices(ctx, "eight H100", func(groups []*api.NodeDeviceResource) bool {
		return len(groups) == 1 && len(agent.Healthy(groups[0])) == 8
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.nomad.Path, filepath.Join(p.tools, "nomad")); err != nil {
		t.Fatal(err)
	}
	p.agent = started
	p.env = append(p.env, "NOMAD_ADDR="+started.Address())
}

// twoGPUs makes a place like a task with two device blocks, of the NVIDIA plugin and
// of AMD's.
func twoGPUs(_ *testing.T, p *place) {
	p.env = append(p.env, "NVIDIA_DEVICE_GPU_B=GPU-b", "NVIDIA_DEVICE_GPU_A=GPU-a", "CUDA_VISIBLE_DEVICES=GPU-b",
		"AMD_GPU_GPU_3A=/dev/dri/renderD129", "AMD_GPU_GPU_1B=/dev/dri/renderD128")
}

// await waits until somebody listens.
func await(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
