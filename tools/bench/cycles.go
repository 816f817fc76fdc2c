package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// stale is the pause after which a plugin measures anew: what it measured a
// moment ago may stand for a new measurement.
const stale = 700 * time.Millisecond

// cycles measures how long it takes from asking for statistics to having those
// of all devices, for several times that a driver call takes.
func (r *runner) cycles(ctx context.Context) error {
	measured := map[int][][]Value{} // by size, latency, contestant
	for _, size := range r.plan.sizes {
		table := make([][]Value, len(r.plan.latencies))
		for _, c := range r.contestants {
			column, err := r.cyclesOf(ctx, c, size)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.failed(c, "statistics of "+devicesText(size), err)
			for i := range table {
				value := missing
				if i < len(column) {
					value = column[i]
				}
				table[i] = append(table[i], value)
			}
		}
		measured[size] = table
	}
	for i, latency := range r.plan.latencies {
		section := fmt.Sprintf("time for the statistics of all devices, %d ms per driver call", latency.Milliseconds())
		for _, size := range r.plan.sizes {
			r.add(section, devicesText(size), Seconds, measured[size][i])
		}
		r.grew(fmt.Sprintf("time for the statistics, %d ms per driver call", latency.Milliseconds()),
			measured[r.plan.from][i], measured[r.plan.largest()][i])
	}
	return nil
}

// cyclesOf measures one plugin at one size: a value for each latency, as far as
// it came.
func (r *runner) cyclesOf(ctx context.Context, c *contestant, size int) (column []Value, err error) {
	m, err := r.machine(ctx, c, size)
	if err != nil {
		return nil, err
	}
	s, err := r.settled(ctx, c, m, size, noScans)
	if err != nil {
		return nil, err
	}
	defer s.close()
	defer func() { err = errors.Join(err, m.Latency(0)) }()
	rest := 50 * time.Millisecond // for the driver to see its latency
	for _, latency := range r.plan.latencies {
		if err := m.Latency(latency); err != nil {
			return column, err
		}
		var times []float64
		// A cycle that takes long need not be seen often to be believed.
		for total := 0.0; len(times) < r.plan.cycles && total < r.plan.patience.Seconds()/2; {
			if !pause(ctx, rest) {
				return column, context.Cause(ctx)
			}
			rest = stale
			took, err := r.cycle(ctx, s, m, size)
			if errors.Is(err, errTooLate) {
				column = append(column, Value{Number: r.plan.patience.Seconds(), Bound: true})
				times = nil
				break
			}
			if err != nil {
				return column, err
			}
			times = append(times, took)
			total += took
		}
		if len(times) > 0 {
			column = append(column, number(median(times)))
		}
	}
	return column, nil
}

// cycle opens a stream of statistics and returns how many seconds later those of
// all devices were there.
func (r *runner) cycle(ctx context.Context, s *session, m *nvidia.Machine, size int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.plan.patience)
	defer cancel()
	gpus, err := ids(m)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	have := map[string]bool{}
	for groups, err := range s.Stats(ctx, statsInterval) {
		if err != nil {
			return 0, fmt.Errorf("statistics: %w", err)
		}
		for id := range fresh(groups, begun) {
			have[id] = true
		}
		complete := len(have) >= size
		for _, id := range gpus {
			complete = complete && have[id]
		}
		if complete {
			return since(begun), nil
		}
	}
	return 0, fmt.Errorf("%w within %v", errTooLate, r.plan.patience)
}
