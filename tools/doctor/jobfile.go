package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/hashicorp/nomad/jobspec2"
)

// readJob reads a job as "nomad job run" does, without an agent.
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
	job.Canonicalize()
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
	job.Canonicalize()
	return job, nil
}
