package nvidia

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// The values of share.strategy.
const (
	// strategyTimeSlicing lets the tasks of a GPU take turns, which the GPU does
	// by itself as soon as it has more than one process.
	strategyTimeSlicing = "time-slicing"
	// strategyMPS lets the tasks of a GPU run at the same time, through the
	// daemon of NVIDIA's Multi-Process Service.
	strategyMPS = "mps"
)

// The variables that the clients of MPS read (NVIDIA Multi-Process Service,
// "Environment Variables").
const (
	envMPSPipe    = "CUDA_MPS_PIPE_DIRECTORY"
	envMPSThreads = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
	envMPSMemory  = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"
)

// taskShm is where a task looks for shared memory, by which it and the MPS server
// pass their data.
const taskShm = "/dev/shm"

// Share is a rule by which GPUs are offered as several.
type Share struct {
	config.Share
	Strategy string `hcl:"strategy" default:"time-slicing" oneof:"time-slicing,mps" doc:"How the tasks of one GPU share it. With time-slicing they take turns, and nothing keeps one from the memory that the others count on; with mps they run at the same time, each with a limit, through the daemon that the mps block describes."`
}

// MPS says how tasks reach the control daemon of NVIDIA's Multi-Process Service.
type MPS struct {
	PipeDirectory string `hcl:"pipe_directory" default:"/tmp/nvidia-mps" doc:"The daemon's CUDA_MPS_PIPE_DIRECTORY on the host. Tasks get it under the same path."`
	ShmDirectory  string `hcl:"shm_directory" default:"/dev/shm" doc:"What the daemon has as /dev/shm, on the host. Tasks get it as their /dev/shm."`
	Mounts        bool   `hcl:"mounts" default:"true" doc:"Whether the two directories are mounted into tasks, which drivers with a file system of their own need (docker, podman, exec). In return a task's own volumes are not mounted on its first start, as Nomad does with the mounts of any device plugin; with false, the job or the image has to bring the directories."`
	LimitThreads  bool   `hcl:"limit_threads" default:"true" doc:"Whether a task gets its share of the multiprocessors at most, by CUDA_MPS_ACTIVE_THREAD_PERCENTAGE."`
	LimitMemory   bool   `hcl:"limit_memory" default:"true" doc:"Whether a task gets its share of the memory at most, by CUDA_MPS_PINNED_DEVICE_MEM_LIMIT."`
}

// ShareRules returns the rules for the core.
func (c *Config) ShareRules() []config.Share {
	rules := make([]config.Share, len(c.Share))
	for i, s := range c.Share {
		rules[i] = s.Share
		rules[i].Strategy = s.Strategy
	}
	return rules
}

// strategy returns how a device is shared, or "".
func (c *Config) strategy(d core.Device) string {
	i := share.Find(c.ShareRules(), d)
	if i < 0 {
		return ""
	}
	return c.Share[i].Strategy
}

// Shareable returns why a device cannot be shared.
func (v *Vendor) Shareable(d core.Device) error {
	mode := d.Attributes[attrComputeMode.name].Text()
	switch strategy := v.cfg.strategy(d); {
	case strategy == strategyMPS && d.Attributes[attrProfile.name].Known():
		return errors.New("a MIG instance has its part of the GPU for itself, and the MPS daemon that the configuration names serves whole GPUs; share it with strategy = \"time-slicing\", or make smaller instances")
	case mode == "prohibited":
		return errors.New("its compute mode lets no process compute; run nvidia-smi -c DEFAULT for it on the node")
	case mode == "exclusive-process" && strategy != strategyMPS:
		return errors.New("its compute mode lets one process compute at a time; run nvidia-smi -c DEFAULT for it on the node")
	default:
		return nil
	}
}

// GrantShare says what a task needs to use its part of a device.
func (v *Vendor) GrantShare(ctx context.Context, d core.Device, s core.Share) (core.Grant, error) {
	g, err := v.Grant(ctx, d)
	if err != nil || v.cfg.strategy(d) != strategyMPS {
		return g, err
	}
	if err := v.cfg.MPS.check(v.host); err != nil {
		return core.Grant{}, err
	}
	return v.cfg.MPS.grant(g, d, s)
}

// grant adds to a grant what a client of MPS needs.
func (m MPS) grant(g core.Grant, d core.Device, s core.Share) (core.Grant, error) {
	g.Env[envMPSPipe] = m.PipeDirectory
	if m.Mounts {
		g.Mounts = append(
			g.Mounts,
			core.Mount{HostPath: m.PipeDirectory, TaskPath: m.PipeDirectory, Writable: true},
			core.Mount{HostPath: m.ShmDirectory, TaskPath: taskShm, Writable: true},
		)
	}
	if m.LimitThreads {
		g.Env[envMPSThreads] = strconv.Itoa(max(1, 100*s.Held/s.Replicas))
	}
	if m.LimitMemory {
		memory := d.Attributes[attrMemory.name]
		if memory.Unit() != core.MiB || memory.AsInt() <= 0 {
			return core.Grant{}, fmt.Errorf("the memory of the GPU is not known, so a task's part of it cannot be limited; set limit_memory = false in the mps block")
		}
		// CUDA numbers a task's GPUs in the order of CUDA_VISIBLE_DEVICES, which
		// is the order of the reservation.
		g.Lists[envMPSMemory] = []string{fmt.Sprintf("%d=%dM", s.Place, memory.AsInt()*int64(s.Held)/int64(s.Replicas))}
	}
	return g, nil
}
