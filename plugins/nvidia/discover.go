package nvidia

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// gpusPath has a directory for each GPU that the kernel module drives, named by
// PCI address.
const gpusPath = "/proc/driver/nvidia/gpus"

// Discover lists the GPUs. It asks the driver only how many there are: each call
// about one GPU can hang when that GPU does, and must not hold up the others.
func (v *Vendor) Discover(context.Context) (core.Inventory, error) {
	for _, c := range v.cards {
		v.driver.used = v.driver.used || c.offered.Load()
	}
	if err := v.mismatch.Load(); err != nil {
		return core.Inventory{}, v.replaced(err)
	}
	s, note, err := v.driver.connect()
	if s == nil {
		return inventory(note), err
	}
	count, err := v.lib.DeviceCount()
	if err != nil {
		note, err := v.driver.gone(err)
		return inventory(note), err
	}
	places := v.places(count)
	v.follow(count, places)
	var found core.Inventory
	for _, p := range places {
		if v.ignored.has(string(p.pci)) {
			continue
		}
		c := v.cards[p.key]
		if c == nil {
			c = newCard(v, p)
			v.cards[p.key] = c
		}
		at := look{session: s, epoch: v.epoch}
		found.Probes = append(found.Probes, core.Probe{
			Key:  p.key,
			Read: func(ctx context.Context) ([]core.Device, error) { return c.read(ctx, at) },
		})
		if note := c.note.Load(); note != nil {
			found.Notes = append(found.Notes, *note)
		}
	}
	return found, nil
}

func inventory(note *core.Note) core.Inventory {
	if note == nil {
		return core.Inventory{}
	}
	return core.Inventory{Notes: []core.Note{*note}}
}

// replaced is the answer when a GPU's call found the driver replaced.
func (v *Vendor) replaced(err error) error {
	_, err = v.driver.gone(err)
	return err
}

// look is what a scan tells its probes.
type look struct {
	session *session
	// epoch changes when the list of GPUs did, so that handles must be got anew.
	epoch int
}

// place is where a GPU is asked for: at a PCI address, or at an index.
type place struct {
	key   string
	pci   core.PCIAddress // empty if the index counts
	index int
}

// places returns where the GPUs are. Addresses are better than indices, because
// one GPU that is lost does not move the others. The kernel's list is not used
// if it holds fewer GPUs than the driver offers: a stand-in for the driver, or a
// host whose files are elsewhere.
func (v *Vendor) places(count int) []place {
	names, _ := v.host.ReadDir(gpusPath) // a host without the list has none
	var places []place
	for _, name := range names {
		if a, err := pci.ParseAddress(name); err == nil {
			places = append(places, place{key: string(a), pci: a})
		}
	}
	if len(places) >= count {
		return places
	}
	places = places[:0]
	for i := range count {
		places = append(places, place{key: "gpu" + strconv.Itoa(i), index: i})
	}
	return places
}

// follow starts a new epoch if the list changed.
func (v *Vendor) follow(count int, places []place) {
	keys := make([]string, 0, len(places))
	for _, p := range places {
		keys = append(keys, p.key)
	}
	slices.Sort(keys)
	if listed := fmt.Sprint(count, " ", strings.Join(keys, " ")); listed != v.listed {
		v.listed = listed
		v.epoch++
	}
}

// handle gets the GPU at a place.
func (p place) handle(lib nvml.Library) (nvml.Device, error) {
	if p.pci != "" {
		return lib.DeviceByPCI(string(p.pci))
	}
	return lib.DeviceByIndex(p.index)
}
