// Package holders says who holds the devices of a node. Nomad keeps that in the
// resources of its allocations, and no command of its own shows it.
package holders

import (
	"cmp"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// Device names a device as an allocation does.
type Device struct{ Vendor, Type, Name, ID string }

// Holder is a task that has a device.
type Holder struct {
	// Namespace, Job, Group and Task say which task it is.
	Namespace, Job, Group, Task string
	// Alloc is the ID of its allocation, and AllocName the name: "train.gpus[0]".
	Alloc, AllocName string
	// Status is the allocation's status on the client: "running".
	Status string
}

// Of returns the holders of each device that the allocations of a node have. An
// allocation holds its devices from its placement on until it has ended on the
// client, also while it is pending or after its node was lost.
func Of(allocs []*api.Allocation) map[Device][]Holder {
	all := map[Device][]Holder{}
	for _, alloc := range allocs {
		if alloc.ClientTerminalStatus() || alloc.AllocatedResources == nil {
			continue
		}
		for task, resources := range alloc.AllocatedResources.Tasks {
			if resources == nil {
				continue
			}
			holder := Holder{
				Namespace: alloc.Namespace, Job: alloc.JobID, Group: alloc.TaskGroup, Task: task,
				Alloc: alloc.ID, AllocName: alloc.Name, Status: alloc.ClientStatus,
			}
			for _, given := range resources.Devices {
				for _, id := range given.DeviceIDs {
					device := Device{Vendor: given.Vendor, Type: given.Type, Name: given.Name, ID: id}
					all[device] = append(all[device], holder)
				}
			}
		}
	}
	for device := range maps.Keys(all) {
		slices.SortFunc(all[device], func(a, b Holder) int {
			return cmp.Or(cmp.Compare(a.Job, b.Job), cmp.Compare(a.Alloc, b.Alloc), cmp.Compare(a.Task, b.Task))
		})
	}
	return all
}
