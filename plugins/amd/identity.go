package amd

import (
	"fmt"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
	"github.com/nomad-devices/nomad-devices/plugins/amd/internal/kfd"
)

// identities is what GPUs are called, by where they are. What was decided once
// stays as long as the process lives, or until another GPU is there.
type identities map[core.PCIAddress]identity

// uniqueID is a GPU's unique ID in 16 hexadecimal digits, or "" for one that has
// none. The driver and KFD may give two different ones, so those of one source alone
// are compared.
type uniqueID struct {
	uid   string
	ofKFD bool
}

// identity is one GPU's.
type identity struct {
	id string
	uniqueID
	// device is PCI's number of the model: where it changes, so did the GPU.
	device uint16
}

// identify says what the GPUs are called that a scan saw: by their unique ID,
// which is the same in whatever slot and host they are, or else by where they are.
// Two that claim one unique ID, as virtual functions of one GPU may, are both named
// by where they are. One whose ID cannot be read and was not decided before stays
// without a name.
func (v *Vendor) identify(seen map[core.PCIAddress]sighting) {
	undecided := map[core.PCIAddress]uniqueID{}
	claims := map[string]int{}
	for address, s := range seen {
		now, known := v.uniqueID(address, s)
		before, decided := v.identities[address]
		if decided && (known && now.uid != "" && before.uid != "" && now.ofKFD == before.ofKFD && now != before.uniqueID || s.function.Device != 0 && s.function.Device != before.device) {
			delete(v.identities, address) // another GPU took the place
			delete(v.cards, address)
			decided = false
		}
		if !decided && known {
			undecided[address] = now
			claims[now.uid]++
		}
	}
	owners := map[string]bool{}
	for address, i := range v.identities {
		if _, present := seen[address]; present {
			owners[i.uid] = true
		} else if i.uid != "" && claims[i.uid] == 1 {
			delete(v.identities, address) // it was put into another slot
		}
	}
	for address, unique := range undecided {
		i := identity{id: "PCI-" + string(address), uniqueID: unique, device: seen[address].function.Device}
		switch uid := unique.uid; {
		case uid == "":
		case claims[uid] > 1 || owners[uid]:
			v.log.Warn("several GPUs claim one unique ID; this one is named by its PCI address", "gpu", address, "unique_id", uid)
		default:
			i.id = "GPU-" + uid
		}
		v.identities[address] = i
	}
	bearers := map[string]int{}
	for address := range seen {
		bearers[v.identities[address].uid]++
	}
	for address, s := range seen {
		i := v.identities[address]
		s.id, s.uid, s.unique = i.id, i.uid, i.uid != "" && bearers[i.uid] == 1
		seen[address] = s
	}
}

// uniqueID returns a GPU's unique ID. The driver's file needs no access to the hardware (amdgpu_pm.c,
// amdgpu_get_unique_id). The ID is not known while the driver is away, cannot be
// asked, or is still setting the GPU up.
func (v *Vendor) uniqueID(address core.PCIAddress, s sighting) (id uniqueID, known bool) {
	if s.onBus && s.function.Driver != driverName {
		return uniqueID{}, false
	}
	text, err := v.host.ReadString(pci.Path(address) + "/unique_id")
	if err == nil && text == "" || sysfs.IsAbsent(err) {
		// The driver shows an empty file for 0, and no file at all for GPUs that
		// have none.
		return v.uniqueIDOfKFD(address, s)
	}
	if err != nil {
		return uniqueID{}, false
	}
	n, err := sysfs.Hex([]byte(text))
	switch {
	case err != nil:
		return uniqueID{}, false
	case n == 0:
		return v.uniqueIDOfKFD(address, s)
	default:
		return uniqueID{uid: fmt.Sprintf("%016x", n)}, true
	}
}

// uniqueIDOfKFD is uniqueID for a GPU whose own files have none. KFD knows the IDs
// of some of these. The driver makes the render node last, so that before there is
// one the files may be about to come.
func (v *Vendor) uniqueIDOfKFD(address core.PCIAddress, s sighting) (id uniqueID, known bool) {
	if s.onBus {
		if _, err := v.renderMinor(address); err != nil {
			return uniqueID{}, false
		}
	}
	return uniqueID{commonID(s.nodes), true}, len(s.nodes) > 0 || s.unsure == nil
}

// commonID returns the unique ID that all nodes of a GPU share, or "".
func commonID(nodes []kfd.Node) string {
	if len(nodes) == 0 || nodes[0].UniqueID == 0 {
		return ""
	}
	for _, n := range nodes[1:] {
		if n.UniqueID != nodes[0].UniqueID {
			return ""
		}
	}
	return fmt.Sprintf("%016x", nodes[0].UniqueID)
}
