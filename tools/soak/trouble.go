package soak

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// pace is the time between two troubles.
const pace = 150 * time.Millisecond

// trouble makes hardware fail and mends it.
type trouble struct {
	run  *run
	dice *rand.Rand
	// mend has what must be undone, by what was done.
	mend map[string]func() error
}

func newTrouble(r *run) *trouble {
	return &trouble{run: r, dice: rand.New(rand.NewPCG(r.options.Seed, 1)), mend: map[string]func() error{}}
}

// make makes trouble until stop is closed, and mends all of it.
func (t *trouble) make(ctx context.Context, stop <-chan struct{}) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return t.mendAll()
		case <-tick.C:
		}
		if err := t.one(ctx); err != nil {
			return err
		}
	}
}

func (t *trouble) mendAll() error {
	for _, mend := range t.mend {
		if err := mend(); err != nil {
			return err
		}
	}
	clear(t.mend)
	return nil
}

// one makes one trouble, or mends one that was made: about as often, so that
// there are always some.
func (t *trouble) one(ctx context.Context) error {
	if len(t.mend) > 3 || len(t.mend) > 0 && t.dice.IntN(2) == 0 {
		made := slices.Sorted(maps.Keys(t.mend))
		what := made[t.dice.IntN(len(made))]
		mend := t.mend[what]
		delete(t.mend, what)
		return mend()
	}
	m, gpu := t.run.machine, t.dice.IntN(6)
	switch n := t.dice.IntN(100); {
	case n < 45:
		faults := nvidia.Faults()
		return t.breaks(gpu, faults[t.dice.IntN(len(faults))].Name)
	case n < 60:
		codes := []int{1, 2, 3, 4, 6, 9, 10, 13, 15, 16, 20, 21, 999}
		functions := []string{"nvmlDeviceGetUUID", "nvmlDeviceGetFieldValues", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetHandleByPciBusId_v2", nvidia.EveryFunction}
		function := functions[t.dice.IntN(len(functions))]
		t.mend[fmt.Sprintf("fail %d %s", gpu, function)] = func() error { return m.Fail(gpu, function, 0) }
		return m.Fail(gpu, function, codes[t.dice.IntN(len(codes))])
	case n < 70:
		t.mend["listing"] = func() error { return m.Fail(nvidia.AllGPUs, "nvmlDeviceGetCount_v2", 0) }
		return m.Fail(nvidia.AllGPUs, "nvmlDeviceGetCount_v2", 999)
	case n < 73:
		t.mend["driver"] = m.Load
		return m.Unload()
	case n < 75:
		layouts := [][]string{{"3g.40gb", "3g.40gb"}, {"1g.10gb", "1g.10gb", "2g.20gb"}, {"7g.80gb"}}
		t.mend["layout"] = func() error { return m.MIGOff(6) }
		return m.MIG(6, layouts[t.dice.IntN(len(layouts))]...)
	case n < 80:
		t.run.streams(ctx, 10)
		return nil
	default:
		return t.reserve(ctx)
	}
}

func (t *trouble) breaks(gpu int, fault string) error {
	t.mend[fmt.Sprintf("fault %d", gpu)] = func() error { return t.run.machine.Repair(gpu) }
	return t.run.machine.Break(gpu, fault)
}

// reserve asks for a device that is listed; whether it can be had depends on
// its health, so that an error is an answer.
func (t *trouble) reserve(ctx context.Context) error {
	ids, _ := t.run.known()
	if len(ids) > 0 {
		_, _ = t.run.plugin.Reserve(ctx, ids[t.dice.IntN(len(ids)):][:1])
	}
	return nil
}
