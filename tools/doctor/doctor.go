package doctor

import (
	"cmp"
	"context"
	"debug/elf"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// Options say what to look at. The zero value looks at the hardware of this
// machine alone.
type Options struct {
	// HostRoot is where the file system of the machine is mounted; empty means
	// this machine, and for the hardware of a plugin the host_root of the
	// plugin's own configuration.
	HostRoot string
	// AgentConfig are the files and directories of the agent's configuration, in
	// the order of its -config arguments.
	AgentConfig []string
	// PluginDir takes the place of the configuration's plugin_dir.
	PluginDir string
	// Plugins are the plugins to look at, by their names or by their files;
	// empty means all device plugins in the plugin directory.
	Plugins []string
	// Nomad is the running agent to ask; nil means none.
	Nomad *api.Client
	// Node is the name or the ID of the node to compare with; empty means the
	// agent's own.
	Node string
	// Job is the file of a job whose devices are to be placed, in HCL or, by its
	// name, in JSON.
	Job string
	// Vars and VarFiles give the job's variables values, as those of "nomad job
	// run" do: "name=value", and files.
	Vars, VarFiles []string
	// UID is the user that runs the plugins, which the agent does as root.
	UID int
	// Machine is the machine that programs must be for; 0 means this one.
	Machine elf.Machine
	// Timeout is how long a plugin may take to its first devices; 0 means 50 s,
	// after which Nomad's client goes on without them.
	Timeout time.Duration
	// Settle is how long to wait for devices after an empty first message; 0
	// means 3 s.
	Settle time.Duration
}

// candidate is a plugin binary that is looked at.
type candidate struct {
	name, file string
	vendor     *vendor // nil: not known
	block      *block  // nil: none
	runs       bool    // the machine can start it
	disabled   bool    // by its configuration

	// answered says that the plugin was started and sent its devices.
	answered bool
	groups   []*device.DeviceGroup
	// grants are what a task would get, by the IDs of devices.
	grants map[string]*device.ContainerReservation
}

// examination is one walk along the chain.
type examination struct {
	Options
	report     *Report
	config     agentConfig
	candidates []*candidate
	// mentioned are the names of the plugins that there are to be, seen those of
	// files that there are.
	mentioned, seen []string
	hardwares       []*hardware
	said            bool         // that the plugins run as another user than the agent's
	running         *agentConfig // of the running agent
	node            *api.Node
}

// Examine walks the chain and returns what it found, in the order of the links.
// What cannot be looked at is a finding, too. When ctx ends, what was found until
// then is returned.
func Examine(ctx context.Context, options Options) *Report {
	options.Timeout = cmp.Or(options.Timeout, 50*time.Second)
	options.Settle = cmp.Or(options.Settle, 3*time.Second)
	if options.Machine == 0 {
		options.Machine = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	}
	x := &examination{Options: options, report: &Report{}}
	x.ask(ctx)
	x.readConfig()
	if x.running != nil && !x.config.known {
		x.config = *x.running
	}
	x.config.pluginDir = cmp.Or(x.PluginDir, x.config.pluginDir)
	x.binaries()
	for _, plugin := range x.Plugins {
		x.mentioned = append(x.mentioned, pluginclient.NameOf(plugin))
		if strings.ContainsRune(plugin, filepath.Separator) {
			x.entry(plugin)
		}
	}
	x.missing()
	x.blocks()
	x.machines()
	for _, c := range x.candidates {
		if c.runs && ctx.Err() == nil {
			x.start(ctx, c)
		}
	}
	x.devices()
	x.agent()
	x.job(ctx)
	for _, h := range x.hardwares {
		_ = h.fs.Close() // it was only read
	}
	slices.SortStableFunc(x.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Link, b.Link) })
	return x.report
}

// hostRoot is where the machine's own file system is.
func (x *examination) hostRoot() string { return cmp.Or(x.HostRoot, "/") }

// machines looks at the hardware of each vendor, as the vendor's plugin is told to
// see it, if there is one.
func (x *examination) machines() {
	// Where nobody said what there is to be, what there is counts.
	anything := !x.config.read && len(x.mentioned) == 0
	nothing := true
	for _, v := range vendors {
		root, library := x.hostRoot(), ""
		for _, c := range x.candidates {
			if c.vendor != v || c.block == nil {
				continue
			}
			if set, ok := c.block.config["host_root"].(string); ok && x.HostRoot == "" && set != "" {
				root = set
			}
			if set, ok := c.block.config["nvml_library"].(string); ok {
				library = set
			}
		}
		wanted := slices.ContainsFunc(x.mentioned, func(name string) bool { return vendorOf(name) == v })
		h := x.hardware(v, sysfs.New(root), wanted, anything)
		nothing = nothing && !h.found
		x.hardwares = append(x.hardwares, h)
		if !wanted && !anything {
			continue
		}
		x.nodes(h)
		if v.word == "nvidia" && (h.found || library != "") {
			x.library(h, library)
		}
	}
	if anything && nothing {
		x.report.find(hardwareAbsent, "hardware", values{"hardware": "NVIDIA GPU, AMD GPU or FPGA"})
	}
}
