package family

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// ErrDenied says that something is never handed to a task.
var ErrDenied = errors.New("it is never handed to a task")

// Rule denies device nodes.
type Rule struct {
	// Nodes are the nodes, for people; node matches them.
	Nodes string
	node  *regexp.Regexp
	// Can is what a task that holds one can do.
	Can string
	// Exception is the setting by which a Grant may hold one by its Exceptions;
	// empty means never.
	Exception string
}

// denied are the nodes by which a task could take more than its device: write
// flash, load any image, reset the card or the host, read the host's memory.
var denied = []Rule{
	{"`/dev/dfl-fme.*`, `/dev/intel-fpga-fme.*`", regexp.MustCompile(`^/dev/(dfl-fme|intel-fpga-fme)\.\d+$`), "program the card and take the ports of other tasks", `dfl.mode = "region"`},
	{"`/dev/ami0`", regexp.MustCompile(`^/dev/ami0$`), "reach all cards of the driver", ""},
	{"`/dev/ami*`", regexp.MustCompile(`^/dev/ami`), "write the card's flash, reset it and choose what it boots", "ami.expose_mgmt_node = true"},
	{"`/dev/xclmgmt*`", regexp.MustCompile(`^/dev/xclmgmt`), "write the card's flash and reset it", ""},
	{"`/dev/xfpga/*.m*`", regexp.MustCompile(`^/dev/xfpga/.*\.m\d+`), "reach the card's configuration port, JTAG or mailbox", ""},
	{"`/dev/fpga_image_load*`, `/dev/ifpga_sec*`, `/dev/mtd*`, `/dev/avmmi-bmc*`", regexp.MustCompile(`^/dev/(fpga_image_load|ifpga_sec|mtd|avmmi-bmc)`), "write the card's flash or reach its board controller", ""},
	{"`/dev/fpga*` of vendors' kernels", regexp.MustCompile(`^/dev/fpga\d+$`), "program the FPGA", ""},
	{"`/dev/ptp*`", regexp.MustCompile(`^/dev/ptp`), "set a clock that others use", ""},
	{"`/dev/mem`, `/dev/kmem`, `/dev/port`", regexp.MustCompile(`^/dev/(mem|kmem|port)$`), "read and write the host's memory", ""},
}

// Denied returns the rules, for documentation.
func Denied() []Rule { return denied }

// Check returns an error that wraps [ErrDenied] if a grant holds what must never
// be handed to a task, whoever put it there. Nodes are looked at by their own
// name and by what they lead to.
func Check(host *sysfs.FS, grant Grant) error {
	var errs []error
	for _, n := range grant.Nodes {
		names := []string{path.Clean(n.Path)}
		if at, err := host.Resolve(n.Path); err == nil && at != names[0] {
			names = append(names, at)
		}
		for _, name := range names {
			if err := checkNode(host, grant, name); err != nil {
				errs = append(errs, fmt.Errorf("device node %s: %w", n.Path, err))
				break
			}
		}
	}
	for _, m := range grant.Mounts {
		if err := checkMount(host, m); err != nil {
			errs = append(errs, fmt.Errorf("mount of %s: %w", m.HostPath, err))
		}
	}
	return errors.Join(errs...)
}

// Danger returns what a task could do with a node that is never handed over, or
// only by way of [Grant.Exceptions]: "write the card's flash". It is empty for
// all other nodes. It knows the node by its name alone; see [Check].
func Danger(node string) string {
	for _, r := range denied {
		if r.node.MatchString(node) {
			return r.Can
		}
	}
	return ""
}

func deny(why string) error { return fmt.Errorf("%w: %s", ErrDenied, why) }

func checkNode(host *sysfs.FS, grant Grant, node string) error {
	if !strings.HasPrefix(node, "/dev/") {
		return deny("it is not below /dev")
	}
	for _, r := range denied {
		if r.node.MatchString(node) && (r.Exception == "" || !slices.Contains(grant.Exceptions, node)) {
			return deny("with it a task can " + r.Can)
		}
	}
	if number, ok := strings.CutPrefix(node, "/dev/uio"); ok {
		return checkUIO(host, number)
	}
	if group, ok := strings.CutPrefix(node, "/dev/vfio/"); ok && group != "vfio" {
		return checkGroup(host, grant.Own, group)
	}
	return nil
}

// fmeFeature in a DFL device's file "type" makes it a feature of the management
// engine (drivers/fpga/dfl.h, enum dfl_id_type).
const fmeFeature = 0

// checkUIO denies the features of a DFL card's management engine, such as its
// Ethernet.
func checkUIO(host *sysfs.FS, number string) error {
	kind := ReadUint(host, "/sys/class/uio/uio"+number+"/device/type")
	switch {
	case kind.Known() && kind.Value == fmeFeature:
		return deny("it is a feature of the card's management engine")
	case kind.State == Unknown:
		return deny(fmt.Sprintf("whether it belongs to the card's management engine cannot be read (%v)", kind.Err))
	default:
		return nil
	}
}

// checkGroup denies an IOMMU group that holds functions of others: whoever holds
// the group has them all. Bridges do not count, which VFIO leaves alone.
func checkGroup(host *sysfs.FS, own []core.PCIAddress, group string) error {
	names, err := host.ReadDir("/sys/kernel/iommu_groups/" + group + "/devices")
	if err != nil {
		return deny(fmt.Sprintf("what is in the IOMMU group cannot be read (%v)", err))
	}
	for _, name := range names {
		address := core.PCIAddress(name)
		if slices.Contains(own, address) {
			continue
		}
		if id, err := pci.ReadID(host, address); err == nil && id.BaseClass() == classBridge {
			continue
		}
		return deny("the IOMMU group holds " + name + ", which is not part of the device")
	}
	return nil
}

// classBridge is PCI's base class of bridges.
const classBridge = 0x06

// bar are the files of a PCI function that a task may map.
var bar = regexp.MustCompile(`^resource[0-5](_wc)?$`)

// checkMount denies writable files of sysfs, by which a card is reset, removed,
// reprogrammed or split, but for the BARs of functions that do not manage one.
func checkMount(host *sysfs.FS, mount core.Mount) error {
	at, err := host.Resolve(mount.HostPath)
	if err != nil {
		at = path.Clean(mount.HostPath)
	}
	switch {
	case strings.HasPrefix(at, "/dev/"):
		return deny("device nodes are handed over as nodes")
	case !mount.Writable || !below(at, "/sys") && at != "/sys":
		return nil
	case !bar.MatchString(path.Base(at)):
		return deny("writing to sysfs resets, removes or reprograms cards")
	}
	address, _, ok := Function(at)
	if !ok {
		return deny("it belongs to no PCI function")
	}
	id, err := pci.ReadID(host, address)
	switch {
	case err != nil:
		return deny(fmt.Sprintf("whose function it is cannot be read (%v)", err))
	case slices.Contains(AWSManagement, id.String()):
		return deny("it is the management function, which loads images and watches other tasks")
	default:
		return nil
	}
}

// AWSManagement are vendor and device of the functions that manage the slots of
// F1 and F2 (aws-fpga, sdk/userspace/fpga_libs/fpga_mgmt).
var AWSManagement = []string{"1d0f:1041", "1d0f:9248"}
