package bench

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// profile is the simulated machine that all sizes are made of, and profileGPUs
// how many it has.
const (
	profile     = "8xh100"
	profileGPUs = 8
)

// newMachine makes a machine with a number of equal GPUs in dir.
func newMachine(ctx context.Context, dir string, gpus int) (*nvidia.Machine, error) {
	set := map[string]string{}
	for n := gpus; n < profileGPUs; n++ {
		set[gpuKey(n, "present")] = "false"
	}
	for n := profileGPUs; n < gpus; n++ {
		sum := sha256.Sum256([]byte(strconv.Itoa(n)))
		// A bus has one GPU below a port of the bus before it.
		domain, bus := 1+n/100, 2*(n%100)+1
		for key, value := range map[string]string{
			"uuid":         fmt.Sprintf("GPU-%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]),
			"serial":       strconv.Itoa(1652123200000 + n),
			"minor_number": strconv.Itoa(n),
			"pci.bus_id":   fmt.Sprintf("%04x:%02x:00.0", domain, bus),
			"numa_node":    "0",
			"cpus":         "0-55",
			"module_id":    "1",
			"board_id":     strconv.Itoa(domain<<16 | bus<<8),
		} {
			set[gpuKey(n, key)] = value
		}
	}
	m, err := nvidia.Start(ctx, dir, profile, nvidia.Options{Set: set})
	if err != nil {
		return nil, fmt.Errorf("simulating %d GPUs: %w", gpus, err)
	}
	return m, nil
}

func gpuKey(gpu int, key string) string { return "gpu." + strconv.Itoa(gpu) + "." + key }

// ids returns the UUIDs of the GPUs that are in the machine, by number.
func ids(m *nvidia.Machine) (map[int]string, error) {
	gpus, err := m.GPUs()
	if err != nil {
		return nil, err
	}
	all := map[int]string{}
	for _, g := range gpus {
		if g.Present {
			all[g.Number] = g.UUID
		}
	}
	return all, nil
}

// live changes what changes on GPUs at work, and nothing that is news to a
// scheduler, until ctx ends.
func live(ctx context.Context, m *nvidia.Machine) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		set := map[string]string{
			"gpu.*.utilization.gpu":    strconv.Itoa(rand.IntN(100)),
			"gpu.*.utilization.memory": strconv.Itoa(rand.IntN(100)),
			"gpu.*.memory.used":        strconv.Itoa(rand.IntN(70000)) + " MiB",
			"gpu.*.power.instant":      strconv.Itoa(70000 + rand.IntN(600000)),
			"gpu.*.power.average":      strconv.Itoa(70000 + rand.IntN(600000)),
			"gpu.*.temperature.memory": strconv.Itoa(40 + rand.IntN(30)),
			"gpu.*.clock.sm":           strconv.Itoa(345 + rand.IntN(1600)),
			"gpu.0.temperature":        strconv.Itoa(40 + rand.IntN(30)),
			"gpu.0.power.usage":        strconv.Itoa(70000 + rand.IntN(600000)),
		}
		if err := m.SetAll(set); err != nil {
			return err
		}
	}
}

// driverCalls counts the calls that a plugin made, all together. Waiting for an
// event is none: it asks nothing.
func driverCalls(m *nvidia.Machine) (float64, error) {
	calls, err := m.Calls()
	if err != nil {
		return 0, err
	}
	var sum uint64
	for name, n := range calls {
		if name != "nvmlEventSetWait" && name != "nvmlEventSetWait_v2" {
			sum += n
		}
	}
	return float64(sum), nil
}

// bursts watches the counters for a while and returns how many calls each scan
// made. A scan is over when no call was made for a moment.
func bursts(ctx context.Context, m *nvidia.Machine, window time.Duration) ([]float64, error) {
	const look, quiet = 5 * time.Millisecond, 150 * time.Millisecond
	var all []float64
	begun, err := driverCalls(m)
	if err != nil {
		return nil, err
	}
	last, changed := begun, time.Now()
	for end := time.Now().Add(window); time.Now().Before(end); {
		if !pause(ctx, look) {
			return nil, context.Cause(ctx)
		}
		now, err := driverCalls(m)
		if err != nil {
			return nil, err
		}
		switch {
		case now != last:
			last, changed = now, time.Now()
		case now != begun && time.Since(changed) > quiet:
			all = append(all, now-begun)
			begun = now
		}
	}
	return all, nil
}

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
