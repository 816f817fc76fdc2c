package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// handover is what a task driver does with the device nodes of a reservation.
// All pass on the variables. A driver that is not here is not known.
var handover = map[string]string{
	"raw_exec":   "its tasks see all nodes of the host",
	"qemu":       "the variables are those of the emulator, not of the guest",
	"podman":     "it takes devices from the task's own config alone",
	"containerd": "it takes devices from the task's own config alone",
	"exec2":      "paths must be unveiled by the task",
}

// driver looks at the task driver of a task that is given devices.
func (p *placement) driver(subject string, task *api.Task, ids []string) {
	p.detected(subject, task)
	var nodes []string
	runtime := false
	for _, id := range ids {
		for _, c := range p.candidates {
			grant := c.grants[id]
			if grant == nil {
				continue
			}
			for _, d := range grant.Devices {
				if !slices.Contains(nodes, d.HostPath) {
					nodes = append(nodes, d.HostPath)
				}
			}
			_, set := grant.Envs["NVIDIA_VISIBLE_DEVICES"]
			runtime = runtime || set
		}
	}
	if why := handover[task.Driver]; why != "" && len(ids) > 0 {
		p.report.find(driverNoNodes, subject, values{"driver": task.Driver, "why": why})
	}
	if runtime && task.Driver == "docker" {
		p.docker(subject, task)
	}
	if (task.Driver == "exec" || task.Driver == "java") && task.User == "" && !p.overrides(task) {
		var closed []string
		for _, node := range nodes {
			if info, err := os.Stat(node); err == nil && info.Mode()&fs.ModeCharDevice != 0 && info.Mode().Perm()&0o006 != 0o006 {
				closed = append(closed, fmt.Sprintf("%s (mode %04o)", node, info.Mode().Perm()))
			}
		}
		if len(closed) > 0 {
			p.report.find(nobodyExcluded, subject, values{"driver": task.Driver, "nodes": some(closed)})
		}
	}
}

// dacOverride is the capability by which a task opens nodes whatever their mode.
// Nomad gives it to tasks of the exec and java drivers since 1.5.3
// (drivers/shared/capabilities/defaults.go).
const dacOverride = "dac_override"

// overrides returns whether a task of the exec or java driver has dacOverride: the
// client has to allow it, and the task must not give it away.
func (p *placement) overrides(task *api.Task) bool {
	if b := p.config.block(task.Driver); b != nil {
		if list, ok := b.config["allow_caps"].([]any); ok && !capable(list) {
			return false
		}
	}
	dropped, _ := task.Config["cap_drop"].([]any)
	added, _ := task.Config["cap_add"].([]any)
	return !capable(dropped) || capable(added)
}

// capable returns whether a list of capabilities holds dacOverride.
func capable(list []any) bool {
	return slices.ContainsFunc(list, func(one any) bool {
		name := strings.TrimPrefix(strings.ToLower(fmt.Sprint(one)), "cap_")
		return name == dacOverride || name == "all"
	})
}

// detected looks whether the node has the driver.
func (p *placement) detected(subject string, task *api.Task) {
	if p.node == nil {
		return
	}
	info := p.node.Drivers[task.Driver]
	v := values{"driver": task.Driver, "node": shortID(p.node.ID), "state": "the node does not list it"}
	switch {
	case info == nil:
	case !info.Detected:
		v["state"] = "the node does not detect it: " + info.HealthDescription
	case !info.Healthy:
		v["state"] = "it is not healthy on the node: " + info.HealthDescription
	default:
		return
	}
	p.report.find(driverUndetected, subject, v)
}

// docker looks whether the docker driver can use the container runtime that it
// demands for a task with NVIDIA_VISIBLE_DEVICES.
func (p *placement) docker(subject string, task *api.Task) {
	runtime, allowed := "nvidia", []string{"runc", "nvidia"}
	if b := p.config.block("docker"); b != nil {
		if set, ok := b.config["nvidia_runtime"].(string); ok && set != "" {
			runtime = set
		}
		if list, ok := b.config["allow_runtimes"].([]any); ok {
			allowed = nil
			for _, name := range list {
				allowed = append(allowed, fmt.Sprint(name))
			}
		}
	}
	v := values{"runtime": runtime}
	if own, ok := task.Config["runtime"].(string); ok && own != "" && own != runtime {
		v["own"] = own
		p.report.find(runtimeConflict, subject, v)
	}
	if !slices.Contains(allowed, runtime) {
		v["allowed"] = strings.Join(append(allowed, runtime), `", "`)
		p.report.find(runtimeForbidden, subject, v)
	}
	if p.node == nil {
		return
	}
	if runtimes, known := p.node.Attributes["driver.docker.runtimes"]; known && !slices.Contains(members(runtimes), runtime) {
		v["runtimes"] = runtimes
		p.report.find(runtimeMissing, subject, v)
	}
}
