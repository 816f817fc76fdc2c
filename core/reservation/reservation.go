// Package reservation says what a task needs to use the devices it was given.
//
// [Assemble] asks the vendor for a grant for each device, merges the grants,
// and checks the result against what Nomad's task drivers bear. It answers in
// bounded time, needs no state but the snapshot, and gives the same answer for
// the same devices in any order.
package reservation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// Reservation is what a task gets.
type Reservation struct {
	// Env are the variables to set.
	Env map[string]string
	// Nodes are the device nodes to hand over, sorted by TaskPath, each once.
	Nodes []Node
	// Mounts are the host paths to mount, sorted by TaskPath, each once.
	Mounts []Mount
}

// Node is a device node on the host and in the task.
type Node struct {
	// HostPath is where the node is, with the host root in front and links
	// resolved.
	HostPath string
	// TaskPath is where the task sees it.
	TaskPath string
	// Permissions are a subset of "rwm", in this order.
	Permissions string
}

// Mount is a path on the host and in the task.
type Mount struct {
	// HostPath is where the path is, with the host root in front and links
	// resolved.
	HostPath string
	// TaskPath is where the task sees it.
	TaskPath string
	// Writable makes the mount read-write.
	Writable bool
}

// Options say how reservations are assembled.
type Options struct {
	// Host is where nodes and mounts are looked up.
	Host *sysfs.FS
	// Calls guards the calls into the vendor.
	Calls *guard.Group
	// Timeout is the deadline of each grant.
	Timeout time.Duration
	// Observe is told of each call: "prepare" and "grant".
	Observe guard.Observer
	// Tell is told what preparing a device came to, for whoever keeps the
	// devices' health. It must not block; nil tells nobody.
	Tell func(core.Event)
}

// Assemble returns the reservation for the devices with the given IDs. An ID
// that is repeated counts once; no ID gives an empty reservation. The error
// names every device that cannot be reserved and says why.
func Assemble(ctx context.Context, vendor core.Vendor, snapshot *fingerprint.Snapshot, ids []string, options Options) (Reservation, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	devices, err := choose(snapshot, ids)
	if err != nil {
		return Reservation{}, err
	}
	claims, err := claimsOf(devices)
	if err != nil {
		return Reservation{}, err
	}
	if err := prepare(ctx, vendor, claims, options); err != nil {
		return Reservation{}, err
	}
	grants := make([]core.Grant, len(claims))
	errs := make([]error, len(claims))
	var group errgroup.Group
	for i, c := range claims {
		group.Go(func() error {
			end := options.Observe.Begin("grant")
			grants[i], errs[i] = guard.Call(ctx, options.Calls, "grant "+c.device.ID, options.Timeout,
				func(ctx context.Context) (core.Grant, error) { return c.grant(ctx, vendor) })
			end(errs[i])
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	m := newMerger(options.Host)
	for i, c := range claims {
		if errs[i] == nil {
			errs[i] = m.add(grants[i])
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("device %s: %w", c.device.ID, errs[i])
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Reservation{}, err
	}
	return m.reservation()
}

// choose returns the devices, all of which must be known and healthy.
func choose(snapshot *fingerprint.Snapshot, ids []string) ([]fingerprint.Device, error) {
	devices := make([]fingerprint.Device, 0, len(ids))
	var errs []error
	for _, id := range ids {
		d, ok := snapshot.Device(id)
		switch {
		case !ok && !snapshot.Complete:
			errs = append(errs, fmt.Errorf("device %q is not known yet: the driver has not answered since the plugin was started", id))
		case !ok && elsewhere(snapshot, id) != "":
			errs = append(errs, fmt.Errorf("device %q is not known: the configuration of sharing changed, and %s; the job gets what there is when it is placed again", id, elsewhere(snapshot, id)))
		case !ok:
			errs = append(errs, fmt.Errorf("device %q is not known: it is gone, ignored by the plugin's configuration, or was never there", id))
		case !d.Health.Healthy:
			errs = append(errs, fmt.Errorf("device %s is unhealthy: %s", id, d.Health.Reason))
		default:
			devices = append(devices, d)
		}
	}
	return devices, errors.Join(errs...)
}

// merger gathers grants.
type merger struct {
	host   *sysfs.FS
	env    map[string]string
	lists  map[string][]string
	nodes  map[string]Node  // by TaskPath
	mounts map[string]Mount // by TaskPath
}

func newMerger(host *sysfs.FS) *merger {
	return &merger{
		host:   host,
		env:    map[string]string{},
		lists:  map[string][]string{},
		nodes:  map[string]Node{},
		mounts: map[string]Mount{},
	}
}

// add merges one grant. The error says all that is wrong with it.
func (m *merger) add(g core.Grant) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(g.Env)) {
		errs = append(errs, m.addEnv(key, g.Env[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(g.Lists)) {
		for _, value := range g.Lists[key] {
			errs = append(errs, checkEnv(key, value))
			if strings.Contains(value, ",") {
				errs = append(errs, fmt.Errorf("the value %q of %s holds a comma, which separates the values of a list", value, key))
			}
			if !slices.Contains(m.lists[key], value) {
				m.lists[key] = append(m.lists[key], value)
			}
		}
	}
	for _, n := range g.Nodes {
		errs = append(errs, m.addNode(n))
	}
	for _, mount := range g.Mounts {
		errs = append(errs, m.addMount(mount))
	}
	return errors.Join(errs...)
}

func (m *merger) addEnv(key, value string) error {
	if err := checkEnv(key, value); err != nil {
		return err
	}
	if before, ok := m.env[key]; ok && before != value {
		return fmt.Errorf("wants %s=%q, another device of the reservation wants %q: one task cannot have both", key, value, before)
	}
	m.env[key] = value
	return nil
}

// reservation returns what was gathered.
func (m *merger) reservation() (Reservation, error) {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(m.lists)) {
		errs = append(errs, m.addEnv(key, strings.Join(m.lists[key], ",")))
	}
	r := Reservation{Env: m.env}
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		r.Nodes = append(r.Nodes, m.nodes[path])
	}
	for _, path := range slices.Sorted(maps.Keys(m.mounts)) {
		r.Mounts = append(r.Mounts, m.mounts[path])
	}
	return r, errors.Join(errs...)
}
