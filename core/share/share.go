// Package share offers one device as several.
//
// A [Plan] puts parts in the place of the devices that the configuration wants
// shared. A part has the health, the statistics and the address of its device, a
// device type of its own, and an ID made from the device's, which is the same
// after each restart. What a task is given for its parts is the device itself:
// sharing divides the time of a device between tasks, and walls nothing off.
package share

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// The attributes that the parts of a device have beside the device's own.
const (
	// Sharing is how the device is shared, in the vendor's word for it.
	Sharing = "sharing"
	// Replicas is as how many the device is offered.
	Replicas = "replicas"
)

// separator stands between a device's ID and the number of a part.
const separator = "::"

// typeSuffix makes the type of parts from that of the device.
const typeSuffix = "-share"

// shared is the value of [Sharing] where the vendor has no word for it.
const shared = "shared"

// PartID returns the ID of a part of a device. Parts are counted from 1.
func PartID(device string, part int) string { return device + separator + strconv.Itoa(part) }

// CutID returns the ID of the device that an ID is of a part of, and false if it
// is not made like one.
func CutID(id string) (device string, ok bool) {
	i := strings.LastIndex(id, separator)
	if i < 0 {
		return "", false
	}
	if _, err := strconv.ParseUint(id[i+len(separator):], 10, 32); err != nil {
		return "", false
	}
	return id[:i], true
}

// Find returns the place of the rule that a device is shared by, or -1: that of
// the first one that names it, or is for all devices.
func Find(rules []config.Share, d core.Device) int {
	return slices.IndexFunc(rules, func(r config.Share) bool {
		return len(r.Devices) == 0 || slices.ContainsFunc(r.Devices, func(name string) bool { return names(name, d) })
	})
}

// names returns whether an operator's name means the device.
func names(name string, d core.Device) bool {
	name = strings.TrimSpace(name)
	if strings.EqualFold(name, d.ID) || strings.EqualFold(name, d.Group.Name) || strings.EqualFold(name, d.Group.String()) {
		return true
	}
	address, err := pci.ParseAddress(name)
	return err == nil && d.PCI != "" && address == d.PCI
}

// Plan is how devices are offered under one configuration. It belongs to one
// goroutine.
type Plan struct {
	rules  []config.Share
	vendor core.Vendor
	log    hclog.Logger
	said   map[string]string // by device or name
}

// NewPlan returns the plan that the rules make. The log is told which devices
// cannot be shared and which names mean no device.
func NewPlan(rules []config.Share, vendor core.Vendor, log hclog.Logger) *Plan {
	return &Plan{rules: rules, vendor: vendor, log: log, said: map[string]string{}}
}

// Offer returns the devices as they are offered: each that is to be shared as
// its parts, all others as they are. complete says that these are all there are.
func (p *Plan) Offer(devices []fingerprint.Device, complete bool) []fingerprint.Device {
	if len(p.rules) == 0 {
		return devices
	}
	if complete {
		p.checkNames(devices)
	}
	offered := make([]fingerprint.Device, 0, len(devices))
	for _, d := range devices {
		i := Find(p.rules, d.Device)
		if i < 0 {
			offered = append(offered, d)
			continue
		}
		if err := p.shareable(d.Device); err != nil {
			p.once(d.ID, err.Error(), func() {
				p.log.Warn("the device cannot be shared and is offered as a whole", "device", d.ID, "error", err)
			})
			offered = append(offered, d)
			continue
		}
		delete(p.said, d.ID)
		offered = append(offered, parts(d, p.rules[i])...)
	}
	return offered
}

// shareable returns why a device cannot be shared, or nil.
func (p *Plan) shareable(d core.Device) error {
	if s, ok := p.vendor.(core.Sharer); ok {
		if err := s.Shareable(d); err != nil {
			return err
		}
	}
	if preparer, ok := p.vendor.(core.Preparer); ok && preparer.Preparation(d) > 0 {
		return errors.New("it is loaded anew before a task gets it, which would take it away from the tasks that have the other parts")
	}
	return nil
}

// checkNames says once of each name in the rules that it means no device. That
// may be so on purpose, where many nodes have one configuration.
func (p *Plan) checkNames(devices []fingerprint.Device) {
	for _, rule := range p.rules {
		for _, name := range rule.Devices {
			if slices.ContainsFunc(devices, func(d fingerprint.Device) bool { return names(name, d.Device) }) {
				delete(p.said, "name "+name)
				continue
			}
			p.once("name "+name, "missing", func() {
				p.log.Info("no device has the name that the configuration wants shared", "name", name, "models", models(devices))
			})
		}
	}
}

func (p *Plan) once(subject, text string, say func()) {
	if p.said[subject] != text {
		p.said[subject] = text
		say()
	}
}

func models(devices []fingerprint.Device) []string {
	var all []string
	for _, d := range devices {
		all = append(all, d.Group.Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// parts returns the parts that a device is offered as.
func parts(d fingerprint.Device, rule config.Share) []fingerprint.Device {
	attributes := maps.Clone(d.Attributes)
	if attributes == nil {
		attributes = map[string]core.Value{}
	}
	strategy := rule.Strategy
	if strategy == "" {
		strategy = shared
	}
	attributes[Sharing] = core.String(strategy)
	attributes[Replicas] = core.Count(int64(rule.Replicas))
	part := &fingerprint.Part{Of: d.Device, Replicas: rule.Replicas, Alone: rule.OnePerTask}
	all := make([]fingerprint.Device, rule.Replicas)
	for i := range all {
		one := d
		one.ID = PartID(d.ID, i+1)
		one.Group.Type = rule.Type
		if rule.Type == "" {
			one.Group.Type = d.Group.Type + typeSuffix
		}
		one.Group.Name += rule.NameSuffix
		one.Attributes, one.Part = attributes, part
		all[i] = one
	}
	return all
}
