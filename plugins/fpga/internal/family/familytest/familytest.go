// Package familytest looks at the trees of tests through driver families.
package familytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// Look is what one scan of a host shows.
type Look struct {
	// Devices are sorted by ID.
	Devices []core.Device
	// Notes, Claims and Errors are those of all families and cards.
	Notes  []core.Note
	Claims []string
	Errors []error
}

// Scan looks at a host through families, in their order, as the plugin does.
func Scan(tb testing.TB, host *sysfs.FS, memory *family.Memory, families ...family.Family) Look {
	tb.Helper()
	scan := family.NewScan(host, memory)
	var l Look
	for _, f := range families {
		found, err := f.Discover(tb.Context(), scan)
		if err != nil {
			l.Errors = append(l.Errors, err)
		}
		scan.Claim(f.Name(), found.Claims...)
		l.Notes = append(l.Notes, found.Notes...)
		l.Claims = append(l.Claims, found.Claims...)
		for _, card := range found.Cards {
			devices, err := card.Read(tb.Context())
			if err != nil {
				l.Errors = append(l.Errors, fmt.Errorf("%s: %w", card.Key, err))
			}
			l.Devices = append(l.Devices, devices...)
		}
	}
	slices.SortFunc(l.Devices, func(a, b core.Device) int { return strings.Compare(a.ID, b.ID) })
	return l
}

// Claimer is a family that claims what another looked at.
type Claimer []string

// Name implements [family.Family].
func (Claimer) Name() string { return "claimer" }

// Discover implements [family.Family].
func (c Claimer) Discover(context.Context, *family.Scan) (family.Found, error) {
	return family.Found{Claims: c}, nil
}

// Device returns the device with an ID, or fails the test.
func (l Look) Device(tb testing.TB, id string) core.Device {
	tb.Helper()
	i := slices.IndexFunc(l.Devices, func(d core.Device) bool { return d.ID == id })
	if i < 0 {
		tb.Fatalf("no device %s in %v", id, l.IDs())
	}
	return l.Devices[i]
}

// IDs returns the IDs of the devices.
func (l Look) IDs() []string {
	var ids []string
	for _, d := range l.Devices {
		ids = append(ids, d.ID)
	}
	return ids
}

// Codes returns the codes of a device's faults that make it unhealthy at first
// sight.
func Codes(d core.Device) []string {
	var codes []string
	for _, f := range d.Faults {
		if f.Severity > core.Notice {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// Readings measures a device, and fails the test if that is an error.
func Readings(tb testing.TB, d core.Device) map[string]core.Value {
	tb.Helper()
	readings, err := d.Ref.(family.Instance).Measure(tb.Context())
	if err != nil {
		tb.Errorf("measuring %s: %v", d.ID, err)
	}
	values := map[string]core.Value{}
	for _, r := range readings {
		if _, twice := values[r.Name]; twice || r.Name == "" || !r.Value.Known() {
			tb.Errorf("measuring %s: reading %+v", d.ID, r)
		}
		values[r.Name] = r.Value
	}
	return values
}

// Grant returns what a device is granted.
func Grant(tb testing.TB, d core.Device) (family.Grant, error) {
	tb.Helper()
	return d.Ref.(family.Instance).Grant(tb.Context())
}

// String returns all that a look shows, with what measuring and granting each
// device bring, for golden files.
func (l Look) String() string {
	var b strings.Builder
	for _, d := range l.Devices {
		b.WriteString(Text(d))
	}
	for _, n := range l.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Subject, n.Text)
	}
	for _, c := range slices.Sorted(slices.Values(l.Claims)) {
		fmt.Fprintf(&b, "claim %s\n", c)
	}
	if err := errors.Join(l.Errors...); err != nil {
		fmt.Fprintf(&b, "error %v\n", err)
	}
	return b.String()
}

// Text returns all that is known of a device, with what measuring and granting it
// bring.
func Text(d core.Device) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", d.ID)
	line("  group %s", d.Group)
	line("  pci %s", d.PCI)
	for _, key := range slices.Sorted(maps.Keys(d.Attributes)) {
		if v := d.Attributes[key]; v.Kind() != core.KindNone {
			line("  attribute %s = %v", key, v)
		}
	}
	for _, f := range d.Faults {
		line("  %s fault %s: %s", f.Severity, f.Code, f.Error())
	}
	instance := d.Ref.(family.Instance)
	readings, err := instance.Measure(context.Background())
	for _, r := range readings {
		line("  reading %s = %s", r.Name, strings.TrimSpace(r.Value.String()+" "+r.Unit))
	}
	if err != nil {
		line("  reading fails: %v", err)
	}
	g, err := instance.Grant(context.Background())
	if err != nil {
		line("  grant fails: %v", err)
		return b.String()
	}
	for _, n := range g.Nodes {
		line("  node %s %s%s", n.Path, n.Permissions, map[bool]string{true: " optional"}[n.Optional])
	}
	for _, m := range g.Mounts {
		line("  mount %s at %s%s", m.HostPath, m.TaskPath, map[bool]string{true: " writable"}[m.Writable])
	}
	for _, key := range slices.Sorted(maps.Keys(g.Env)) {
		line("  env %s = %s", key, g.Env[key])
	}
	line("  own %v", g.Own)
	if len(g.Exceptions) > 0 {
		line("  exceptions %v", g.Exceptions)
	}
	return b.String()
}
