package family

import (
	"regexp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

var renderNode = regexp.MustCompile(`^renderD\d+$`)

// RenderNodes returns the paths in /dev of a device's render nodes, by the
// directories in its directory drm (Documentation/gpu/drm-uapi.rst, "Render
// nodes"). A device that has none is an error for which [sysfs.IsAbsent] is true,
// or an empty list.
func RenderNodes(host *sysfs.FS, dir string) ([]string, error) {
	names, err := host.ReadDir(dir + "/drm")
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, name := range names {
		if renderNode.MatchString(name) {
			nodes = append(nodes, "/dev/dri/"+name)
		}
	}
	return nodes, nil
}

const codeNoRenderNode = "no-render-node"

// RenderFaults says whether a task could be given a device by its render nodes:
// that it has some, and that /dev has them. remedy is what to do for one that has
// none.
func RenderFaults(host *sysfs.FS, dir, remedy string) []core.Fault {
	fault := core.Fault{Code: codeNoRenderNode, Severity: core.Soft, Remedy: remedy}
	nodes, err := RenderNodes(host, dir)
	switch {
	case err != nil && !sysfs.IsAbsent(err):
		fault.Reason = "the device's render node cannot be looked up: " + err.Error()
		return []core.Fault{fault}
	case len(nodes) == 0:
		fault.Reason = "the device has no render node"
		return []core.Fault{fault}
	}
	for _, node := range nodes {
		if there, err := host.Exists(node); err == nil && !there {
			fault.Reason, fault.Remedy = "its device node "+node+" is missing", "look whether udev runs"
			return []core.Fault{fault}
		}
	}
	return nil
}
