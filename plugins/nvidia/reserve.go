package nvidia

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// envDevicePrefix begins the name of the variable that each device has of its
// own. Of two device blocks in one task, Nomad keeps the joined lists of the
// last one only; these variables of both are there.
const envDevicePrefix = "NVIDIA_DEVICE_"

// The driver's nodes (NVIDIA/nvidia-container-toolkit, pkg/nvcdi). MIG
// capabilities are nodes of their own, see migMinorsPath.
const (
	nodeControl  = "/dev/nvidiactl"
	nodeUVM      = "/dev/nvidia-uvm"
	nodeUVMTools = "/dev/nvidia-uvm-tools"
	nodeModeset  = "/dev/nvidia-modeset"
	nodeGPU      = "/dev/nvidia"                            // and the minor number
	nodeCap      = "/dev/nvidia-caps/nvidia-cap"            // and the minor number
	nodeIMEX     = "/dev/nvidia-caps-imex-channels/channel" // and the channel
	nodeDRI      = "/dev/dri"
)

// claim is what a reservation needs to know about a device.
type claim struct {
	uuid string
	pci  core.PCIAddress
	// minor is N of /dev/nvidiaN, of the whole GPU for a MIG instance; -1 where
	// the driver does not tell.
	minor int
	// mig says that the device is the compute instance ci in the GPU instance
	// gi.
	mig    bool
	gi, ci int
}

// grant says what a task needs to use a device. It asks no driver: the nodes are
// looked up in the host's files, because they may have moved since the last
// look, and because the driver may hang.
func (c *Config) grant(host *sysfs.FS, d claim) (core.Grant, error) {
	g := core.Grant{
		Env:   map[string]string{envDevicePrefix + slug(d.uuid): d.uuid},
		Lists: map[string][]string{},
	}
	if c.CUDAVisibleDevices {
		g.Lists[envCUDAVisibleDevices] = []string{d.uuid}
	}
	for _, n := range c.ExtraNodes {
		g.Nodes = append(g.Nodes, core.Node{Path: path.Clean(n), Permissions: "rw"})
	}
	if c.Access == accessDevices {
		nodes, err := c.nodes(host, d)
		g.Nodes = append(g.Nodes, nodes...)
		return g, err
	}
	g.Lists[c.VisibleDevicesEnv] = []string{d.uuid}
	if c.DriverCapabilities != "" {
		g.Env[envCapabilities] = c.DriverCapabilities
	}
	for _, channel := range numbers(c.IMEXChannels) {
		g.Lists[envIMEXChannels] = append(g.Lists[envIMEXChannels], strconv.Itoa(channel))
	}
	return g, nil
}

// nodes returns the device nodes that make a device work without NVIDIA's
// container runtime.
func (c *Config) nodes(host *sysfs.FS, d claim) ([]core.Node, error) {
	if d.minor < 0 {
		return nil, fmt.Errorf(`the driver does not tell which of %s0, %s1, … this GPU is; use access = "runtime"`, nodeGPU, nodeGPU)
	}
	needed := []struct{ path, create string }{
		{nodeControl, "run nvidia-smi or nvidia-modprobe on the node"},
		{nodeGPU + strconv.Itoa(d.minor), fmt.Sprintf("run nvidia-modprobe -c %d on the node", d.minor)},
		{nodeUVM, "load the module nvidia-uvm, or run nvidia-modprobe -u -c 0 on the node"},
	}
	if d.mig {
		gi, ci, err := capNodes(host, d)
		if err != nil {
			return nil, err
		}
		at := fmt.Sprintf("run nvidia-modprobe -f /proc/driver/nvidia/capabilities/gpu%d/mig/gi%d", d.minor, d.gi)
		needed = append(
			needed,
			struct{ path, create string }{gi, at + "/access on the node"},
			struct{ path, create string }{ci, at + fmt.Sprintf("/ci%d/access on the node", d.ci)},
		)
	}
	for _, channel := range numbers(c.IMEXChannels) {
		needed = append(needed, struct{ path, create string }{
			nodeIMEX + strconv.Itoa(channel), fmt.Sprintf("run nvidia-modprobe -i %d on the node", channel),
		})
	}
	var nodes []core.Node
	for _, n := range needed {
		switch there, err := host.Exists(n.path); {
		case err != nil:
			return nil, fmt.Errorf("looking for the device node: %w", err)
		case !there:
			return nil, fmt.Errorf("the device node %s does not exist; %s", host.Full(n.path), n.create)
		}
		nodes = append(nodes, core.Node{Path: n.path, Permissions: "rw"})
	}
	for _, optional := range []string{nodeUVMTools, nodeModeset} {
		nodes = append(nodes, core.Node{Path: optional, Permissions: "rw", Optional: true})
	}
	if c.DRINodes {
		graphics, err := driNodes(host, d.pci)
		nodes = append(nodes, graphics...)
		return nodes, err
	}
	return nodes, nil
}

// capNodes returns the nodes that give access to a MIG instance. Their numbers
// are the loaded driver's to choose, so they are read anew each time.
func capNodes(host *sysfs.FS, d claim) (gi, ci string, err error) {
	data, err := host.ReadLimit(migMinorsPath, maxMIGMinors)
	if err != nil {
		return "", "", fmt.Errorf("cannot tell the capability nodes of the MIG instance: %w", err)
	}
	names := []migCap{gpuInstanceCap(d.minor, d.gi), computeInstanceCap(d.minor, d.gi, d.ci)}
	minors, err := parseMIGMinors(data, names...)
	if err != nil {
		return "", "", fmt.Errorf("cannot tell the capability nodes of the MIG instance: %s: %w", migMinorsPath, err)
	}
	paths := make([]string, len(names))
	for i, name := range names {
		if minors[i] < 0 {
			return "", "", fmt.Errorf("%s has no entry %q: the MIG layout changed; the job gets another device when it is placed again", migMinorsPath, name)
		}
		paths[i] = nodeCap + strconv.Itoa(minors[i])
	}
	return paths[0], paths[1], nil
}

// driNodes returns the graphics nodes of the GPU at an address
// (Documentation/ABI/stable/sysfs-bus-pci-devices and drm: the directory drm of
// a PCI device holds cardX and renderDX).
func driNodes(host *sysfs.FS, pci core.PCIAddress) ([]core.Node, error) {
	if pci == "" {
		return nil, fmt.Errorf("the graphics nodes cannot be found: the GPU has no PCI address; set dri_nodes = false")
	}
	dir := path.Join("/sys/bus/pci/devices", string(pci), "drm")
	names, err := host.ReadDir(dir)
	if sysfs.IsAbsent(err) {
		return nil, fmt.Errorf("the GPU has no graphics nodes: %s does not exist; load the module nvidia-drm or set dri_nodes = false", host.Full(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("looking for the graphics nodes: %w", err)
	}
	var nodes []core.Node
	for _, name := range names {
		if strings.HasPrefix(name, "card") || strings.HasPrefix(name, "renderD") {
			nodes = append(nodes, core.Node{Path: path.Join(nodeDRI, name), Permissions: "rw"})
		}
	}
	return nodes, nil
}

// slug makes a part of a variable's name from a UUID. NVIDIA's UUIDs are
// hexadecimal, so no two of them have one slug.
func slug(uuid string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, uuid)
}
