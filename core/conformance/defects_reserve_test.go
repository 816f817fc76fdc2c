package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
)

// nodeDefect changes the first device node of each reservation.
func nodeDefect(name string, change func(root string, d *device.DeviceSpec)) defect {
	return defect{name: name, fails: []string{"C53/nodes"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			if len(r.Devices) > 0 {
				change(p.hardware.root, r.Devices[0])
			}
		})
	}}
}

// reserveDefects are in reservations.
var reserveDefects = []defect{
	{name: "Reserve hangs", fails: []string{"C42/reserve-in-time"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func([]string) (*device.ContainerReservation, error) {
			time.Sleep(3 * late)
			return nil, errors.New("too late")
		}}
	}},
	{name: "Reserve hangs with the driver", fails: []string{"C42/reserve-while-hung"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			for p.hardware.isDown() == "hang" {
				time.Sleep(10 * time.Millisecond)
			}
			return p.Reserve(ids)
		}}
	}},
	{name: "nil reservation", fails: []string{"C43/reserve-not-nil"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			if len(ids) == 0 {
				return nil, nil
			}
			return p.Reserve(ids)
		}}
	}},
	{name: "unknown ID granted", fails: []string{"C44/reserve-unknown"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "not known") {
				return &device.ContainerReservation{}, nil
			}
			return r, err
		}}
	}},
	{name: "unknown ID not named", fails: []string{"C44/reserve-unknown"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "not known") {
				err = errors.New("a device is not known")
			}
			return r, err
		}}
	}},
	{name: "sick device granted", fails: []string{"C44/reserve-sick"}, hardware: true, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err != nil && strings.Contains(err.Error(), "unhealthy") {
				return &device.ContainerReservation{}, nil
			}
			return r, err
		}}
	}},
	{name: "Reserve knows the stream's devices alone", fails: []string{"C45/reserve-first"}, spoil: func(p plugged) device.DevicePlugin {
		var looked atomic.Bool
		return &wrap{
			DevicePlugin: p,
			fingerprint: func(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
				looked.Store(true)
				return p.Fingerprint(ctx)
			},
			reserve: func(ids []string) (*device.ContainerReservation, error) {
				if !looked.Load() {
					return nil, fmt.Errorf("unknown devices %q", ids)
				}
				return p.Reserve(ids)
			},
		}
	}},
	{name: "two devices refused", fails: []string{"C46/reserve-healthy"}, spoil: func(p plugged) device.DevicePlugin {
		return &wrap{DevicePlugin: p, reserve: func(ids []string) (*device.ContainerReservation, error) {
			r, err := p.Reserve(ids)
			if err == nil && len(slices.Compact(slices.Clone(ids))) > 1 {
				return nil, errors.New("one at a time")
			}
			return r, err
		}}
	}},
	{name: "order as asked", fails: []string{"C46/reserve-same"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(ids []string, r *device.ContainerReservation) {
			r.Envs["ACME_VISIBLE_DEVICES"] = strings.Join(slices.Compact(slices.Clone(ids)), ",")
		})
	}},
	{name: "mounts", fails: []string{"C47/no-mounts"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			r.Mounts = []*device.Mount{{HostPath: "/usr/lib", TaskPath: "/opt/acme", ReadOnly: true}}
		})
	}},
	{name: "no variables", fails: []string{"C48/env-there"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs = nil })
	}},
	{name: "devices by number", fails: []string{"C49/env-identity"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(ids []string, r *device.ContainerReservation) {
			if all := slices.Compact(slices.Clone(ids)); len(all) == 1 {
				r.Envs["ACME_INDEX"] = fmt.Sprint(all[0][len(all[0])-1] - 'a')
			}
		})
	}},
	{name: "one variable for all", fails: []string{"C50/env-per-device"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			maps.DeleteFunc(r.Envs, func(key, _ string) bool { return strings.HasPrefix(key, "ACME_DEVICE_") })
		})
	}},
	{name: "variable with a dash", fails: []string{"C51/env-plain"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs["ACME-MODE"] = "fast" })
	}},
	{name: "value that Nomad replaces", fails: []string{"C51/env-plain"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) { r.Envs["ACME_NODE"] = "${node.unique.name}" })
	}},
	{name: "name twice", fails: []string{"C52/names-once"}, spoil: func(p plugged) device.DevicePlugin {
		return granted(p, func(_ []string, r *device.ContainerReservation) {
			if r.Envs["ACME_VISIBLE_DEVICES"] != "" {
				r.Envs["ACME_VISIBLE_DEVICES"] += "," + r.Envs["ACME_VISIBLE_DEVICES"]
			}
		})
	}},
	nodeDefect("node that is missing", func(_ string, d *device.DeviceSpec) { d.HostPath += "-not" }),
	nodeDefect("node without permissions", func(_ string, d *device.DeviceSpec) { d.CgroupPerms = "" }),
	nodeDefect("node at a relative path", func(_ string, d *device.DeviceSpec) { d.TaskPath = "dev/acme" }),
	nodeDefect("node that is a link", func(root string, d *device.DeviceSpec) {
		link := filepath.Join(root, "link-to-"+filepath.Base(d.HostPath))
		_ = os.Symlink(d.HostPath, link)
		d.HostPath = link
	}),
}
