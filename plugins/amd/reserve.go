package amd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

// The variables that a reservation can set.
const (
	// envROCR is read by ROCr, below HIP and OpenCL: a list of "GPU-" and 16
	// hexadecimal digits of the node's unique_id in KFD, or of indices
	// (ROCR-Runtime, amd_filter_device.cpp). HIP's own variables come after it and
	// count what it left over, so they are never set here: two lists of the node's
	// indices, one behind the other, select nothing.
	envROCR = "ROCR_VISIBLE_DEVICES"
	// envRuntime is read by AMD's container runtime: "0x" and the unique ID
	// (ROCm/container-toolkit, internal/oci).
	envRuntime = "AMD_VISIBLE_DEVICES"
	// envDevice begins the name of a variable that each device has to itself: of
	// variables with one name, Nomad keeps those of one device block.
	envDevice = "AMD_GPU_"
)

// renderNode returns the path of a render node.
func renderNode(minor int) string { return fmt.Sprintf("/dev/dri/renderD%d", minor) }

// renderClass returns the path of a render node's link among the DRM devices.
func renderClass(minor int) string { return fmt.Sprintf("/sys/class/drm/renderD%d", minor) }

// Grant says what a task needs to use a device. Minors and KFD's nodes are looked
// up anew: a change of partitions moves them.
func (v *Vendor) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	r, err := refOf(d)
	if err != nil {
		return core.Grant{}, err
	}
	if v.cfg.Access == accessRuntime {
		return v.runtimeGrant(r)
	}
	topology, err := kfd.Read(v.host)
	if err != nil && r.compute {
		return core.Grant{}, err
	}
	now, err := v.lookUp(r, topology)
	if err != nil {
		return core.Grant{}, err
	}
	g := core.Grant{Env: map[string]string{envDevice + identifier(d.ID): renderNode(now.node.RenderMinor)}}
	if now.compute {
		g.Nodes = append(g.Nodes, core.Node{Path: kfdNode, Permissions: "rw"})
	}
	g.Nodes = append(g.Nodes, core.Node{Path: renderNode(now.node.RenderMinor), Permissions: "rw"})
	if v.cfg.CardNode {
		card, err := v.cardNode(now.node.RenderMinor)
		if err != nil {
			return core.Grant{}, err
		}
		g.Nodes = append(g.Nodes, core.Node{Path: card, Permissions: "rw"})
	}
	if now.compute {
		if token := v.token(now.node, topology.GPUs); token != "" {
			g.Lists = map[string][]string{envROCR: {token}}
		}
	}
	return g, nil
}

// errMoved says that a device is not what it was when it was last looked at.
var errMoved = errors.New("its partitions were changed since it was last looked at; it is listed anew in a moment")

// lookUp returns the device's ref as it is now.
func (v *Vendor) lookUp(r *ref, topology kfd.Topology) (ref, error) {
	now := *r
	if !r.compute {
		minor, err := v.renderMinor(r.at)
		now.node.RenderMinor = minor
		return now, err
	}
	var nodes []kfd.Node
	unread := errors.Join(topology.Unread...)
	for _, n := range topology.GPUs {
		if address, err := addressOf(v.host, n, func(a core.PCIAddress) bool { return a == r.at }); err == nil && address == r.at {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, byRenderMinor)
	i := 0
	if r.part != whole {
		numbers, _ := numbers(r.mode, nodes)
		i = slices.Index(numbers, r.part)
	} else if len(nodes) > 1 {
		i = slices.IndexFunc(nodes, func(n kfd.Node) bool { return n.Number == r.node.Number })
	}
	switch {
	case len(nodes) == 0 && unread == nil:
		return ref{}, errors.New("it has no node in KFD's topology")
	case (i < 0 || i >= len(nodes)) && unread != nil:
		return ref{}, fmt.Errorf("it is not in the part of KFD's topology that can be read: %w", unread)
	case i < 0 || !same(nodes[i], r.node):
		return ref{}, errMoved
	}
	now.node = nodes[i]
	if now.node.RenderMinor == 0 && r.part == whole {
		now.node.RenderMinor, _ = v.renderMinor(r.at)
	}
	if now.node.RenderMinor == 0 {
		return ref{}, errors.New("the driver shows no render node for it")
	}
	return now, nil
}

// same reports whether a node is as large as it was. Where that cannot be read, it
// is taken to be.
func same(now, before kfd.Node) bool {
	return now.ComputeUnits == before.ComputeUnits &&
		(now.Memory == before.Memory || now.MemoryErr != nil || before.MemoryErr != nil)
}

func byRenderMinor(a, b kfd.Node) int { return a.RenderMinor - b.RenderMinor }

var renderName = regexp.MustCompile(`^renderD(\d+)$`)

// renderMinor returns the minor of a whole GPU's render node.
func (v *Vendor) renderMinor(address core.PCIAddress) (int, error) {
	names, err := v.host.ReadDir(pci.Path(address) + "/drm")
	if err != nil {
		return 0, fmt.Errorf("the GPU has no DRM devices: %w", err)
	}
	for _, name := range names {
		if match := renderName.FindStringSubmatch(name); match != nil {
			return strconv.Atoi(match[1])
		}
	}
	return 0, errors.New("the GPU has no render node")
}

var cardName = regexp.MustCompile(`^card\d+$`)

// cardNode returns the card node that belongs to a render node.
func (v *Vendor) cardNode(minor int) (string, error) {
	link := renderClass(minor)
	target, err := v.host.Readlink(link)
	if err != nil {
		return "", fmt.Errorf("looking for the card node of %s: %w", renderNode(minor), err)
	}
	names, err := v.host.ReadDir(path.Dir(path.Join(path.Dir(link), target)))
	if err != nil {
		return "", fmt.Errorf("looking for the card node of %s: %w", renderNode(minor), err)
	}
	for _, name := range names {
		if cardName.MatchString(name) {
			return "/dev/dri/" + name, nil
		}
	}
	return "", fmt.Errorf("%s has no card node beside it, and card_node = true", renderNode(minor))
}

// token returns what ROCr selects the device by, or "" if the variable is better
// left out: ROCr ends its list at the first token that it cannot match, or that
// matches twice, and leaves out what has none. So GPUs are named by their unique IDs
// only where each has one that may be in one reservation with them, which are those
// of their kind and size.
func (v *Vendor) token(n kfd.Node, all []kfd.Node) string {
	switch v.cfg.ROCRVisibleDevices {
	case visibleIndex:
		return strconv.Itoa(slices.IndexFunc(all, func(other kfd.Node) bool { return other.Number == n.Number }))
	case visibleUUID:
		bearers := map[uint64]int{}
		for _, other := range all {
			bearers[other.UniqueID]++
		}
		for _, other := range all {
			fellow := other.DeviceID == n.DeviceID && other.ComputeUnits == n.ComputeUnits ||
				v.cfg.GroupBy == groupByGFX && other.GFXVersion == n.GFXVersion
			if fellow && (other.UniqueID == 0 || bearers[other.UniqueID] > 1) {
				return ""
			}
		}
		return fmt.Sprintf("GPU-%016x", n.UniqueID)
	default:
		return ""
	}
}

// runtimeGrant names the GPU to AMD's container runtime, which hands it over. The
// runtime would drop a name that it cannot match, and start the task without.
func (v *Vendor) runtimeGrant(r *ref) (core.Grant, error) {
	switch {
	case r.part != whole:
		return core.Grant{}, errors.New(`AMD's container runtime hands over all partitions of a GPU, never one of them: use access = "devices"`)
	case r.uid == "":
		return core.Grant{}, errors.New(`the GPU has no unique ID to itself that AMD's container runtime could be told: use access = "devices"`)
	}
	return core.Grant{Lists: map[string][]string{envRuntime: {"0x" + r.uid}}}, nil
}

// identifier turns a device's ID into a part of a variable's name:
// "GPU_3A68248A3B6D0598_CPX3".
func identifier(id string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, id)
}

// accessNotes says who may open the nodes, if that is not everybody: tasks run as
// users of their own, and the plugin changes no modes.
func accessNotes(host *sysfs.FS, info fs.FileInfo) []core.Note {
	if info.Mode().Perm()&0o006 == 0o006 {
		return nil
	}
	owners := "its owner and group"
	if name := groupOf(host, info); name != "" {
		owners = "root and the group " + name
	}
	return []core.Note{{
		Subject: kfdNode,
		Text: fmt.Sprintf("only %s may open it (mode %04o). A container whose user is not among them is handed the node and refused by it: "+
			"add the group's number to the task (docker: group_add), "+
			`or open the nodes with udev rules: KERNEL=="kfd", MODE="0666" and SUBSYSTEM=="drm", KERNEL=="renderD*", MODE="0666"`, owners, info.Mode().Perm()),
	}}
}
