package amd

import (
	"cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// hostTree gives the /sys, /proc and /dev of the machine.
func hostTree(v machine.View) (*tree.Tree, error) {
	t := &tree.Tree{}
	for _, d := range []string{"/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/class/drm", "/sys/class/hwmon", "/sys/module", "/dev"} {
		t.Dir(d)
	}
	if release := v.Machine("kernel.release"); release != "" {
		t.File("/proc/sys/kernel/osrelease", release)
	}
	all, err := gpus(v)
	if err != nil {
		return nil, err
	}
	if err := displayTree(t, v); err != nil {
		return nil, err
	}
	if v.Loaded() {
		moduleTree(t, v)
	}
	for _, g := range all {
		if !g.is("present", true) {
			continue
		}
		pciTree(t, g)
		if !g.bound() {
			continue
		}
		f := newFiles(t, g)
		cardTree(f, g)
		rasTree(f, g)
		if !g.drm() {
			continue
		}
		drmTree(t, g)
		hwmonTree(f, g)
		blob, err := metrics(g)
		if err != nil {
			return nil, err
		}
		if blob != nil {
			f.binary(g.file("gpu_metrics"), blob)
		}
	}
	if v.Loaded() {
		kfdTree(t, v, all)
	}
	if machine.True(v.Machine("lists.unreadable"), false) {
		for _, list := range []string{"/sys/bus/pci/devices", "/sys/class/drm", kfdDir + "/topology"} {
			t.Remove(list)
			t.File(list, "not a directory")
		}
	}
	return t, nil
}

// moduleTree is what the driver shows as soon as it is loaded.
func moduleTree(t *tree.Tree, v machine.View) {
	const module = "/sys/module/amdgpu"
	t.File(module+"/initstate", "live")
	t.File(module+"/refcnt", "1")
	// Only modules from outside the kernel tree have a version.
	if version := v.Machine("driver.version"); version != "" {
		t.File(module+"/version", version)
	}
	t.File(module+"/parameters/bad_page_threshold", cmp.Or(v.Machine("driver.bad_page_threshold"), "-1"))
	t.Dir("/sys/bus/pci/drivers/amdgpu")
	t.Link(module+"/drivers/pci:amdgpu", "/sys/bus/pci/drivers/amdgpu")
}
