package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// faults measures how long it takes from a fault to the message that the device
// is unhealthy or gone.
func (r *runner) faults(ctx context.Context) error {
	const section = "from a fault to the fingerprint message"
	for _, kind := range []struct {
		name, fault string
		period      time.Duration
	}{
		{"with an event of the driver (XID 79)", "xid79", noScans},
		{fmt.Sprintf("without one, scans every %v", quickPeriod), "lost", quickPeriod},
	} {
		var values []Value
		for _, c := range r.contestants {
			value, err := r.faultsOf(ctx, c, kind.fault, kind.period)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.failed(c, "fault "+kind.fault, err)
			values = append(values, value)
		}
		r.add(section, kind.name, Seconds, values)
	}
	return nil
}

// faultsOf breaks the GPUs of a machine, one after the other.
func (r *runner) faultsOf(ctx context.Context, c *contestant, fault string, period time.Duration) (Value, error) {
	m, err := r.another(ctx, c, fault)
	if err != nil {
		return missing, err
	}
	gpus, err := ids(m)
	if err != nil {
		return missing, err
	}
	s, err := r.settled(ctx, c, m, len(gpus), period)
	if err != nil {
		return missing, err
	}
	defer s.close()
	pause(ctx, 500*time.Millisecond) // for the events to be waited for
	limit := r.plan.patience / 2
	var times []float64
	for i := range r.plan.faults {
		// Scans follow the last message by a period: the faults are spread
		// over it.
		share := float64(i) / float64(r.plan.faults)
		if !pause(ctx, 300*time.Millisecond+time.Duration(share*float64(quickPeriod))) {
			return missing, context.Cause(ctx)
		}
		begun := time.Now()
		if err := m.Break(i, fault); err != nil {
			return missing, err
		}
		took, err := s.await(ctx, begun, limit, func(health map[string]bool) bool { return !health[gpus[i]] })
		if errors.Is(err, errTooLate) {
			return Value{Number: limit.Seconds(), Bound: true}, nil
		}
		if err != nil {
			return Value{Missing: "stream ended"}, err
		}
		times = append(times, took.Seconds())
	}
	return number(median(times)), nil
}

// hang measures in how many intervals the statistics of the healthy devices
// arrive while one device hangs.
func (r *runner) hang(ctx context.Context) error {
	var values []Value
	for _, c := range r.contestants {
		share, err := r.hangOf(ctx, c)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.failed(c, "statistics beside a device that hangs", err) {
			values = append(values, missing)
			continue
		}
		values = append(values, number(100*share))
	}
	r.result.Rows = append(r.result.Rows, newRow("while one of "+devicesText(r.plan.base)+" hangs",
		"intervals with the statistics of all others", Percent, true, values))
	return nil
}

// hangOf returns the share of intervals in which the statistics of all healthy
// devices arrived.
func (r *runner) hangOf(ctx context.Context, c *contestant) (share float64, err error) {
	m, err := r.another(ctx, c, "hang")
	if err != nil {
		return 0, err
	}
	gpus, err := ids(m)
	if err != nil {
		return 0, err
	}
	s, err := r.settled(ctx, c, m, len(gpus), scanPeriod)
	if err != nil {
		return 0, err
	}
	defer s.close()
	last := slices.Max(sorted(gpus))
	healthy := make([]string, 0, len(gpus)-1)
	for n, id := range gpus {
		if n != last {
			healthy = append(healthy, id)
		}
	}
	// The call must return before the process is asked to end.
	defer func() { err = errors.Join(err, m.Release(last, nvidia.EveryFunction)) }()

	window := time.Duration(r.plan.intervals) * statsInterval
	// The first message may be as late as the window's end in a plugin that has
	// hung; the stream is closed then.
	streamCtx, cancel := context.WithTimeout(ctx, window+statsInterval*3/2+r.plan.settle)
	defer cancel()
	good, begun := 0, time.Time{}
	for groups, err := range s.Stats(streamCtx, statsInterval) {
		if err != nil {
			return 0, fmt.Errorf("statistics: %w", err)
		}
		now := time.Now()
		if begun.IsZero() {
			if err := m.Hang(last, nvidia.EveryFunction); err != nil {
				return 0, err
			}
			// An interval begins a moment before its message is due.
			begun = now.Add(statsInterval - statsInterval/20)
			continue
		}
		if now.Before(begun) {
			continue
		}
		if now.After(begun.Add(window)) {
			break
		}
		have := fresh(groups, now.Add(-statsInterval*3/2))
		if !slices.ContainsFunc(healthy, func(id string) bool { return !have[id] }) {
			good++
		}
	}
	return min(float64(good)/float64(r.plan.intervals), 1), nil
}

func sorted(gpus map[int]string) []int {
	numbers := make([]int, 0, len(gpus))
	for n := range gpus {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers
}
