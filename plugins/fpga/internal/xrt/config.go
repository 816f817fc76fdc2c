package xrt

import (
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/config"
)

// The values of u30_unit.
const (
	unitFPGA = "fpga"
	unitCard = "card"
)

// Config is the configuration of the family.
type Config struct {
	U30Unit   string `hcl:"u30_unit" default:"fpga" oneof:"fpga,card" doc:"What one device is on an Alveo U30, which has two FPGAs: one of them, or the card with both, under the lower address. The FPGAs of all U30 of the node are then read one after the other."`
	QDMANodes bool   `hcl:"qdma_nodes" default:"false" doc:"Whether a task also gets the node below /dev/xfpga by which host programs stream to kernels, on shells that have it."`
	Runtime   string `hcl:"runtime" doc:"Directory of the XRT runtime on the node, such as \"/opt/xilinx/xrt\", to be mounted read-only at the same place in the task, with XILINX_XRT set to it, and with the OpenCL entry /etc/OpenCL/vendors/xilinx.icd if there is one. The C library of the task's image must fit it. Mounts of a device plugin take the place of the job's own volumes when the task first starts, and are gone after the Nomad client was restarted; an image with XRT in it needs none."`
}

// hostOnly are directories that hold no runtime, and much that must not be
// handed over.
var hostOnly = []string{"/dev", "/proc", "/sys", "/run"}

// Validate checks what the tags cannot say.
func (c *Config) Validate() []config.Problem {
	if c.Runtime == "" {
		return nil
	}
	wrong := !path.IsAbs(c.Runtime) || path.Clean(c.Runtime) != c.Runtime || c.Runtime == "/" || strings.Contains(c.Runtime, "${")
	for _, dir := range hostOnly {
		wrong = wrong || c.Runtime == dir || strings.HasPrefix(c.Runtime, dir+"/")
	}
	if !wrong {
		return nil
	}
	return []config.Problem{{Key: "runtime", Given: strconv.Quote(c.Runtime), Want: `the absolute path of a directory, such as "/opt/xilinx/xrt"`}}
}
