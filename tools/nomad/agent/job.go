package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
)

// taskName is the name of the one task, and of its group, in a [Spec]'s job.
const taskName = "task"

// Spec describes a batch job with one task.
type Spec struct {
	// Name is the job's ID.
	Name string
	// Driver is the task driver: "raw_exec", "exec" or "docker".
	Driver string
	// Command and Args are what to run. For docker, Command is what the image
	// runs by itself and is not used.
	Command string
	Args    []string
	// Image is the image of a docker task.
	Image string
	// Env is the task's own environment.
	Env map[string]string
	// Devices are what the task asks for, a block each.
	Devices []Request
}

// Request is one device block of a task.
type Request struct {
	// Device is what to ask for: "nvidia/gpu".
	Device string
	// Count is how many; 0 means 1.
	Count int
	// Constraints are on the device's attributes.
	Constraints []Constraint
}

// Constraint is one constraint of a device block.
type Constraint struct {
	// Attribute is the device attribute's name: "memory", or "${device.ids}" for
	// what is not an attribute.
	Attribute string
	// Operator compares; "" means "=".
	Operator string
	// Value is what to compare with: "40 GiB".
	Value string
}

// HCL returns the job as somebody would write it.
func (s Spec) HCL() string {
	var b strings.Builder
	fmt.Fprintf(&b, `job %q {
  type = "batch"

  group %q {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }

    task %q {
      driver       = %q
      kill_timeout = "2s"
      config {
`, s.Name, taskName, taskName, s.Driver)
	if s.Driver == "docker" {
		fmt.Fprintf(&b, "        image        = %q\n        network_mode = \"none\"\n", s.Image)
	} else {
		fmt.Fprintf(&b, "        command = %q\n", s.Command)
	}
	fmt.Fprintf(&b, "        args = %s\n      }\n", list(s.Args))
	if len(s.Env) > 0 {
		b.WriteString("      env {\n")
		for key, value := range s.Env {
			fmt.Fprintf(&b, "        %s = %q\n", key, value)
		}
		b.WriteString("      }\n")
	}
	b.WriteString("      resources {\n        cpu    = 20\n        memory = 32\n")
	for _, r := range s.Devices {
		fmt.Fprintf(&b, "\n        device %q {\n          count = %d\n", r.Device, max(r.Count, 1))
		for _, c := range r.Constraints {
			fmt.Fprintf(&b, "          constraint {\n%s          }\n", c.body("            "))
		}
		b.WriteString("        }\n")
	}
	b.WriteString("      }\n    }\n  }\n}\n")
	return b.String()
}

// String returns the constraint in one line.
func (c Constraint) String() string {
	operator := c.Operator
	if operator == "" {
		operator = "="
	}
	return fmt.Sprintf("%s %s %q", c.Attribute, operator, c.Value)
}

func (c Constraint) body(indent string) string {
	attribute := c.Attribute
	if !strings.HasPrefix(attribute, "${") {
		attribute = "${device.attr." + attribute + "}"
	}
	text := fmt.Sprintf("%sattribute = \"%s\"\n", indent, attribute)
	if c.Operator != "" {
		text += fmt.Sprintf("%soperator = %q\n", indent, c.Operator)
	}
	return text + fmt.Sprintf("%svalue = %q\n", indent, c.Value)
}

func list(items []string) string {
	text, err := json.Marshal(items)
	if err != nil || items == nil {
		return "[]"
	}
	return string(text)
}

// Job is a job that was handed to an agent.
type Job struct {
	ID    string
	agent *Agent
}

// Submit hands a job to the agent.
func (a *Agent) Submit(ctx context.Context, spec Spec) (*Job, error) {
	job, err := a.client.Jobs().ParseHCL(spec.HCL(), true)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", spec.Name, err)
	}
	return a.Register(ctx, job)
}

// Register hands a job to the agent that was not made from a [Spec].
func (a *Agent) Register(ctx context.Context, job *api.Job) (*Job, error) {
	if _, _, err := a.client.Jobs().Register(job, write(ctx)); err != nil {
		return nil, fmt.Errorf("job %s: %w", *job.ID, err)
	}
	return &Job{ID: *job.ID, agent: a}, nil
}

// ended reports whether an allocation's client status is final.
func ended(status string) bool {
	return status == api.AllocClientStatusComplete || status == api.AllocClientStatusFailed || status == api.AllocClientStatusLost
}

// Wait waits until the job's newest allocation has the client status, and
// returns it. An allocation that ends otherwise is an error that says why.
func (j *Job) Wait(ctx context.Context, status string) (*api.Allocation, error) {
	var found *api.Allocation
	err := poll(ctx, fmt.Sprintf("job %s to be %s", j.ID, status), func(ctx context.Context) (string, bool, error) {
		allocs, err := j.allocations(ctx)
		if err != nil {
			return err.Error(), false, nil
		}
		if len(allocs) == 0 {
			return j.unplaced(ctx), false, nil
		}
		newest := allocs[0]
		if newest.ClientStatus != status {
			if !ended(newest.ClientStatus) {
				return "its allocation is " + newest.ClientStatus, false, nil
			}
			return "", false, fmt.Errorf("its allocation is %s: %s", newest.ClientStatus, strings.Join(Events(newest), "; "))
		}
		found, _, err = j.agent.client.Allocations().Info(newest.ID, query(ctx))
		return "", true, err
	})
	return found, err
}

// allocations returns the job's allocations, newest first.
func (j *Job) allocations(ctx context.Context) ([]*api.AllocationListStub, error) {
	allocs, _, err := j.agent.client.Jobs().Allocations(j.ID, true, query(ctx))
	slices.SortFunc(allocs, func(a, b *api.AllocationListStub) int { return int(b.CreateIndex) - int(a.CreateIndex) })
	return allocs, err
}

// unplaced says why the job has no allocation.
func (j *Job) unplaced(ctx context.Context) string {
	evals, _, err := j.agent.client.Jobs().Evaluations(j.ID, query(ctx))
	if err != nil {
		return err.Error()
	}
	for _, eval := range evals {
		if metrics := eval.FailedTGAllocs[taskName]; metrics != nil {
			var why []string
			for reason := range metrics.ConstraintFiltered {
				why = append(why, reason)
			}
			for reason := range metrics.DimensionExhausted {
				why = append(why, reason)
			}
			slices.Sort(why)
			return "it is blocked: " + strings.Join(why, ", ")
		}
	}
	return "it has no allocation"
}

// WaitBlocked waits until the scheduler has found no place for the job and
// keeps it for later. It returns the scheduler's reasons.
func (j *Job) WaitBlocked(ctx context.Context) (string, error) {
	var why string
	err := poll(ctx, fmt.Sprintf("job %s to be blocked", j.ID), func(ctx context.Context) (string, bool, error) {
		evals, _, err := j.agent.client.Jobs().Evaluations(j.ID, query(ctx))
		if err != nil {
			return "", false, err
		}
		blocked := slices.ContainsFunc(evals, func(e *api.Evaluation) bool { return e.Status == "blocked" })
		why = j.unplaced(ctx)
		return why, blocked, nil
	})
	return why, err
}

// Placed reports whether the job has any allocation.
func (j *Job) Placed(ctx context.Context) (bool, error) {
	allocs, err := j.allocations(ctx)
	return len(allocs) > 0, err
}

// Stop ends the job, waits until its tasks are gone, and forgets it.
func (j *Job) Stop(ctx context.Context) error {
	if _, _, err := j.agent.client.Jobs().Deregister(j.ID, false, write(ctx)); err != nil {
		return fmt.Errorf("stopping job %s: %w", j.ID, err)
	}
	err := poll(ctx, fmt.Sprintf("job %s to end", j.ID), func(ctx context.Context) (string, bool, error) {
		allocs, err := j.allocations(ctx)
		running := slices.ContainsFunc(allocs, func(s *api.AllocationListStub) bool { return !ended(s.ClientStatus) })
		return "", !running, err
	})
	_, _, purge := j.agent.client.Jobs().Deregister(j.ID, true, write(ctx))
	return errors.Join(err, purge)
}

// Given returns the IDs of the devices that the scheduler gave to an
// allocation's tasks, sorted.
func Given(alloc *api.Allocation) []string {
	if alloc.AllocatedResources == nil {
		return nil
	}
	var ids []string
	for _, task := range alloc.AllocatedResources.Tasks {
		for _, d := range task.Devices {
			ids = append(ids, d.DeviceIDs...)
		}
	}
	slices.Sort(ids)
	return ids
}

// Events returns what happened to an allocation's task, oldest first.
func Events(alloc *api.AllocationListStub) []string {
	var texts []string
	if state := alloc.TaskStates[taskName]; state != nil {
		for _, event := range state.Events {
			texts = append(texts, event.DisplayMessage)
		}
	}
	return texts
}

// Output returns what the task of an allocation with one task has written to
// stdout.
func (a *Agent) Output(ctx context.Context, alloc *api.Allocation) (string, error) {
	task := taskName
	for name := range alloc.TaskStates {
		task = name
	}
	file, err := a.client.AllocFS().Cat(alloc, "alloc/logs/"+task+".stdout.0", query(ctx))
	if err != nil {
		return "", fmt.Errorf("reading the task's output: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(file)
	if err != nil {
		return "", fmt.Errorf("reading the task's output: %w", err)
	}
	return string(text), nil
}

// Report returns what the probe in an allocation's task has written, once it
// has.
func (a *Agent) Report(ctx context.Context, alloc *api.Allocation) (report.Report, error) {
	var r report.Report
	err := poll(ctx, "the task's report", func(ctx context.Context) (string, bool, error) {
		text, err := a.Output(ctx, alloc)
		if err != nil {
			return err.Error(), false, nil
		}
		if !strings.Contains(text, "\n") {
			return "it has written nothing yet", false, nil // the log collector lags a little
		}
		r, err = report.Parse(text)
		return "", true, err
	})
	return r, err
}
