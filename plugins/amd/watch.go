package amd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/core/uevent"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/smi"
)

// Watch waits for what the kernel tells of the GPUs: by uevents, which anybody may
// hear, and by KFD's events if the configuration asks for them. Both are the
// kernel's that runs, so with the files of another host there is nothing to hear.
func (v *Vendor) Watch(ctx context.Context, devices []core.Device, emit func(core.Event)) error {
	if v.host.Root() != "/" {
		return nil
	}
	where := newWhereabouts(devices)
	return core.WatchAll(
		ctx,
		func(ctx context.Context) error {
			return uevent.Watch(ctx, func(e uevent.Event) bool { return where.uevent(e, emit) }, emit)
		},
		func(ctx context.Context) error { return v.listen(ctx, where, emit) },
	)
}

// whereabouts finds devices by what events name them by.
type whereabouts struct {
	byAddress map[core.PCIAddress][]string // IDs of the devices of a GPU
	byNode    map[uint32]core.Device       // by KFD's number; empty if a GPU can be divided
}

func newWhereabouts(devices []core.Device) *whereabouts {
	w := &whereabouts{byAddress: map[core.PCIAddress][]string{}, byNode: map[uint32]core.Device{}}
	divisible := false
	for _, d := range devices {
		r, err := refOf(d)
		if err != nil {
			continue
		}
		w.byAddress[r.at] = append(w.byAddress[r.at], d.ID)
		divisible = divisible || r.divisible
		if r.compute && r.node.ID != 0 {
			w.byNode[r.node.ID] = d
		}
	}
	// While anybody holds /dev/kfd open, the driver divides no GPU anew, whichever
	// was asked for.
	if divisible {
		clear(w.byNode)
	}
	return w
}

// uevent says whether a uevent asks for a look, and lays a fault on a GPU that the
// driver gave up.
func (w *whereabouts) uevent(e uevent.Event, emit func(core.Event)) bool {
	switch e.Subsystem {
	case "drm":
		if recovery := e.Vars["WEDGED"]; recovery != "" {
			w.wedged(e.Path, recovery, emit)
		}
		return true
	case "pci":
		return strings.HasPrefix(strings.ToUpper(e.Vars["PCI_ID"]), "1002:")
	case "kfd", "devcoredump", "amdgpu_xcp":
		return true
	case "module":
		return strings.HasSuffix(e.Path, "/"+driverName)
	default:
		return false
	}
}

// wedged takes the driver's word that a GPU hung. After a reset that helped it says
// "none", else by what the GPU comes back: rebind, bus-reset, or unknown
// (Documentation/gpu/drm-uapi.rst, device wedging).
func (w *whereabouts) wedged(path, recovery string, emit func(core.Event)) {
	var ids []string
	for part := range strings.SplitSeq(path, "/") {
		if address, err := pci.ParseAddress(part); err == nil {
			ids = append(ids, w.byAddress[address]...)
		}
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	if recovery == "none" {
		emit(core.Event{Devices: ids, Text: "the GPU hung and was reset: jobs that used it have lost their work", Look: true})
		return
	}
	emit(core.Event{Devices: ids, Look: true, Fault: &core.Fault{
		Code: codeWedged, Severity: core.Hard, Latched: true,
		Reason: "the driver gave the GPU up after it hung; it asks for: " + printable(recovery),
		Remedy: "bind the driver anew (echo the PCI address into unbind and bind of /sys/bus/pci/drivers/amdgpu), or reboot the node",
	}})
}

// printable keeps of a text what can be shown in one line.
func printable(text string) string {
	const longest = 64
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), longest)]
}

// listen waits for KFD's events.
func (v *Vendor) listen(ctx context.Context, where *whereabouts, emit func(core.Event)) error {
	if !v.cfg.KFDEvents || len(where.byNode) == 0 {
		return nil
	}
	gpus := make([]uint32, 0, len(where.byNode))
	for gpu := range where.byNode {
		gpus = append(gpus, gpu)
	}
	slices.Sort(gpus)
	err := smi.Listen(ctx, v.host.Full(kfdNode), gpus, func(e smi.Event) { where.smi(e, emit) })
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// smi takes one of KFD's events.
func (w *whereabouts) smi(e smi.Event, emit func(core.Event)) {
	d, ok := w.byNode[e.GPU]
	if !ok {
		return
	}
	told := core.Event{Devices: []string{d.ID}, Look: true}
	switch e.Kind {
	case smi.ResetBegins:
		f := resetFault(0)
		told.Fault = &f
	case smi.Throttled:
		return // a statistic
	default:
		told.Text = fmt.Sprintf("%s on %s: %s", e.Kind, d.ID, printable(e.Text))
	}
	emit(told)
}
