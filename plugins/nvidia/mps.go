package nvidia

import (
	"bytes"
	"fmt"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// codeMPS is the fault of a GPU that is shared through a daemon that is not
// there.
const codeMPS = "mps-daemon"

// What the control daemon keeps in its pipe directory (NVIDIA Multi-Process
// Service, "nvidia-cuda-mps-control"): the socket at which it listens, and the
// number of its process.
const (
	mpsControl = "control"
	mpsPID     = "nvidia-cuda-mps-control.pid"
)

// mpsProcess begins the name of the daemon's process, which the kernel cuts off
// after 15 letters (proc(5), /proc/pid/comm).
const mpsProcess = "nvidia-cuda-mps"

// mpsDial is how long a daemon may take to accept a connection.
const mpsDial = time.Second

// check returns why the tasks of a shared GPU could not reach the daemon, or nil.
// As a rule that costs two files: a connection leaves a line in the daemon's log,
// so one is made only if the process that the daemon wrote down is not there, as
// where the daemon runs in a container.
func (m MPS) check(host *sysfs.FS) error {
	control := path.Join(m.PipeDirectory, mpsControl)
	there, err := host.Exists(control)
	switch {
	case err != nil:
		return fmt.Errorf("the MPS daemon cannot be looked for: %w", err)
	case !there:
		return fmt.Errorf("the MPS daemon does not run, or has another CUDA_MPS_PIPE_DIRECTORY: there is no %s", host.Full(control))
	}
	if data, err := host.Read(path.Join(m.PipeDirectory, mpsPID)); err == nil {
		if pid, err := strconv.ParseUint(string(bytes.TrimSpace(data)), 10, 31); err == nil {
			name, err := host.Read(fmt.Sprintf("/proc/%d/comm", pid))
			if err == nil && bytes.HasPrefix(name, []byte(mpsProcess)) {
				return nil
			}
		}
	}
	connection, err := net.DialTimeout("unix", host.Full(control), mpsDial)
	if err != nil {
		return fmt.Errorf("the MPS daemon has ended and left its files behind: %w", err)
	}
	_ = connection.Close()
	return nil
}

// mpsFaults returns what is wrong with the sharing of a device.
func (v *Vendor) mpsFaults(d core.Device) []core.Fault {
	if v.cfg.strategy(d) != strategyMPS || v.Shareable(d) != nil {
		return nil
	}
	err := v.cfg.MPS.check(v.host)
	if err == nil {
		return nil
	}
	return []core.Fault{{
		Code: codeMPS, Severity: core.Hard, Err: err,
		Reason: "the GPU is shared by MPS, and " + err.Error(),
		Remedy: "start the daemon on the node (systemctl start nvidia-mps, if it is the unit that the plugin's page shows) and look at its log; the GPU is used again by itself",
	}}
}
