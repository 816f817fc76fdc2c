package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/jobspec2"
)

// readJob reads a job as "nomad job run" does, without an agent. What it leaves out
// stays nil: see [given].
func (x *examination) readJob() (*api.Job, error) {
	text, err := os.ReadFile(x.Job)
	if err != nil {
		return nil, errors.New(plainPathError(err))
	}
	if strings.HasSuffix(x.Job, ".json") {
		return jsonJob(text)
	}
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{
		Path: x.Job, BaseDir: filepath.Dir(x.Job), Body: text, AllowFS: true, Strict: true,
		ArgVars: x.Vars, VarFiles: x.VarFiles, Envs: os.Environ(),
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// jsonJob reads a job in JSON, with the envelope of the API or without.
func jsonJob(text []byte) (*api.Job, error) {
	var envelope struct{ Job *api.Job }
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, err
	}
	job := envelope.Job
	if job == nil {
		job = &api.Job{}
		decoder := json.NewDecoder(bytes.NewReader(text))
		if err := decoder.Decode(job); err != nil {
			return nil, err
		}
	}
	if job.ID == nil && job.Name == nil {
		return nil, errors.New("it has no Job with an ID")
	}
	withoutNulls(job)
	return job, nil
}

// withoutNulls takes out of lists what is null.
func withoutNulls(job *api.Job) {
	job.TaskGroups = present(job.TaskGroups)
	for _, tg := range job.TaskGroups {
		tg.Tasks = present(tg.Tasks)
		for _, task := range tg.Tasks {
			if task.Resources == nil {
				continue
			}
			task.Resources.Devices = present(task.Resources.Devices)
			for _, d := range task.Resources.Devices {
				d.Constraints, d.Affinities = present(d.Constraints), present(d.Affinities)
			}
		}
	}
}

func present[T any](all []*T) []*T {
	return slices.DeleteFunc(all, func(one *T) bool { return one == nil })
}

// given returns what a job says, or what it means when it says nothing.
func given[T any](said *T, otherwise T) T {
	if said == nil {
		return otherwise
	}
	return *said
}

// nameOfJob returns the ID of a job; in HCL it is the block's label.
func nameOfJob(job *api.Job) string { return given(job.ID, given(job.Name, "job")) }
