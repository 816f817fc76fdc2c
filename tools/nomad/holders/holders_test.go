package holders_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/holders"
)

func allocation(id, job, status string, tasks map[string][]string) *api.Allocation {
	a := &api.Allocation{
		ID: id, Name: job + ".group[0]", Namespace: "default", JobID: job, TaskGroup: "group", ClientStatus: status,
		AllocatedResources: &api.AllocatedResources{Tasks: map[string]*api.AllocatedTaskResources{}},
	}
	for task, ids := range tasks {
		a.AllocatedResources.Tasks[task] = &api.AllocatedTaskResources{
			Devices: []*api.AllocatedDeviceResource{{Vendor: "acme", Type: "gpu", Name: "One", DeviceIDs: ids}},
		}
	}
	return a
}

func TestOf(t *testing.T) {
	t.Parallel()
	got := holders.Of([]*api.Allocation{
		allocation("b", "train", api.AllocClientStatusRunning, map[string][]string{"main": {"G0", "G1"}, "side": {"G2"}}),
		allocation("a", "train", api.AllocClientStatusPending, map[string][]string{"main": {"G0"}}),
		allocation("c", "old", api.AllocClientStatusComplete, map[string][]string{"main": {"G0"}}),
		allocation("d", "lost", api.AllocClientStatusUnknown, map[string][]string{"main": {"G3"}}),
		{ID: "e", ClientStatus: api.AllocClientStatusRunning},
		{ID: "f", ClientStatus: api.AllocClientStatusRunning, AllocatedResources: &api.AllocatedResources{
			Tasks: map[string]*api.AllocatedTaskResources{"none": nil},
		}},
	})
	holder := func(alloc, job, task, status string) holders.Holder {
		return holders.Holder{
			Namespace: "default", Job: job, Group: "group", Task: task, Alloc: alloc, AllocName: job + ".group[0]", Status: status,
		}
	}
	device := func(id string) holders.Device {
		return holders.Device{Vendor: "acme", Type: "gpu", Name: "One", ID: id}
	}
	want := map[holders.Device][]holders.Holder{
		device("G0"): {holder("a", "train", "main", "pending"), holder("b", "train", "main", "running")},
		device("G1"): {holder("b", "train", "main", "running")},
		device("G2"): {holder("b", "train", "side", "running")},
		device("G3"): {holder("d", "lost", "main", "unknown")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("holders (-want +got):\n%s", diff)
	}
}
