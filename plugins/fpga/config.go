package fpga

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/ami"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/aws"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/dfl"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/fpgamgr"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/xrt"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/zocl"
)

// Config is the configuration of the plugin. Every setting is optional.
type Config struct {
	config.Common

	DFL          dfl.Config `hcl:"dfl,block" doc:"Intel and Altera cards, with the kernel's driver (DFL) or the older one of OPAE."`
	XRT          xrt.Config `hcl:"xrt,block" doc:"AMD and Xilinx Alveo cards, with the driver of XRT."`
	AMI          ami.Config `hcl:"ami,block" doc:"AMD Versal cards such as V80, with the AMI driver."`
	AWS          aws.Config `hcl:"aws,block" doc:"Slots of Amazon's F1 and F2 instances."`
	FPGAManagers bool       `hcl:"fpga_managers" default:"false" doc:"Whether FPGAs are offered that only the kernel's FPGA manager knows, such as those of SoCs. They have no device node of their own; see nodes."`
	Nodes        []Nodes    `hcl:"nodes,block" doc:"Device nodes to add to what a device is granted."`
}

// Nodes are device nodes for one device.
type Nodes struct {
	Device string   `hcl:"device" doc:"ID of the device: mgr:platform/soc/ff706000.fpgamgr."`
	Paths  []string `hcl:"paths" doc:"The nodes, such as \"/dev/uio0\". Those by which a task could take more than its device are refused; a reservation fails while one is missing."`
}

// Validate checks what the tags cannot say.
func (n *Nodes) Validate() []config.Problem {
	var problems []config.Problem
	wrong := func(key, given, want string) {
		problems = append(problems, config.Problem{Key: key, Given: strconv.Quote(given), Want: want})
	}
	known := []string{"dfl", "opae", "xrt", "ami", "aws", "zocl", "vfio", "mgr"}
	if kind, rest, _ := strings.Cut(n.Device, ":"); rest == "" || !slices.Contains(known, kind) {
		wrong("device", n.Device, "the ID of a device, as nomad node status -verbose shows it")
	}
	for _, p := range n.Paths {
		if !strings.HasPrefix(p, "/dev/") || path.Clean(p) != p {
			wrong("paths", p, `the path of a device node, such as "/dev/uio0"`)
		} else if why := family.Danger(p); why != "" {
			wrong("paths", p, fmt.Sprintf("a node that is made for tasks: with this one a task can %s", why))
		}
	}
	return problems
}

// nodesByDevice returns the nodes of each device that has some.
func (c *Config) nodesByDevice() map[string][]string {
	nodes := map[string][]string{}
	for _, n := range c.Nodes {
		nodes[n.Device] = append(nodes[n.Device], n.Paths...)
	}
	return nodes
}

// families returns the driver families in the order in which they claim cards:
// the kernel's driver before an older one, what knows a card well before what
// knows only that it is there.
func (c *Config) families() []family.Family {
	families := []family.Family{
		dfl.New(c.DFL), dfl.NewOPAE(c.DFL), xrt.New(c.XRT), ami.New(c.AMI), aws.New(c.AWS), zocl.New(),
	}
	if c.DFL.VFIO {
		families = append(families, dfl.NewVFIO())
	}
	if c.FPGAManagers {
		families = append(families, fpgamgr.New())
	}
	return families
}
