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

	APUs               bool          `hcl:"apus" default:"true" doc:"Whether GPUs that are part of a processor are offered. Their attribute memory is what the firmware set aside for them of the node's memory. The MI300A counts as a GPU, not as an APU."`
	RequireCompute     bool          `hcl:"require_compute" default:"true" doc:"Whether only GPUs that ROCm can use are offered: those with a node in KFD's topology. With false, a GPU without one is offered for graphics and video."`
	PartitionType      string        `hcl:"partition_type" default:"gpu-partition" oneof:"gpu-partition,gpu" doc:"Device type of the partitions of a divided GPU. With gpu-partition, a job that asks for amd/gpu gets whole GPUs only."`
	GroupBy            string        `hcl:"group_by" default:"model" oneof:"model,gfx,id" doc:"What a group of GPUs is named by: the model (AMD Instinct MI300X), the instruction set (gfx942), or the PCI device (0x74a1)."`
	Access             string        `hcl:"access" default:"devices" oneof:"devices,runtime" doc:"How a task gets its GPU. devices hands over the device nodes and needs nothing else; runtime leaves that to AMD's container runtime, by AMD_VISIBLE_DEVICES, for tasks with runtime = \"amd\"."`
	ROCRVisibleDevices string        `hcl:"rocr_visible_devices" default:"uuid" oneof:"uuid,index,none" doc:"What the variable ROCR_VISIBLE_DEVICES, which ROCm selects GPUs by, names the reserved ones by. uuid is right with every task driver, and leaves the variable out for GPUs without a unique ID. index counts the GPUs of the whole node: that is right for tasks that see all of them, as those of raw_exec do, and wrong in a container. none never sets it."`
	CardNode           bool          `hcl:"card_node" default:"false" doc:"Whether a task also gets the card node of its GPU, /dev/dri/cardN. ROCm does without; it lets the task set display modes."`
	StrictECC          bool          `hcl:"strict_ecc" default:"false" doc:"Whether a GPU that had uncorrectable errors before the plugin was started is unhealthy. Their number counts from when the driver was loaded, and does not say whether the GPU was reset since."`
	UEThreshold        int           `hcl:"ue_threshold" default:"1" min:"1" max:"1000000" doc:"By how much the number of uncorrectable errors must rise, in one block of the GPU, for it to be unhealthy."`
	UERecoverAfter     time.Duration `hcl:"ue_recover_after" default:"0s" max:"8760h" doc:"How long after its last uncorrectable error a GPU is trusted again without a reset. 0 means never."`
	RASPeriod          time.Duration `hcl:"ras_period" default:"10s" min:"1s" max:"24h" doc:"How often the error counters are read at most, whatever fingerprint_period is. Each read asks the hardware."`
	KFDEvents          bool          `hcl:"kfd_events" default:"false" doc:"Whether the plugin listens to what the driver tells by /dev/kfd of resets and memory faults. It holds /dev/kfd open then, which makes it one of the processes that use GPUs: the driver can neither be unloaded nor change partitions meanwhile. On a node with a GPU that can be divided it has no effect."`
}
