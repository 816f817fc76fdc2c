package dfl_test

import (
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/dfl"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family/familytest"
)

// TestTorture breaks each file of the machines.
func TestTorture(t *testing.T) {
	t.Parallel()
	float := func(v ...float64) (values []core.Value) {
		for _, f := range v {
			values = append(values, core.Float(f, core.NoUnit))
		}
		return values
	}
	hotter := map[string][]core.Value{
		"temperature": float(50, 48),        // the next sensor of the FPGA
		"model":       {core.String("ofs")}, // without the subsystem
		"numa_node":   nil,
	}
	for _, test := range []struct {
		name, machine, mode string
		allowed             map[string][]core.Value
		parts               []string
	}{
		{"a card with a virtual function", "cards", "port", hotter, []string{"0000:3b:00.0", "0000:3b:00.1", "/dev/dfl-port"}},
		{"two cards", "cards", "port", nil, []string{"0000:5e:00.0", "0000:5e:00.1", "10000:01:", "/dev/vfio", "/dev/dfl-port"}},
		{"whole cards", "cards", "region", nil, []string{"0000:5e:00.0", "/dev/dfl-"}},
		{"OPAE", "opae", "port", map[string][]core.Value{"power": float(23)}, []string{""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			familytest.Torture{
				Tree:     familytest.Excerpt(t, "testdata/"+test.machine+".tsv", test.parts...),
				Families: func() []family.Family { return families(dfl.Config{Mode: test.mode}) },
				Allowed:  test.allowed,
			}.Run(t)
		})
	}
}
