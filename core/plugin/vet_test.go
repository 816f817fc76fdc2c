package plugin

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
)

func TestVetIDs(t *testing.T) {
	t.Parallel()
	good := []string{"GPU-1", "MIG-GPU-8d8/1/0", "dfl:0000:3b:00.0/port0", "x", "0x2330"}
	bad := []string{
		"", "0", "17", "12e4", "1_000", "7GB", "3W", "true", "t", "inf", "nan", "0x1p-2",
		"a,b", "a b", "a\tb", "a\n", "a\x00", "\xff", " a", "${a}",
	}
	for _, id := range good {
		d := coretest.Device(id)
		if got, problems := vet(d); got.ID != id || len(problems) > 0 {
			t.Errorf("ID %q: %v", id, problems)
		}
	}
	for _, id := range bad {
		d := coretest.Device(id)
		if got, problems := vet(d); got.ID != "" || len(problems) == 0 {
			t.Errorf("ID %q was let through", id)
		}
	}
}

func TestVetGroups(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		group, want core.Group // the zero group: not offered
		problems    int
	}{
		"good":               {core.Group{Vendor: "acme", Type: "gpu", Name: "One / Two"}, core.Group{Vendor: "acme", Type: "gpu", Name: "One / Two"}, 0},
		"name is cleaned":    {core.Group{Vendor: "acme", Type: "gpu", Name: " One\x00\n\xffTwo "}, core.Group{Vendor: "acme", Type: "gpu", Name: "OneTwo"}, 1},
		"no name":            {core.Group{Vendor: "acme", Type: "gpu", Name: " \x00 "}, core.Group{}, 1},
		"vendor with slash":  {core.Group{Vendor: "ac/me", Type: "gpu", Name: "One"}, core.Group{}, 1},
		"upper case":         {core.Group{Vendor: "Acme", Type: "GPU", Name: "One"}, core.Group{}, 2},
		"no vendor, no type": {core.Group{Name: "One"}, core.Group{}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := coretest.Device("a")
			d.Group = test.group
			got, problems := vet(d)
			if got.Group != test.want || len(problems) != test.problems {
				t.Errorf("group %+v, problems %v", got.Group, problems)
			}
		})
	}
}

func TestVetAttributes(t *testing.T) {
	t.Parallel()
	good := map[string]core.Value{
		"memory": core.Int(1, core.MiB), "n": core.Count(7), "f": core.Float(1.5, core.GHz), "b": core.Bool(false),
		"s": core.String("text"), "v": core.Version("550.54"), "v2": core.Version("9.0"), "v3": core.Version("96.00.89.00.01"), "u": core.Unknown(),
		"dirty": core.String(" a\x00b "),
	}
	bad := map[string]core.Value{
		"Upper": core.Count(1), "unique.x": core.Count(1), "": core.Count(1), "a b": core.Count(1),
		"unit": core.Int(1, "C"), "lanes": core.Int(1, "lanes"), "funit": core.Float(1, "%"),
		"number": core.String("550.54"), "truth": core.String("true"), "quantity": core.String("7GB"), "empty": core.String(" \x00"),
		"version": core.Version("N/A"), "version2": core.Version(""),
	}
	d := coretest.Device("a")
	d.Attributes = maps.Clone(good)
	maps.Copy(d.Attributes, bad)
	got, problems := vet(d)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(good)), slices.Sorted(maps.Keys(got.Attributes))); diff != "" {
		t.Errorf("kept attributes -want +got\n%s", diff)
	}
	if len(problems) != len(bad) {
		t.Errorf("%d problems for %d bad attributes: %v", len(problems), len(bad), problems)
	}
	if got.Attributes["dirty"] != core.String("ab") {
		t.Errorf("dirty is %v", got.Attributes["dirty"])
	}
}

func TestVetPCI(t *testing.T) {
	t.Parallel()
	for address, want := range map[core.PCIAddress]core.PCIAddress{
		"": "", "0000:3b:00.0": "0000:3b:00.0", "10000:01:00.7": "10000:01:00.7",
		"0000:3B:00.0": "", "00000000:3b:00.0\x00\x00": "", "3b:00.0": "", "0000:3b:00.8": "",
	} {
		d := coretest.Device("a")
		d.PCI = address
		if got, _ := vet(d); got.PCI != want || got.ID != "a" {
			t.Errorf("PCI %q became %q, want %q", address, got.PCI, want)
		}
	}
}

// What passes the vetting must pass Nomad's own validation and round trip.
func FuzzVet(f *testing.F) {
	f.Add("GPU-1", "One", "memory", "text", "MiB", 1.0, int64(1))
	f.Add("7GB", "\xff", "unique.x", "0x1p-2", "%", math.Inf(1), int64(-1))
	f.Fuzz(func(t *testing.T, id, name, key, text, unit string, number float64, whole int64) {
		d := core.Device{
			ID:    id,
			Group: core.Group{Vendor: "acme", Type: "gpu", Name: name},
			Attributes: map[string]core.Value{
				key: core.String(text), key + "v": core.Version(text),
				key + "f": core.Float(number, core.Unit(unit)), key + "i": core.Int(whole, core.Unit(unit)),
			},
		}
		d, _ = vet(d)
		if d.ID == "" {
			return
		}
		if strings.ContainsAny(d.ID, ", ") || structs.ParseAttribute(d.ID).String == nil {
			t.Errorf("ID %q was let through", d.ID)
		}
		group := &device.DeviceGroup{Vendor: d.Group.Vendor, Type: d.Group.Type, Name: d.Group.Name, Devices: []*device.Device{{ID: d.ID}}, Attributes: map[string]*structs.Attribute{}}
		for key, v := range d.Attributes {
			if a := attributeOf(v); a != nil {
				group.Attributes[key] = a
			}
		}
		if err := group.Validate(); err != nil {
			t.Errorf("Nomad refuses what was let through: %v", err)
		}
	})
}
