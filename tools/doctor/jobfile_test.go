package doctor

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

// FuzzJSONJob has no job in JSON bring the doctor down.
func FuzzJSONJob(f *testing.F) {
	f.Add([]byte(`{"Job": {"ID": "train", "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Resources": {"Devices": [{"Name": "gpu"}]}}]}]}}`))
	f.Add([]byte(`{"ID": "train", "TaskGroups": [null, {"Tasks": [null, {"Resources": {"Devices": [null, {"Constraints": [null], "Affinities": [null]}]}}]}]}`))
	groups := []*api.NodeDeviceResource{{Vendor: "amd", Type: "gpu", Name: "A", Instances: []*api.NodeDevice{{ID: "GPU-0", Healthy: true}}}}
	f.Fuzz(func(_ *testing.T, text []byte) {
		job, err := jsonJob(text)
		if err != nil {
			return
		}
		p := &placement{examination: &examination{report: &Report{}}, groups: groups, own: map[string]bool{}}
		for _, tg := range job.TaskGroups {
			for _, task := range tg.Tasks {
				if task.Resources != nil {
					p.task(given(tg.Name, ""), task)
				}
			}
		}
	})
}
