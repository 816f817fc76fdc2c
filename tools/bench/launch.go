package bench

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// launchTimes are those of one launch, in seconds from exec.
type launchTimes struct {
	handshake, first, complete float64
}

// launch starts a plugin once and times it until it has listed all devices.
func (r *runner) launch(ctx context.Context, c *contestant, m *nvidia.Machine, devices int) (launchTimes, error) {
	s, err := c.start(ctx, m, scanPeriod)
	if err != nil {
		return launchTimes{}, err
	}
	defer s.close()
	complete, err := s.complete(ctx, devices, r.plan.patience)
	if err != nil {
		return launchTimes{}, err
	}
	t := s.Timings()
	return launchTimes{t.Handshake.Seconds(), t.FirstFingerprint.Seconds(), complete.Seconds()}, nil
}

// launches measures the start of the plugins, in turn, so that what else the
// machine does falls on both.
func (r *runner) launches(ctx context.Context) error {
	const section = "start"
	var complete [][]Value // by size
	for _, size := range r.plan.sizes {
		count := r.plan.reloads
		if size == r.plan.base {
			count = r.plan.launches
		}
		times := make([][]launchTimes, len(r.contestants))
		for range count {
			for i, c := range r.contestants {
				m, err := r.machine(ctx, c, size)
				if err != nil {
					return err
				}
				t, err := r.launch(ctx, c, m, size)
				if r.failed(c, fmt.Sprintf("start with %d devices", size), err) {
					continue
				}
				times[i] = append(times[i], t)
			}
		}
		of := func(pick func(launchTimes) float64) []Value {
			values := make([]Value, len(times))
			for i, all := range times {
				var numbers []float64
				for _, t := range all {
					numbers = append(numbers, pick(t))
				}
				values[i] = number(median(numbers))
			}
			return values
		}
		if size == r.plan.base {
			r.add(section, "exec to handshake", Seconds, of(func(t launchTimes) float64 { return t.handshake }))
			r.add(section, "exec to first fingerprint message", Seconds, of(func(t launchTimes) float64 { return t.first }))
		}
		complete = append(complete, of(func(t launchTimes) float64 { return t.complete }))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	for i, values := range complete {
		r.add(section, "exec to the list of "+devicesText(r.plan.sizes[i]), Seconds, values)
	}
	return nil
}

// binaries measures the files.
func (r *runner) binaries() {
	size, modules := make([]Value, len(r.contestants)), make([]Value, len(r.contestants))
	for i, c := range r.contestants {
		info, err := os.Stat(c.binary)
		if r.failed(c, "size of the binary", err) {
			size[i] = missing
		} else {
			size[i] = number(float64(info.Size()))
		}
		if build, err := buildinfo.ReadFile(c.binary); err == nil {
			modules[i] = number(float64(len(build.Deps)))
		} else {
			modules[i] = missing // not a Go program, or one that does not tell
		}
	}
	r.add("size", "binary", Bytes, size)
	r.add("size", "modules in it", Count, modules)
}

func devicesText(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

// since returns the seconds since a time.
func since(t time.Time) float64 { return time.Since(t).Seconds() }
