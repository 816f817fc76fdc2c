package nvidia

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/config"
)

// What the settings with a fixed set of values can be.
const (
	// typeMIG and typeGPU are the values of mig_type: the device type of MIG
	// instances.
	typeMIG = "mig"
	typeGPU = "gpu"

	// accessRuntime and accessDevices are the values of access.
	accessRuntime = "runtime"
	accessDevices = "devices"
)

// The variables that a reservation can set.
const (
	envVisibleDevices     = "NVIDIA_VISIBLE_DEVICES"
	envCUDAVisibleDevices = "CUDA_VISIBLE_DEVICES"
	envCapabilities       = "NVIDIA_DRIVER_CAPABILITIES"
	envIMEXChannels       = "NVIDIA_IMEX_CHANNELS"
)

// maxIMEXChannel is the highest number of an IMEX channel's node.
const maxIMEXChannel = 1<<20 - 1

// Config is the configuration of the plugin. Every setting is optional.
type Config struct {
	config.Common

	IgnoredGPUIDs      []string `hcl:"ignored_gpu_ids" doc:"UUIDs or PCI addresses of GPUs and MIG instances to leave alone; the same as ignored_ids, under the name that HashiCorp's plugin has."`
	NVMLLibrary        string   `hcl:"nvml_library" doc:"File of NVIDIA's management library. Empty means libnvidia-ml.so.1 from where the system looks for libraries."`
	MIGType            string   `hcl:"mig_type" default:"mig" oneof:"mig,gpu" doc:"Device type of MIG instances. With mig, a job that asks for nvidia/gpu gets whole GPUs only; gpu is what HashiCorp's plugin does."`
	Access             string   `hcl:"access" default:"runtime" oneof:"runtime,devices" doc:"How a task gets its GPU. runtime leaves it to the NVIDIA container runtime, by NVIDIA_VISIBLE_DEVICES; devices hands over the device nodes and needs no container runtime of NVIDIA."`
	VisibleDevicesEnv  string   `hcl:"visible_devices_env" default:"NVIDIA_VISIBLE_DEVICES" doc:"Variable that names the GPUs to the container runtime. Only used with access = \"runtime\"."`
	CUDAVisibleDevices bool     `hcl:"cuda_visible_devices" default:"true" doc:"Whether CUDA_VISIBLE_DEVICES is set to the UUIDs of the reserved devices. It is all that keeps tasks of drivers without isolation, such as raw_exec, to their own GPUs."`
	DriverCapabilities string   `hcl:"driver_capabilities" doc:"Value of NVIDIA_DRIVER_CAPABILITIES for the container runtime, such as \"compute,utility,graphics\". Empty leaves the variable to the image. Needs access = \"runtime\"."`
	IMEXChannels       []string `hcl:"imex_channels" doc:"Numbers of IMEX channels that every reservation may use, for memory shared over a multi-node NVLink fabric."`
	DRINodes           bool     `hcl:"dri_nodes" default:"false" doc:"Whether a task also gets the graphics nodes of its GPU below /dev/dri. Needs access = \"devices\"; with the container runtime, add graphics to driver_capabilities instead."`
	ExtraNodes         []string `hcl:"extra_nodes" doc:"Further device nodes that every reservation gets, such as \"/dev/gdrdrv\" or \"/dev/infiniband/uverbs0\". A reservation fails while one of them is missing."`
	XIDIgnore          []string `hcl:"xid_ignore" doc:"Numbers of XID errors that never make a GPU unhealthy and ask for nothing."`
	Share              []Share  `hcl:"share,block" doc:"GPUs that are offered as several, for as many tasks at a time. The first block that fits a GPU counts."`
	MPS                MPS      `hcl:"mps,block" doc:"How the tasks of GPUs that are shared with strategy = \"mps\" reach the daemon of NVIDIA's Multi-Process Service, which an operator runs."`
	XIDFatal           []string `hcl:"xid_fatal" doc:"Numbers of XID errors that make a GPU unhealthy until the Nomad client is restarted or the GPU was reset, whatever the driver says."`
}

// Base returns the settings of the core, with the GPUs that are ignored under
// HashiCorp's name among those that are ignored under ours.
func (c *Config) Base() *config.Common {
	base := c.Common
	base.IgnoredIDs = slices.Concat(c.IgnoredIDs, c.IgnoredGPUIDs)
	return &base
}

// xidPolicy returns the catalogue with the configuration's exceptions.
func (c *Config) xidPolicy() xidPolicy {
	return newXIDPolicy(numbers(c.XIDIgnore), numbers(c.XIDFatal))
}

// numbers returns the entries of a list that are numbers; [Config.Validate] has
// refused all others.
func numbers(list []string) []int {
	var all []int
	for _, s := range list {
		if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
			all = append(all, n)
		}
	}
	return all
}

var (
	envPattern          = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	capabilitiesPattern = regexp.MustCompile(`^[a-z0-9]+(,[a-z0-9]+)*$`)
)

// Validate checks what the tags cannot say.
func (c *Config) Validate() []config.Problem {
	var problems []config.Problem
	wrong := func(key, with, given, want string) {
		problems = append(problems, config.Problem{Key: key, With: with, Given: given, Want: want})
	}
	c.validateEnvironment(wrong)

	for i, id := range c.IgnoredGPUIDs {
		if strings.TrimSpace(id) == "" {
			wrong("ignored_gpu_ids", "", strconv.Quote(id)+" at place "+strconv.Itoa(i+1), "the UUID or the PCI address of a device")
		}
	}
	if c.NVMLLibrary != "" && strings.ContainsAny(c.NVMLLibrary, "\x00\n") {
		wrong("nvml_library", "", strconv.Quote(c.NVMLLibrary), "the path of a file")
	}
	const aXID = "numbers of XID errors, such as 13"
	validateNumbers(wrong, "xid_ignore", c.XIDIgnore, 1, 1<<30, aXID)
	validateNumbers(wrong, "xid_fatal", c.XIDFatal, 1, 1<<30, aXID)
	validateNumbers(wrong, "imex_channels", c.IMEXChannels, 0, maxIMEXChannel, "numbers of channels from 0 to "+strconv.Itoa(maxIMEXChannel))
	ignored := numbers(c.XIDIgnore)
	for _, code := range numbers(c.XIDFatal) {
		if slices.Contains(ignored, code) {
			wrong("xid_fatal", "xid_ignore", strconv.Itoa(code), "an XID in one of xid_fatal and xid_ignore, not in both")
		}
	}
	for _, node := range c.ExtraNodes {
		if !strings.HasPrefix(node, "/dev/") || strings.Contains(node, "/../") || strings.HasSuffix(node, "/") || strings.HasSuffix(node, "/..") {
			wrong("extra_nodes", "", strconv.Quote(node), `the path of a device node, such as "/dev/gdrdrv"`)
		}
	}
	problems = append(problems, config.CheckShares(c.ShareRules())...)
	c.validateMPS(wrong)
	if c.DRINodes && c.Access == accessRuntime {
		wrong("dri_nodes", "access", "true", `access = "devices", or "graphics" in driver_capabilities`)
	}
	return problems
}

func (c *Config) validateMPS(wrong func(key, with, given, want string)) {
	for _, directory := range []struct{ key, path string }{
		{"mps.pipe_directory", c.MPS.PipeDirectory}, {"mps.shm_directory", c.MPS.ShmDirectory},
	} {
		if !path.IsAbs(directory.path) || path.Clean(directory.path) != directory.path || directory.path == "/" || strings.ContainsAny(directory.path, "\x00\n,$") {
			wrong(directory.key, "", strconv.Quote(directory.path), "the absolute, clean path of a directory")
		}
	}
	shared := slices.ContainsFunc(c.Share, func(s Share) bool { return s.Strategy == strategyMPS })
	if shared && c.MPS.LimitMemory && !c.CUDAVisibleDevices {
		wrong("mps.limit_memory", "cuda_visible_devices", "true", "cuda_visible_devices = true, by whose order the limits are numbered, or limit_memory = false")
	}
}

func (c *Config) validateEnvironment(wrong func(key, with, given, want string)) {
	name := c.VisibleDevicesEnv
	switch {
	case !envPattern.MatchString(name):
		wrong("visible_devices_env", "", strconv.Quote(name), `the name of a variable, such as "`+envVisibleDevices+`"; to hand over GPUs without one, set access = "devices"`)
	case name == envCapabilities || name == envIMEXChannels || strings.HasPrefix(name, envDevicePrefix):
		wrong("visible_devices_env", "", strconv.Quote(name), "a variable that the plugin does not use for something else")
	case name == envCUDAVisibleDevices && !c.CUDAVisibleDevices && c.Access == accessRuntime:
		wrong("visible_devices_env", "cuda_visible_devices", strconv.Quote(name), "another variable while cuda_visible_devices is false")
	}
	if c.DriverCapabilities == "" {
		return
	}
	if !capabilitiesPattern.MatchString(c.DriverCapabilities) {
		wrong("driver_capabilities", "", strconv.Quote(c.DriverCapabilities), `words joined by commas, such as "compute,utility", or "all"`)
	} else if c.Access == accessDevices {
		wrong("driver_capabilities", "access", strconv.Quote(c.DriverCapabilities), `access = "runtime": only the NVIDIA container runtime reads it`)
	}
}

func validateNumbers(wrong func(key, with, given, want string), key string, entries []string, least, most int, want string) {
	for _, s := range entries {
		if n, err := strconv.Atoi(strings.TrimSpace(s)); err != nil || n < least || n > most {
			wrong(key, "", strconv.Quote(s), want)
		}
	}
}
