package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// costs are what one plugin costs while nothing happens.
type costs struct {
	idle      float64 // processor seconds per second without scans and statistics
	stats     float64 // processor seconds per statistics cycle, beyond idle
	statCalls float64
	scan      float64 // processor seconds per scan, beyond idle
	scanCalls float64
	messages  float64 // fingerprint messages per hour
	memory    memory
}

// perHour is the processor time of an hour at the defaults of Nomad and plugin.
func (c costs) perHour() float64 {
	hour := time.Hour.Seconds()
	return hour * (c.idle + c.stats/statsInterval.Seconds() + c.scan/scanPeriod.Seconds())
}

// steady measures what the plugins cost while nothing happens.
func (r *runner) steady(ctx context.Context) error {
	sizes := []int{r.plan.from, r.plan.base, r.plan.largest()}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	measured := map[int][]*costs{}
	for _, size := range sizes {
		for _, c := range r.contestants {
			m, err := r.machine(ctx, c, size)
			if err != nil {
				return err
			}
			// To wait for an event the simulated driver looks at a file again and
			// again, in the plugin's process. A real one sleeps.
			if err := m.Set("gpu.*.events", "0"); err != nil {
				return err
			}
			found, err := r.costs(ctx, c, m, size)
			if r.failed(c, "steady state with "+devicesText(size), err) {
				found = nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			measured[size] = append(measured[size], found)
		}
	}
	of := func(size int, pick func(*costs) float64) []Value {
		var values []Value
		for _, c := range measured[size] {
			if c == nil {
				values = append(values, missing)
			} else {
				values = append(values, number(max(pick(c), 0)))
			}
		}
		return values
	}
	type figure struct {
		section, name string
		unit          Unit
		pick          func(size int) func(*costs) float64
		grows         bool
	}
	same := func(pick func(*costs) float64) func(int) func(*costs) float64 {
		return func(int) func(*costs) float64 { return pick }
	}
	for _, f := range []figure{
		{"processor time", "per device and hour", Seconds, func(size int) func(*costs) float64 {
			return func(c *costs) float64 { return c.perHour() / float64(size) }
		}, false},
		{"processor time", "per hour, with neither scans nor statistics", Seconds, same(func(c *costs) float64 { return c.idle * time.Hour.Seconds() }), false},
		{"processor time", "per statistics cycle", Seconds, same(func(c *costs) float64 { return c.stats }), true},
		{"processor time", "per scan", Seconds, same(func(c *costs) float64 { return c.scan }), true},
		{"driver calls", "per statistics cycle", Count, same(func(c *costs) float64 { return c.statCalls }), true},
		{"driver calls", "per scan", Count, same(func(c *costs) float64 { return c.scanCalls }), true},
		{"memory", "proportional (PSS)", Bytes, same(func(c *costs) float64 { return c.memory.proportional }), true},
		{"memory", "resident (RSS)", Bytes, same(func(c *costs) float64 { return c.memory.resident }), false},
		{"memory", "threads", Count, same(func(c *costs) float64 { return c.memory.threads }), false},
		{"messages to Nomad while only statistics change", "fingerprint messages per hour", Count, same(func(c *costs) float64 { return c.messages }), false},
	} {
		for _, size := range sizes {
			r.add(f.section, f.name+", "+devicesText(size), f.unit, of(size, f.pick(size)))
		}
		if f.grows {
			last := r.plan.largest()
			r.grew(f.section+" "+f.name, of(r.plan.from, f.pick(r.plan.from)), of(last, f.pick(last)))
		}
	}
	return nil
}

// costs measures one plugin on one machine.
func (r *runner) costs(ctx context.Context, c *contestant, m *nvidia.Machine, devices int) (*costs, error) {
	found := &costs{}
	if err := r.statsCosts(ctx, c, m, devices, found); err != nil {
		return nil, err
	}
	if err := r.scanCosts(ctx, c, m, devices, found); err != nil {
		return nil, err
	}
	return found, nil
}

// settled starts a plugin and waits until it has come to rest.
func (r *runner) settled(ctx context.Context, c *contestant, m *nvidia.Machine, devices int, period time.Duration) (*session, error) {
	s, err := c.start(ctx, m, period)
	if err != nil {
		return nil, err
	}
	if _, err := s.complete(ctx, devices, r.plan.patience); err != nil {
		s.close()
		return nil, err
	}
	pause(ctx, r.plan.settle)
	return s, nil
}

// statsCosts measures waiting, and statistics without scans.
func (r *runner) statsCosts(ctx context.Context, c *contestant, m *nvidia.Machine, devices int, found *costs) error {
	s, err := r.settled(ctx, c, m, devices, noScans)
	if err != nil {
		return err
	}
	defer s.close()
	cpu, begun, err := cpuNow(s)
	if err != nil {
		return err
	}
	pause(ctx, r.plan.window)
	if found.idle, err = spent(s, cpu, begun); err != nil {
		return err
	}

	streamCtx, cancel := context.WithTimeout(ctx, r.plan.patience+r.plan.window)
	defer cancel()
	var calls float64
	count := -1 // the first message begins the first cycle that is measured
	for _, err := range s.Stats(streamCtx, statsInterval) {
		if err != nil {
			return fmt.Errorf("statistics: %w", err)
		}
		if count++; count == 0 {
			if cpu, begun, err = cpuNow(s); err != nil {
				return err
			}
			if calls, err = driverCalls(m); err != nil {
				return err
			}
			continue
		}
		if time.Since(begun) < r.plan.window {
			continue
		}
		break
	}
	if count < 1 {
		return fmt.Errorf("statistics: %w within %v", errTooLate, r.plan.patience+r.plan.window)
	}
	rate, err := spent(s, cpu, begun)
	if err != nil {
		return err
	}
	found.stats = (rate - found.idle) * since(begun) / float64(count)
	after, err := driverCalls(m)
	if err != nil {
		return err
	}
	found.statCalls = (after - calls) / float64(count)
	found.memory, err = memoryOf(s.PID())
	return err
}

// scanCosts measures scans at a short period, and counts the messages that are
// sent while statistics are read and only they change.
func (r *runner) scanCosts(ctx context.Context, c *contestant, m *nvidia.Machine, devices int, found *costs) error {
	s, err := r.settled(ctx, c, m, devices, quickPeriod)
	if err != nil {
		return err
	}
	defer s.close()
	cpu, begun, err := cpuNow(s)
	if err != nil {
		return err
	}
	calls, err := driverCalls(m)
	if err != nil {
		return err
	}
	scans, err := bursts(ctx, m, max(r.plan.window, quickPeriod*7/5)) // with a scan in it
	if err != nil {
		return err
	}
	rate, err := spent(s, cpu, begun)
	if err != nil {
		return err
	}
	after, err := driverCalls(m)
	if err != nil {
		return err
	}
	count := since(begun) / quickPeriod.Seconds()
	found.scan = (rate - found.idle) * since(begun) / count
	found.scanCalls = (after - calls) / count
	if len(scans) > 0 { // with no rest between scans they cannot be told apart
		found.scanCalls = median(scans)
		found.scan = (rate - found.idle) * since(begun) / float64(len(scans))
	}
	found.messages, err = r.messages(ctx, s)
	return err
}

// messages counts the fingerprint messages per hour while statistics are read
// and only they change.
func (r *runner) messages(ctx context.Context, s *session) (float64, error) {
	windowCtx, cancel := context.WithTimeout(ctx, r.plan.window)
	defer cancel()
	before, begun := s.received(), time.Now()
	var beside sync.WaitGroup
	var changing, reading error
	beside.Go(func() { changing = live(windowCtx, s.machine) })
	for _, err := range s.Stats(windowCtx, statsInterval) {
		if err != nil {
			reading = err
		}
	}
	<-windowCtx.Done()
	beside.Wait()
	return float64(s.received()-before) / since(begun) * time.Hour.Seconds(), errors.Join(changing, reading, s.err())
}

// err says why the fingerprint stream is over; nil while it is not.
func (s *session) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func cpuNow(s *session) (time.Duration, time.Time, error) {
	cpu, err := cpuTime(s.PID())
	return cpu, time.Now(), err
}

// spent returns the processor seconds per second since a moment.
func spent(s *session, cpu time.Duration, begun time.Time) (float64, error) {
	now, err := cpuTime(s.PID())
	return (now - cpu).Seconds() / since(begun), err
}
