package xrt

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// instance is one device: an FPGA, a U30 card with both of its FPGAs, or a card
// without a user function, which has none.
type instance struct {
	config Config
	fpgas  []*fpga
}

// serial returns the serial number of the board. It is read once.
func (c *fpga) serial(l look) family.Fact[string] {
	return c.learn(l, "serial", false, "serial_num", "serial_num")
}

// controllerVersion returns the version of the firmware on the satellite
// controller, as it was read last.
func (c *fpga) controllerVersion(l look) family.Fact[string] {
	return c.learn(l, "controller", false, "bmc_ver", "active_msp_ver")
}

// renewedVersion is [fpga.controllerVersion] as it is now.
func (c *fpga) renewedVersion(l look) family.Fact[string] {
	return c.learn(l, "controller", true, "bmc_ver", "active_msp_ver")
}

// learn returns what a card's controller tells in a file, of the sub-device xmc or
// of a Versal card's hwmon_sdm. It asks only if the card answers, and if nothing
// is known yet or what is known is to be renewed.
func (c *fpga) learn(l look, fact string, renew bool, xmc, versal string) family.Fact[string] {
	known := keep(c.scan.Memory, c.user.address, fact, family.Fact[string]{State: family.None})
	if !l.state.answers() || known.Known() && !renew {
		return known
	}
	path := ""
	if part := c.part(l, "xmc"); part != "" {
		path = part + "/" + xmc
	} else if part := c.part(l, "hwmon_sdm"); part != "" {
		path = part + "/" + versal
	} else {
		return known
	}
	return keep(c.scan.Memory, c.user.address, fact, family.ReadWord(c.scan.Host, path))
}

// Measure reads the statistics. A card that is not ready has none: its
// controllers would let each reader wait in vain.
func (i *instance) Measure(ctx context.Context) ([]core.Reading, error) {
	var all []core.Reading
	var errs []error
	for n, c := range i.fpgas {
		readings, err := c.measure(ctx)
		errs = append(errs, err)
		for _, r := range readings {
			if n > 0 {
				r.Name += " (FPGA " + strconv.Itoa(n+1) + ")"
			}
			all = append(all, r)
		}
	}
	return all, errors.Join(errs...)
}

func (c *fpga) measure(ctx context.Context) ([]core.Reading, error) {
	l, err := c.look()
	if err != nil || !l.state.answers() {
		return nil, err
	}
	s := c.readSensors(ctx, l)
	return family.Measured(
		family.Temperature.Is(s.temperature),
		family.Power.Is(s.power),
		statVolts.Is(s.volts),
		statAmps.Is(s.amps),
		statFan.Is(s.fan),
		family.Image.Is(family.Attribute(family.Read(c.scan.Host, c.user.dir+"/xclbinuuid", parseImages), core.String)),
		family.Serial.Is(family.Attribute(c.serial(l), core.String)),
		statController.Is(family.Attribute(c.renewedVersion(l), core.String)),
		c.link(),
	), ctx.Err()
}

// parseImages reads the UUIDs of the images that are loaded, one a line. There may
// be none, which some drivers say by a UUID with all bits clear.
func parseImages(data []byte) (string, error) {
	list, err := family.UUIDs(data)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "none", nil
	}
	texts := make([]string, len(list))
	for i, u := range list {
		texts[i] = u.String()
	}
	return strings.Join(texts, ","), nil
}

// link returns the card's PCIe link, as the driver tells it or else the kernel.
func (c *fpga) link() core.Reading {
	generation := family.ReadInt(c.scan.Host, c.user.dir+"/link_speed")
	width := family.ReadInt(c.scan.Host, c.user.dir+"/link_width")
	if r := family.Link(int(generation.Value), int(width.Value)); r.Value.Known() {
		return r
	}
	return family.ReadLink(c.scan.Host, c.user.address)
}

// runtimeEntry is the entry by which OpenCL finds XRT.
const runtimeEntry = "/etc/OpenCL/vendors/xilinx.icd"

// Grant hands over the render nodes. Programs load their images through them: the
// driver has the management function program the card.
func (i *instance) Grant(context.Context) (family.Grant, error) {
	if len(i.fpgas) == 0 {
		return family.Grant{}, errors.New("the card has no user function that a task could use")
	}
	var g family.Grant
	for _, c := range i.fpgas {
		nodes, err := family.RenderNodes(c.scan.Host, pci.Path(c.user.address))
		if err != nil && !sysfs.IsAbsent(err) {
			return family.Grant{}, fmt.Errorf("looking for the render node of %s: %w", c.user.address, err)
		}
		if len(nodes) == 0 {
			return family.Grant{}, fmt.Errorf("%s has no render node; is the card being reset? Look at the kernel log (dmesg)", c.user.address)
		}
		for _, node := range nodes {
			g.Nodes = append(g.Nodes, core.Node{Path: node, Permissions: "rw"})
		}
		g.Own = append(g.Own, c.user.address)
		if i.config.QDMANodes {
			if node, err := qdmaNode(c.user.address); err == nil {
				if there, err := c.scan.Host.Exists(node); err == nil && there {
					g.Nodes = append(g.Nodes, core.Node{Path: node, Permissions: "rw"})
				}
			}
		}
	}
	return g, i.mountRuntime(&g)
}

// mountRuntime adds the XRT runtime of the node, if it is configured.
func (i *instance) mountRuntime(g *family.Grant) error {
	dir := i.config.Runtime
	if dir == "" {
		return nil
	}
	host := i.fpgas[0].scan.Host
	switch there, err := host.Exists(dir); {
	case err != nil:
		return fmt.Errorf("looking for the XRT runtime: %w", err)
	case !there:
		return fmt.Errorf("the XRT runtime is not at %s: install it on the node, or change the setting runtime in the block xrt", host.Full(dir))
	}
	g.Env = map[string]string{"XILINX_XRT": dir}
	g.Mounts = append(g.Mounts, core.Mount{HostPath: dir, TaskPath: dir})
	if there, err := host.Exists(runtimeEntry); err == nil && there {
		g.Mounts = append(g.Mounts, core.Mount{HostPath: runtimeEntry, TaskPath: runtimeEntry})
	}
	return nil
}

// qdmaNode returns the path of the node by which programs stream to the kernels of
// a user function, which holds the function's address as one number
// (xocl/xocl_subdev.c, XOCL_DEV_ID).
func qdmaNode(address core.PCIAddress) (string, error) {
	var domain, bus, device, function uint32
	if _, err := fmt.Sscanf(string(address), "%x:%x:%x.%x", &domain, &bus, &device, &function); err != nil {
		return "", fmt.Errorf("%q: %w", address, err)
	}
	return fmt.Sprintf("/dev/xfpga/dma.qdma.u%d.0", domain<<16|bus<<8|device<<3|function), nil
}
