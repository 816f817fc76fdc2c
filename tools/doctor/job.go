package doctor

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/nomad-devices/nomad-devices/tools/nomad/holders"
)

// placement is the attempt to place one task group on the node.
type placement struct {
	*examination
	groups []*api.NodeDeviceResource
	// holders say who has a device, by its ID.
	holders map[string]string
	// own are the devices that requests of this group have taken.
	own map[string]bool
	// placed are the groups that requests were given, by what they are about.
	placed []string
}

// job looks whether the devices that a job asks for can be had on the node.
func (x *examination) job(ctx context.Context) {
	if x.Job == "" {
		return
	}
	job, err := x.readJob()
	if err != nil {
		x.report.find(jobUnreadable, x.Job, values{"error": err.Error(), "file": x.Job})
		return
	}
	before := x.report.Count(Problem)
	x.elsewhereJob(job)
	groups := x.known()
	held := x.held(ctx)
	asks := false
	var placed []string
	for _, tg := range job.TaskGroups {
		p := &placement{examination: x, groups: groups, holders: held, own: map[string]bool{}}
		for _, task := range tg.Tasks {
			if task.Resources == nil || len(task.Resources.Devices) == 0 {
				continue
			}
			asks = true
			p.task(given(tg.Name, ""), task)
		}
		placed = append(placed, p.placed...)
	}
	switch {
	case !asks:
		x.report.find(jobNoDevice, nameOfJob(job), values{"groups": namesOf(groups)})
	case x.report.Count(Problem) == before:
		x.report.find(jobFits, nameOfJob(job), nil, placed...)
	}
}

// known returns the groups that there are: those of the agent's node if it was
// asked, else those of the plugins.
func (x *examination) known() []*api.NodeDeviceResource {
	if x.node != nil {
		if x.node.NodeResources == nil {
			return nil
		}
		return x.node.NodeResources.Devices
	}
	var all []*api.NodeDeviceResource
	for _, c := range x.candidates {
		all = append(all, apiGroups(c.groups)...)
	}
	return all
}

// held returns who has the node's devices.
func (x *examination) held(ctx context.Context) map[string]string {
	held := map[string]string{}
	if x.node == nil {
		return held
	}
	allocs, _, err := x.Nomad.Nodes().Allocations(x.node.ID, new(api.QueryOptions).WithContext(ctx))
	if err != nil {
		x.report.find(agentUnreachable, "allocations of node "+x.node.Name, values{"error": plainAPIError(err), "address": x.Nomad.Address()})
		return held
	}
	for d, all := range holders.Of(allocs) {
		for _, h := range all {
			held[d.ID] = fmt.Sprintf("allocation %s of job %s, task %s", shortID(h.Alloc), h.Job, h.Task)
		}
	}
	return held
}

// elsewhereJob looks whether the job may run on the node at all.
func (x *examination) elsewhereJob(job *api.Job) {
	if x.node == nil {
		return
	}
	in := func(pattern string) bool {
		ok, err := path.Match(pattern, x.node.Datacenter)
		return err == nil && ok
	}
	if len(job.Datacenters) > 0 && !slices.ContainsFunc(job.Datacenters, in) {
		x.report.find(jobElsewhere, nameOfJob(job), values{
			"what": "datacenters", "wants": strings.Join(job.Datacenters, ", "), "is": x.node.Datacenter,
			"line": fmt.Sprintf("datacenters = [%q]", x.node.Datacenter),
		})
	}
	// A job without one has the default pool, or its namespace's.
	if pool := given(job.NodePool, ""); pool != "" && pool != "all" && x.node.NodePool != "" && pool != x.node.NodePool {
		x.report.find(jobElsewhere, nameOfJob(job), values{
			"what": "node pool", "wants": pool, "is": x.node.NodePool, "line": fmt.Sprintf("node_pool = %q", x.node.NodePool),
		})
	}
}

// task looks at the devices of a task, and at what its driver does with them.
func (p *placement) task(group string, task *api.Task) {
	subject := group + "/" + task.Name
	var ids []string
	for _, r := range task.Resources.Devices {
		ids = append(ids, p.request(fmt.Sprintf("%s: device %q", subject, r.Name), r)...)
	}
	if n := len(task.Resources.Devices); n > 1 {
		p.report.find(deviceBlocks, subject, values{"count": plural(n, "device block")})
	}
	p.driver(subject, task, ids)
}

// request looks for devices for a request, as Nomad's scheduler does, and
// returns those that it would give.
func (p *placement) request(about string, r *api.RequestedDevice) []string {
	var named []*api.NodeDeviceResource
	for _, g := range p.groups {
		if matches(r.Name, g) {
			named = append(named, g)
		}
	}
	if len(named) == 0 {
		p.report.find(deviceUnknown, about, values{"names": namesOf(p.groups), "meant": p.meant(r.Name)})
		return nil
	}
	var constraints []constraint
	for _, c := range r.Constraints {
		constraints = append(constraints, constraint{c.LTarget, c.Operand, c.RTarget})
	}
	fit := p.constrained(about, named, constraints)
	if len(fit) == 0 {
		return nil
	}
	p.affinities(about, fit, r.Affinities)
	return p.count(about, fit, constraints, int(min(given(r.Count, 1), math.MaxInt32)))
}

// matches reports whether a group is what a request names: a type, a vendor and
// a type, or all three parts.
func matches(request string, g *api.NodeDeviceResource) bool {
	switch parts := strings.SplitN(request, "/", 3); len(parts) {
	case 1:
		return parts[0] == g.Type
	case 2:
		return parts[0] == g.Vendor && parts[1] == g.Type
	default:
		return parts[0] == g.Vendor && parts[1] == g.Type && parts[2] == g.Name
	}
}

// meant returns the name that a request may have meant, as far as it went.
func (p *placement) meant(request string) string {
	parts := strings.Count(request, "/") + 1
	var all []string
	for _, g := range p.groups {
		switch parts {
		case 1:
			all = append(all, g.Type)
		case 2:
			all = append(all, g.Vendor+"/"+g.Type)
		default:
			all = append(all, groupName(g))
		}
	}
	if best := nearest(request, all); best != "" {
		return best
	}
	if len(all) > 0 {
		return all[0]
	}
	return "<vendor>/<type>/<name>"
}

func namesOf(groups []*api.NodeDeviceResource) string {
	if len(groups) == 0 {
		return "none"
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = groupName(g)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// constrained returns the groups on which all constraints hold. If there is none
// it says what fails where, and mends the group that fails the fewest.
func (p *placement) constrained(about string, groups []*api.NodeDeviceResource, constraints []constraint) []*api.NodeDeviceResource {
	var fit []*api.NodeDeviceResource
	var details []string
	var closest []verdict
	for _, g := range groups {
		var failing []verdict
		for _, c := range constraints {
			if v := c.on(g); v.outcome != holds {
				failing = append(failing, v)
				details = append(details, v.String())
			}
		}
		if len(failing) == 0 {
			fit = append(fit, g)
		} else if closest == nil || len(failing) < len(closest) {
			closest = failing
		}
	}
	if len(fit) > 0 {
		return fit
	}
	worst := closest[0]
	kind := map[outcome]*Kind{fails: constraintFails, lacking: attributeMissing, unlike: constraintUnlike}[worst.outcome]
	attributes := attributesOf(worst.group)
	var mends []string
	for _, v := range closest {
		mend := ""
		if c := v.replacement(); c != nil {
			mend = c.String()
		} else {
			mend = fmt.Sprintf("# leave out the constraint on %s, or choose among the attributes of %s: %s", v.left, groupName(v.group), attributes)
		}
		mends = append(mends, mend)
	}
	p.report.find(kind, about, values{
		"group": groupName(worst.group), "known": attributes,
		"meant": didYouMean(worst.attribute, attributeNames(worst.group)), "mend": strings.Join(mends, "\n"),
	}, details...)
	return nil
}
