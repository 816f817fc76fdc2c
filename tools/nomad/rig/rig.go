// Package rig puts together what the demonstration and the end-to-end tests run
// on: the built programs, simulated machines, and an agent with the plugins on
// them.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// PluginName is the name of the NVIDIA plugin, its file and its block.
const PluginName = "nomad-device-nvidia"

// ProbePath is where exec tasks and containers find the probe.
const ProbePath = "/bin/probe"

// The device groups of the machine that [Mixed] makes.
const (
	H100 = "NVIDIA H100 80GB HBM3"
	T4   = "Tesla T4"
	MIG  = "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
)

// The numbers of the GPUs of the machine that [Mixed] makes: two whole H100, two
// T4, and an H100 that is cut into two MIG instances.
var (
	H100GPUs = []int{0, 1}
	T4GPUs   = []int{2, 3}
	MIGGPU   = 4
)

// Binaries are the programs that everything needs.
type Binaries struct {
	Nomad  agent.Nomad
	Plugin string
	Probe  string
	// Static are the plugins that need no cgo, by the names of their modules: "amd".
	Static map[string]string
}

// All returns the plugins' files by their names.
func (b Binaries) All() map[string]string {
	all := map[string]string{PluginName: b.Plugin}
	for _, path := range b.Static {
		all[filepath.Base(path)] = path
	}
	return all
}

// Requirements says what is missing on this machine to build the programs and to
// run them; nil means nothing.
func Requirements() error { return errors.Join(agent.Requirements(), BuildRequirements()) }

// BuildRequirements says what is missing on this machine to build the programs
// and the simulated driver, and to load it; nil means nothing.
func BuildRequirements() error {
	switch _, err := exec.LookPath("go"); {
	case err != nil:
		return errors.New("the go command on PATH, to build the programs")
	case runtime.GOOS != "linux":
		return errors.New("the Linux kernel: the simulated driver is a library for it")
	}
	if compiler := compiler(); compiler != "" {
		return fmt.Errorf("a C compiler: the NVIDIA plugin is built with cgo, and there is no %s", compiler)
	}
	return nil
}

// compiler returns the C compiler that Go would use, if it is missing.
func compiler() string {
	output, err := exec.Command("go", "env", "CC").Output()
	fields := strings.Fields(string(output)) // CC may carry flags
	if err != nil || len(fields) == 0 {
		return ""
	}
	if _, err := exec.LookPath(fields[0]); err != nil {
		return fields[0]
	}
	return ""
}

// Build finds or builds the programs; ours go into dir. What takes long is told
// to progress.
func Build(ctx context.Context, dir string, progress io.Writer) (Binaries, error) {
	b := Binaries{Probe: filepath.Join(dir, "probe")}
	var err error
	if b.Nomad, err = agent.FindNomad(ctx, progress); err != nil {
		return b, err
	}
	if err := agent.Build(ctx, agent.Program{
		Module: "tools", Package: "./nomad/probe", Output: b.Probe, Env: []string{"CGO_ENABLED=0"},
	}); err != nil {
		return b, err
	}
	b.Static = map[string]string{}
	for _, vendor := range StaticVendors {
		if b.Static[vendor], err = BuildStatic(ctx, dir, vendor); err != nil {
			return b, err
		}
	}
	b.Plugin, err = BuildPlugin(ctx, dir)
	return b, err
}

// StaticVendors are the modules of the plugins that need no cgo.
var StaticVendors = []string{"amd", "fpga"}

// BuildStatic builds the plugin of a module in plugins that needs no cgo into dir,
// and returns its path.
func BuildStatic(ctx context.Context, dir, vendor string) (string, error) {
	name := "nomad-device-" + vendor
	path := filepath.Join(dir, name)
	return path, agent.Build(ctx, agent.Program{
		Module: filepath.Join("plugins", vendor), Package: "./cmd/" + name, Output: path,
		Env: []string{"CGO_ENABLED=0"}, Tags: "grpcnotrace,netgo,osusergo,nethttpomithttp2",
	})
}

// BuildPlugin builds the NVIDIA plugin into dir as a release would, and returns
// its path.
func BuildPlugin(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, PluginName)
	// The flags of "make plugins": NVML's functions are bound lazily, gRPC's
	// debugging pages stay out, and so does the C library's resolver.
	return path, agent.Build(ctx, agent.Program{
		Module: filepath.Join("plugins", "nvidia"), Package: "./cmd/" + PluginName, Output: path,
		Env: []string{"CGO_ENABLED=1"}, Tags: "grpcnotrace,netgo,osusergo,nethttpomithttp2", LinkerFlags: "-extldflags=-Wl,-z,lazy",
	})
}

// t4 is what makes a GPU of the 8xh100 profile a T4.
var t4 = map[string]string{
	"name": T4, "brand": "2", "architecture": "6", "compute_capability": "7.5",
	"memory.total": "15360 MiB", "memory.reserved": "442 MiB", "bar1.total": "256 MiB",
	"cores": "2560", "memory_bus_width": "256", "pci.device": "0x1eb8",
	"pcie.max_generation": "3", "pcie.device_max_generation": "3", "pcie.generation": "3",
	"power.limit": "70000", "power.usage": "9210",
	"clock.max.sm": "1590", "clock.max.graphics": "1590", "clock.max.memory": "5001",
	"nvlink.links": "0", "fabric.state": "0", "gpm": "0", "mig.max": "0",
	"board_part_number": "900-2G183-0000-001", "vbios_version": "90.04.96.00.9F",
}

// Mixed starts a simulated machine with GPUs of several kinds in dir. set
// changes keys of its scenario.
func Mixed(ctx context.Context, dir string, set map[string]string) (*nvidia.Machine, error) {
	keys := map[string]string{}
	for _, gpu := range T4GPUs {
		for key, value := range t4 {
			keys[gpuKey(gpu, key)] = value
		}
	}
	for gpu := MIGGPU + 1; gpu < 8; gpu++ {
		keys[gpuKey(gpu, "present")] = "false"
	}
	maps.Copy(keys, set)
	machine, err := nvidia.Start(ctx, dir, "8xh100", nvidia.Options{Set: keys})
	if err != nil {
		return nil, err
	}
	if err := machine.MIG(MIGGPU, "3g.40gb", "3g.40gb"); err != nil {
		return nil, err
	}
	return machine, nil
}

func gpuKey(gpu int, key string) string { return "gpu." + strconv.Itoa(gpu) + "." + key }

// Quick are settings that make the plugin look every second and trust a GPU
// again after two good looks.
const Quick = `fingerprint_period = "1s"
health {
  recover_after = "2"
}
`

// AgentConfig is an agent's configuration with the plugin on the machine.
// settings are further lines for the plugin's config block. The agent's
// directory is made below dir.
func (b Binaries) AgentConfig(dir string, machine *nvidia.Machine, settings ...string) (agent.Config, error) {
	home := filepath.Join(dir, "agent")
	if err := os.Mkdir(home, 0o755); err != nil {
		return agent.Config{}, fmt.Errorf("making a place for the agent: %w", err)
	}
	return agent.Config{
		Nomad:  b.Nomad,
		Dir:    home,
		Chroot: map[string]string{b.Probe: ProbePath},
		Plugins: []agent.Plugin{{
			Binary: b.Plugin,
			Config: machine.Config() + "\n" + strings.Join(settings, "\n"),
		}},
	}, nil
}

// Simulated is a simulated machine of any vendor.
type Simulated interface {
	// Config is what makes the vendor's plugin use the machine.
	Config() string
}

// Beside is the plugin of a module in plugins on a machine of its own, for an agent
// that has others as well. settings are further lines for its config block.
func (b Binaries) Beside(vendor string, machine Simulated, settings ...string) agent.Plugin {
	return agent.Plugin{Binary: b.Static[vendor], Config: machine.Config() + "\n" + strings.Join(settings, "\n")}
}

// Task is a job with the probe, which writes down the variables and nodes that the
// vendors' software looks at. With hold it stays.
func (b Binaries) Task(name, driver string, hold bool, requests ...agent.Request) agent.Spec {
	spec := agent.Spec{
		Name: name, Driver: driver, Command: ProbePath,
		Args: []string{
			"-env", "CUDA_*,NVIDIA_*,ROCR_*,HIP_*,AMD_*,FPGA_*",
			"-nodes", "/dev/nvidia*,/dev/nvidia-caps/*,/dev/dri/*,/dev/kfd," +
				"/dev/dfl-*,/dev/intel-fpga-*,/dev/xclmgmt*,/dev/xfpga/*,/dev/ami*,/dev/uio*",
		},
		Devices: requests,
	}
	if driver == "raw_exec" {
		spec.Command = b.Probe
	}
	if hold {
		spec.Args = append(spec.Args, "-hold")
	}
	return spec
}
