package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// hardware is what the machine has of a vendor.
type hardware struct {
	vendor *vendor
	fs     *sysfs.FS
	// bound are the functions that have a driver with which the plugin finds
	// them.
	bound []pci.Function
	// found says that there is any, whatever drives it.
	found bool
}

// passthrough are the drivers that hold a function for a virtual machine.
var passthrough = []string{"vfio-pci", "pci-stub", "xen-pciback", "uio_pci_generic"}

// hardware looks for a vendor's hardware and what drives it. wanted says that
// there is to be some, anything that what there is is to be looked at.
func (x *examination) hardware(v *vendor, fs *sysfs.FS, wanted, anything bool) *hardware {
	h := &hardware{vendor: v, fs: fs}
	functions, err := pci.List(fs, func(id pci.ID) bool { return v.familyOf(id) != nil })
	if err != nil && wanted {
		x.report.find(hostUnreadable, fs.Full(pci.Devices), values{"error": err.Error()})
	}
	h.found = len(functions) > 0 || slices.ContainsFunc(v.beside, func(dir string) bool {
		entries, err := fs.ReadDir(dir)
		return err == nil && len(entries) > 0
	})
	switch {
	case wanted || anything:
		if wanted && !h.found && err == nil {
			x.report.find(hardwareAbsent, v.hardware, values{"hardware": v.hardware})
		}
		x.drivers(h, functions)
	case len(functions) > 0 && len(x.Plugins) == 0:
		x.report.find(hardwareUnserved, v.hardware, values{
			"count": plural(len(functions), v.hardware), "plugin": v.plugin, "dir": x.config.pluginDir,
		}, addresses(functions))
	}
	return h
}

// drivers looks at what drives the functions of a vendor. Functions with the
// same trouble are one finding.
func (x *examination) drivers(h *hardware, functions []pci.Function) {
	type trouble struct {
		kind   *Kind
		driver string // the one that is wanted
		holder string
	}
	var order []trouble
	suffering := map[trouble][]pci.Function{}
	for _, fn := range functions {
		f := h.vendor.familyOf(fn.ID)
		t := trouble{driver: f.driver, holder: fn.Driver}
		switch {
		case f.drives(fn.Driver):
			h.bound = append(h.bound, fn)
			continue
		case slices.Contains(passthrough, fn.Driver):
			if fn.PhysFn != "" {
				continue // a virtual function is made to be passed through
			}
			t.kind = driverPassthrough
		case fn.Driver != "":
			t.kind = driverForeign
		case !loaded(h.fs, f):
			t.kind = moduleMissing
		default:
			t.kind = driverUnbound
		}
		if suffering[t] == nil {
			order = append(order, t)
		}
		suffering[t] = append(suffering[t], fn)
	}
	for _, t := range order {
		all := suffering[t]
		x.report.find(t.kind, addresses(all), values{
			"count": plural(len(all), h.vendor.hardware), "driver": t.driver, "holder": t.holder,
			"module": strings.ReplaceAll(t.driver, "-", "_"), "address": string(all[0].Address),
		})
	}
	if len(h.bound) > 0 {
		x.report.find(hardwareFound, h.vendor.hardware, values{"count": plural(len(h.bound), h.vendor.hardware)}, addresses(h.bound))
	}
}

// loaded reports whether a family's driver is in the kernel, as a module or
// built in.
func loaded(fs *sysfs.FS, f *family) bool {
	for _, path := range []string{"/sys/module/" + f.module, "/sys/bus/pci/drivers/" + f.driver} {
		if there, err := fs.Exists(path); err == nil && there {
			return true
		}
	}
	return false
}

// addresses lists functions by their addresses.
func addresses(functions []pci.Function) string {
	all := make([]string, len(functions))
	for i, fn := range functions {
		all[i] = string(fn.Address)
	}
	return some(all)
}

// some joins a list that people read: not all of a long one.
func some(list []string) string {
	const most = 8
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// plural counts things: "1 NVIDIA GPU", "8 NVIDIA GPUs".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
