package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nomad-devices/nomad-devices/core/sysfs/pci"
)

// devices looks at what the plugins offer.
func (x *examination) devices() {
	for _, c := range x.candidates {
		if c.answered {
			x.health(c)
			x.notOffered(c)
		}
	}
	x.twice()
}

// health looks at the devices of a plugin. Those that suffer from the same are
// one finding.
func (x *examination) health(c *candidate) {
	for _, g := range c.groups {
		name := g.Vendor + "/" + g.Type + "/" + g.Name
		healthy := 0
		suffering := map[string][]string{}
		var order []string
		for _, d := range g.Devices {
			if d.Healthy {
				healthy++
				continue
			}
			if suffering[d.HealthDesc] == nil {
				order = append(order, d.HealthDesc)
			}
			suffering[d.HealthDesc] = append(suffering[d.HealthDesc], d.ID)
		}
		for _, reason := range order {
			x.report.find(deviceUnhealthy, some(suffering[reason]), values{
				"group": name, "reason": orNone(reason), "remedy": remedyIn(reason), "file": c.file,
			})
		}
		if healthy > 0 {
			x.report.find(devicesHealthy, name, values{"healthy": fmt.Sprint(healthy), "count": plural(len(g.Devices), "device")})
		}
	}
}

func orNone(reason string) string {
	if reason == "" {
		return "the plugin gives no reason"
	}
	return reason
}

// remedyIn returns what a reason says is to be done. Plugins of this project, and
// others that are kind to operators, end with that, behind a semicolon.
func remedyIn(reason string) string {
	if i := strings.LastIndex(reason, "; "); i >= 0 {
		return "# " + reason[i+2:]
	}
	return "# see the kernel's log: journalctl -k -e"
}

// notOffered looks for functions that the driver has and the plugin does not
// name. A plugin that tells no addresses cannot be held to this.
func (x *examination) notOffered(c *candidate) {
	if c.vendor == nil || !c.vendor.allOffered || len(c.ignored()) > 0 {
		return
	}
	i := slices.IndexFunc(x.hardwares, func(h *hardware) bool { return h.vendor == c.vendor })
	if i < 0 {
		return
	}
	offered := map[string]bool{}
	for _, g := range c.groups {
		for _, d := range g.Devices {
			if d.HwLocality != nil {
				if a, err := pci.ParseAddress(d.HwLocality.PciBusID); err == nil {
					offered[string(a)] = true
				}
			}
		}
	}
	var missing []pci.Function
	for _, fn := range x.hardwares[i].bound {
		if !offered[string(fn.Address)] {
			missing = append(missing, fn)
		}
	}
	if len(offered) > 0 && len(missing) > 0 {
		x.report.find(functionNotOffered, addresses(missing), values{
			"count": plural(len(missing), c.vendor.hardware), "name": c.name, "file": c.file,
		})
	}
}

// twice looks for devices that two plugins offer.
func (x *examination) twice() {
	owner := map[string]*candidate{}
	said := map[[2]string]bool{}
	for _, c := range x.candidates {
		for _, g := range c.groups {
			name := g.Vendor + "/" + g.Type + "/" + g.Name
			first := owner[name]
			if first == nil {
				owner[name] = c
				continue
			}
			pair := [2]string{first.name, c.name}
			if first != c && !said[pair] {
				said[pair] = true
				x.report.find(devicesTwice, name, values{"first": first.name, "second": c.name, "file": first.file})
			}
		}
	}
}
