package doctor

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// nodes looks at the device nodes of a vendor's hardware.
func (x *examination) nodes(h *hardware) {
	if len(h.bound) == 0 {
		return
	}
	var there []string
	var order []string
	closed := map[string][]string{} // by who may use them
	for _, node := range h.vendor.nodes(h.fs, h.bound) {
		info, err := h.fs.Stat(node)
		switch {
		case sysfs.IsAbsent(err):
			x.report.find(nodeMissing, node, values{"hardware": h.vendor.hardware, "command": h.vendor.makeNodes})
		case err != nil:
			x.report.find(hostUnreadable, h.fs.Full(node), values{"error": err.Error()})
		case info.Mode()&fs.ModeCharDevice == 0:
			x.report.find(nodeNotDevice, node, values{"kind": kindOf(info.Mode()), "node": node, "command": h.vendor.makeNodes})
		default:
			there = append(there, node)
			if info.Mode().Perm()&0o006 == 0o006 {
				continue
			}
			who := fmt.Sprintf("%s, mode %04o", owner(h.fs, info), info.Mode().Perm())
			if closed[who] == nil {
				order = append(order, who)
			}
			closed[who] = append(closed[who], node)
		}
	}
	for _, who := range order {
		x.report.find(nodeClosed, some(closed[who]), values{"owner": who, "name": numbered.ReplaceAllString(path.Base(closed[who][0]), "*")})
	}
	if len(there) > 0 {
		x.report.find(nodesThere, h.vendor.hardware, values{"count": plural(len(there), "device node")}, some(there))
	}
}

// numbered is the end of a node's name that tells it from others of its kind.
var numbered = regexp.MustCompile(`[0-9]+$`)

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode.IsRegular():
		return "a regular file"
	default:
		return "no character device"
	}
}

// owner names the user and the group of a file by the host's own lists.
func owner(host *sysfs.FS, info fs.FileInfo) string {
	uid, gid, ok := ids(info)
	if !ok {
		return "of an unknown owner"
	}
	return fmt.Sprintf("user %s, group %s", nameOf(host, "/etc/passwd", uid), nameOf(host, "/etc/group", gid))
}

// nameOf looks up a number in /etc/passwd or /etc/group, which both have the
// name first and the number third.
func nameOf(host *sysfs.FS, file string, id uint32) string {
	number := fmt.Sprint(id)
	text, err := host.ReadString(file)
	if err == nil {
		for line := range strings.Lines(text) {
			if fields := strings.Split(line, ":"); len(fields) > 2 && fields[2] == number {
				return fields[0]
			}
		}
	}
	return number
}

// nvidiaNodes are those of NVIDIA's driver: one for the driver, one for CUDA's
// memory, one for each GPU under the minor number that the driver gave it.
func nvidiaNodes(host *sysfs.FS, _ []pci.Function) []string {
	all := []string{"/dev/nvidiactl", "/dev/nvidia-uvm"}
	const gpus = "/proc/driver/nvidia/gpus"
	names, err := host.ReadDir(gpus)
	if err != nil {
		return all
	}
	for _, name := range names {
		text, err := host.ReadString(gpus + "/" + name + "/information")
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			if minor, found := strings.CutPrefix(line, "Device Minor:"); found {
				all = append(all, "/dev/nvidia"+strings.TrimSpace(minor))
			}
		}
	}
	return all
}

// amdNodes are the node of the compute driver and the render node of each GPU.
func amdNodes(host *sysfs.FS, functions []pci.Function) []string {
	return append([]string{"/dev/kfd"}, renderNodes(host, functions)...)
}

// fpgaNodes are the ports of cards with Intel's drivers and the render nodes of
// those with XRT.
func fpgaNodes(host *sysfs.FS, functions []pci.Function) []string {
	all := renderNodes(host, functions)
	for _, class := range []string{"/sys/class/fpga_region", "/sys/class/fpga"} {
		regions, err := host.ReadDir(class)
		if err != nil {
			continue
		}
		for _, region := range regions {
			entries, err := host.ReadDir(class + "/" + region)
			if err != nil {
				continue
			}
			for _, entry := range entries {
				if strings.HasPrefix(entry, "dfl-port.") || strings.HasPrefix(entry, "intel-fpga-port.") {
					all = append(all, "/dev/"+entry)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func renderNodes(host *sysfs.FS, functions []pci.Function) []string {
	var all []string
	for _, fn := range functions {
		names, err := host.ReadDir(pci.Path(fn.Address) + "/drm")
		if err != nil {
			continue
		}
		for _, name := range names {
			if strings.HasPrefix(name, "renderD") {
				all = append(all, "/dev/dri/"+name)
			}
		}
	}
	return all
}
