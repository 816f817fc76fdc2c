package amd

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

// generationKey counts the changes of the KFD topology.
const generationKey = "kfd.generation"

// settle does what the driver does of its own accord: it counts a change of the
// topology, and starts counting errors anew for a GPU that it has bound again.
func settle(f *scenario.File, before machine.View) error {
	after := before.Of(f)
	was, errBefore := gpus(before)
	is, err := gpus(after)
	if err != nil {
		return err
	}
	if errBefore != nil { // a scenario edited by hand
		was = nil
	}
	if !slices.Equal(topology(before, was), topology(after, is)) {
		next := number(before.Machine(generationKey), 1) + 1
		if err := f.Set(generationKey, strconv.Itoa(next)); err != nil {
			return err
		}
	}
	for _, g := range is {
		i := slices.IndexFunc(was, func(w gpu) bool { return w.n == g.n })
		if i < 0 || serving(was[i]) || !serving(g) {
			continue
		}
		if err := forget(f, g); err != nil {
			return err
		}
	}
	return nil
}

// serving reports whether the driver runs a GPU that is there.
func serving(g gpu) bool { return g.bound() && g.is("present", true) }

// topology is what a generation of the KFD topology stands for.
func topology(v machine.View, all []gpu) []int {
	if !v.Loaded() {
		return nil
	}
	ids := []int{0} // the CPUs
	for _, n := range nodes(v, all) {
		ids = append(ids, n.gpuID)
	}
	return ids
}

// forget starts the counts of a GPU anew, which the driver keeps in memory; pages
// that waited for this are retired now.
func forget(f *scenario.File, g gpu) error {
	for _, block := range words(g.text("ras.blocks")) {
		for _, count := range []string{"ue", "ce", "de"} {
			key := strings.Join([]string{"ras", block, count}, ".")
			if g.Number(g.n, key, 0) == 0 {
				continue
			}
			if err := f.Set(g.Key(g.n, key), "0"); err != nil {
				return err
			}
		}
	}
	pending := g.Number(g.n, "ras.pages.pending", 0)
	if pending == 0 {
		return nil
	}
	retired := strconv.FormatInt(g.Number(g.n, "ras.pages.retired", 0)+pending, 10)
	return f.SetAll(map[string]string{g.Key(g.n, "ras.pages.pending"): "0", g.Key(g.n, "ras.pages.retired"): retired})
}
