package family

import (
	"regexp"

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
