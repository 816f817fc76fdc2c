package amd

import (
	"fmt"
	"path"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/pcitree"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// drmTree is the DRM devices of a GPU: those of its PCI function, and the ones of
// the platform devices that a GPU which can be divided has for all partitions
// there could be (amdgpu_xcp_drv.c).
func drmTree(t *tree.Tree, g gpu) {
	own := part{card: g.minors.card, render: g.minors.render, platform: -1}
	drmDevices(t, g.dir(), "pci-"+g.address.String(), own, g.is("node", true))
	for _, connector := range words(g.text("display.connectors")) {
		card := fmt.Sprintf("card%d", own.card)
		t.File(g.file(path.Join("drm", card, card+"-"+connector, "status")), "disconnected")
		t.Link("/sys/class/drm/"+card+"-"+connector, g.file(path.Join("drm", card, card+"-"+connector)))
	}
	if !g.divisible() {
		return
	}
	for i := 1; i < maxPartitions; i++ {
		p := g.platformPart(i)
		if p.render > lastRender {
			continue
		}
		name := fmt.Sprintf("amdgpu_xcp_%d", p.platform)
		at := "/sys/devices/platform/" + name
		t.File(path.Join(at, "modalias"), "platform:amdgpu_xcp")
		t.Link(path.Join(at, "subsystem"), "/sys/bus/platform")
		t.Link("/sys/bus/platform/devices/"+name, at)
		drmDevices(t, at, "platform-"+name, p, g.is("node", true))
	}
}

// displayTree is the display that the machine has beside its GPUs: of its
// management controller, or the frame buffer of the firmware.
func displayTree(t *tree.Tree, v machine.View) error {
	driver := v.Machine("display.driver")
	if driver == "" {
		return nil
	}
	card := number(v.Machine("drm.card"), 0)
	text := v.Machine("display.address")
	if text == "" {
		const at = "/sys/devices/platform/simple-framebuffer.0"
		t.Link(at+"/subsystem", "/sys/bus/platform")
		t.Link(at+"/driver", "/sys/bus/platform/drivers/"+driver)
		t.Dir("/sys/bus/platform/drivers/" + driver)
		drmDevice(t, at, "platform-simple-framebuffer.0-card", fmt.Sprintf("card%d", card), card, true)
		return nil
	}
	a, err := pcitree.Parse(text)
	if err != nil {
		return fmt.Errorf("display.address: %w", err)
	}
	at := path.Join(pcitree.Root(a.Domain, a.Bus), a.String())
	pcitree.Function{Address: a, At: at, Driver: driver, Files: map[string]string{
		"vendor": "0x1a03", "device": "0x2000", "class": "0x030000", "revision": "0x52",
		"subsystem_vendor": "0x15d9", "subsystem_device": "0x1c05", "numa_node": "0", "local_cpulist": "0",
	}}.Write(t)
	drmDevice(t, at, "pci-"+a.String()+"-card", fmt.Sprintf("card%d", card), card, true)
	return nil
}

// drmDevices makes the card and the render node of a device.
func drmDevices(t *tree.Tree, at, byPath string, p part, withNode bool) {
	drmDevice(t, at, byPath+"-card", fmt.Sprintf("card%d", p.card), p.card, true)
	drmDevice(t, at, byPath+"-render", fmt.Sprintf("renderD%d", p.render), p.render, withNode)
}

// majorDRM is the major number of DRM devices.
const majorDRM = 226

func drmDevice(t *tree.Tree, parent, byPath, name string, minor int, withNode bool) {
	at := path.Join(parent, "drm", name)
	t.File(path.Join(at, "dev"), fmt.Sprintf("%d:%d", majorDRM, minor))
	t.File(path.Join(at, "uevent"), fmt.Sprintf("MAJOR=%d\nMINOR=%d\nDEVNAME=dri/%s\nDEVTYPE=drm_minor\n", majorDRM, minor, name))
	t.Link(path.Join(at, "device"), parent)
	t.Link(path.Join(at, "subsystem"), "/sys/class/drm")
	t.Link("/sys/class/drm/"+name, at)
	t.Link(fmt.Sprintf("/sys/dev/char/%d:%d", majorDRM, minor), at)
	if withNode {
		t.Node("/dev/dri/" + name)
		t.Link("/dev/dri/by-path/"+byPath, "/dev/dri/"+name)
	}
}
