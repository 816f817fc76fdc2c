package fpga

import (
	"fmt"
	"path"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
)

const zoclDriver = "/sys/bus/platform/drivers/zocl-drm"

const platformDevices = "/sys/devices/platform/"

// platformName is the name of the card's platform device.
func (c card) platformName() string { return path.Base(c.text("platform")) }

// zoclTree is the FPGA part of an SoC with XRT's embedded driver, beside the SoC's
// FPGA manager (Xilinx/XRT, src/runtime_src/core/edge/drm/zocl).
func zoclTree(f machine.Files, c card) {
	if !c.Loaded() {
		return
	}
	at := platformDevices + c.text("platform")
	f.Tree.Link(at+"/subsystem", "/sys/bus/platform")
	f.Tree.Link("/sys/bus/platform/devices/"+c.platformName(), at)
	manager := fpgaManager(f, c, platformDevices+c.text("manager.platform"), c.text("manager.name"))
	// The vendor's kernel has files by which images are loaded, and the key of an
	// encrypted one.
	f.Tree.Unreadable(manager + "/firmware")
	f.Tree.File(manager+"/flags", "0")
	f.Tree.File(manager+"/key", "never to be read")
	if !c.bound() {
		return
	}
	f.Tree.Link(at+"/driver", zoclDriver)
	f.Tree.Link(zoclDriver+"/"+c.platformName(), at)
	f.Tree.Dir("/sys/module/zocl")
	f.Tree.Link(zoclDriver+"/module", "/sys/module/zocl")
	f.Put(at+"/xclbinid", "0 "+c.text("xclbin"))
	f.Put(at+"/errors", "0")
	drmTree(f, c, at)
}

// managerTree is an FPGA that only the kernel's FPGA manager knows, with the bridges
// between it and the SoC.
func managerTree(f machine.Files, c card) {
	if !c.Loaded() || c.driver() == "none" {
		return
	}
	manager := c.text("manager.platform")
	fpgaManager(f, c, platformDevices+manager, c.text("manager.name"))
	soc := platformDevices + path.Dir(manager)
	baseRegion(f, soc+"/soc:base-fpga-region", c.counts.region)
	for i, name := range words(c.text("bridges")) {
		at := fmt.Sprintf("%s/soc:fpgabridge@%d", soc, i)
		bridge := fmt.Sprintf("br%d", c.counts.bridge+i)
		link(f.Tree, "fpga_bridge", bridge, at+"/fpga_bridge/"+bridge, at)
		f.Put(at+"/fpga_bridge/"+bridge+"/name", name)
		f.Put(at+"/fpga_bridge/"+bridge+"/state", "enabled")
	}
}
