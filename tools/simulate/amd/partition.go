package amd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// Partition divides a GPU anew: by a compute mode (SPX, DPX, TPX, QPX, CPX) and,
// if not empty, a memory mode (NPS1 to NPS8). As on hardware the nodes of the KFD
// topology go and others come; a driver refuses that while a program holds
// /dev/kfd open, which the simulator does not know.
func (m *Machine) Partition(gpu int, compute, memory string) error {
	return m.EditCard(gpu, func(f *scenario.File, v machine.View) error {
		compute, memory := strings.ToUpper(compute), strings.ToUpper(memory)
		if v.Card(gpu, "compute_partition") == "" {
			return fmt.Errorf("GPU %d (%s) cannot be divided", gpu, v.Card(gpu, "name"))
		}
		if memory == "" {
			memory = v.Card(gpu, "memory_partition")
		}
		for _, wanted := range []struct{ what, mode, available string }{
			{"compute", compute, "available_compute_partition"}, {"memory", memory, "available_memory_partition"},
		} {
			available := words(v.Card(gpu, wanted.available))
			if !slices.Contains(available, wanted.mode) {
				return fmt.Errorf("GPU %d (%s) has no %s mode %q: use one of %s", gpu, v.Card(gpu, "name"), wanted.what, wanted.mode, strings.Join(available, ", "))
			}
		}
		parts, err := partitions(compute, int(v.Number(gpu, "xcc", 1)))
		if err != nil {
			return err
		}
		// A part has memory of its own: there are not more memories than parts.
		if memories, err := strconv.Atoi(strings.TrimPrefix(memory, "NPS")); err == nil && memories > parts {
			return fmt.Errorf("GPU %d (%s): %s makes %d parts, too few for %s", gpu, v.Card(gpu, "name"), compute, parts, memory)
		}
		return f.SetAll(map[string]string{v.Key(gpu, "compute_partition"): compute, v.Key(gpu, "memory_partition"): memory})
	})
}
