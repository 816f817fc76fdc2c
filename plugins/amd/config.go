package amd

import (
	"time"

	"github.com/nomad-devices/nomad-devices/core/config"
)

// What the settings with a fixed set of values can be.
const (
	typeGPU       = "gpu"
	typePartition = "gpu-partition"

	groupByModel = "model"
	groupByGFX   = "gfx"
	groupByID    = "id"

	accessDevices = "devices"
	accessRuntime = "runtime"

	visibleUUID  = "uuid"
	visibleIndex = "index"
	visibleNone  = "none"
)

// Config is the configuration of the plugin. Every setting is optional.
type Config struct {
	config.Common

	APUs               bool          `hcl:"apus" default:"true" doc:"Whether GPUs that are part of a processor are offered. Their memory is the part of the node's memory that the firmware set aside. The MI300A counts as a GPU, not as an APU."`
	RequireCompute     bool          `hcl:"require_compute" default:"true" doc:"Whether only GPUs that ROCm can use are offered: those with a node in KFD's topology. With false, a GPU without one is offered for graphics and video."`
	PartitionType      string        `hcl:"partition_type" default:"gpu-partition" oneof:"gpu-partition,gpu" doc:"Device type of the partitions of a divided GPU. With gpu-partition, a job that asks for amd/gpu gets whole GPUs only."`
	GroupBy            string        `hcl:"group_by" default:"model" oneof:"model,gfx,id" doc:"What a group of GPUs is named by: the model (AMD Instinct MI300X), the instruction set (gfx942), or the PCI device (0x74a1)."`
	Access             string        `hcl:"access" default:"devices" oneof:"devices,runtime" doc:"How a task gets its GPU. devices hands over the device nodes and needs nothing else; runtime leaves that to AMD's container runtime, by AMD_VISIBLE_DEVICES, for tasks with runtime = \"amd\"."`
	ROCRVisibleDevices string        `hcl:"rocr_visible_devices" default:"uuid" oneof:"uuid,index,none" doc:"What ROCR_VISIBLE_DEVICES names the reserved GPUs by. uuid is right with every task driver. index counts the GPUs of the whole node: it is right for raw_exec alone, and for GPUs without a unique ID the only way there."`
	CardNode           bool          `hcl:"card_node" default:"false" doc:"Whether a task also gets the card node of its GPU, /dev/dri/cardN. ROCm does without; it lets the task set display modes."`
	StrictECC          bool          `hcl:"strict_ecc" default:"false" doc:"Whether a GPU that had uncorrectable errors before the plugin was started is unhealthy. Their number counts from when the driver was loaded, and says not whether the GPU was reset since."`
	UEThreshold        int           `hcl:"ue_threshold" default:"1" min:"1" max:"1000000" doc:"By how much the number of uncorrectable errors of a block must rise for the GPU to be unhealthy."`
	UERecoverAfter     time.Duration `hcl:"ue_recover_after" default:"0s" max:"8760h" doc:"How long after its last uncorrectable error a GPU is trusted again without a reset. 0 means never."`
	RASPeriod          time.Duration `hcl:"ras_period" default:"10s" min:"1s" max:"24h" doc:"How often the error counters are read at most. Each read asks the hardware."`
	KFDEvents          bool          `hcl:"kfd_events" default:"false" doc:"Whether the plugin listens to the driver's events (resets, faults, throttling) by /dev/kfd. While it does, it shows up as a process on each GPU. GPUs that can be divided are left out: the driver refuses to change their partitions while anybody listens."`
}
