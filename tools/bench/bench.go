package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// Options say what to measure.
type Options struct {
	// Plugin is the binary of the NVIDIA plugin of this project.
	Plugin string
	// Peer is another plugin for NVIDIA GPUs to measure beside it; empty: none.
	Peer string
	// PeerConfig is the content of its config block. Without one it gets those
	// of the settings nvml_library, host_root and fingerprint_period that its
	// schema has. {library}, {root} and {dir} stand for the simulated library,
	// the root of the simulated file system and the library's directory.
	PeerConfig string
	// PeerEnv has further variables for the peer, as "KEY=value", with the same
	// placeholders. LD_LIBRARY_PATH starts with the library's directory anyhow.
	PeerEnv []string
	// Quick measures little: it shows that everything works.
	Quick bool
	// Progress is told what is being measured; nil: nobody is.
	Progress io.Writer
}

// runner is a run in progress.
type runner struct {
	plan        plan
	dir         string
	progress    io.Writer
	contestants []*contestant
	machines    map[string]*nvidia.Machine
	result      *Result
	growth      []Row
	broken      error // why figures of our own plugin are missing
}

// Run measures. The result is good as far as it goes when there is an error,
// which says what of our own plugin could not be measured; what could not be
// measured of the peer is in the notes.
func Run(ctx context.Context, o Options) (result *Result, err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, fmt.Errorf("making a place for the simulated machines: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := newRunner(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"starts", r.launches},
		{"steady state", r.steady},
		{"statistics under latency", r.cycles},
		{"faults", r.faults},
		{"a device that hangs", r.hang},
		{"micro-benchmarks", r.micro},
	} {
		fmt.Fprintf(r.progress, "measuring: %s\n", step.name)
		if err := step.run(ctx); err != nil {
			return r.finish(), err
		}
	}
	return r.finish(), r.broken
}

// newRunner returns a runner that has measured nothing yet and keeps its
// machines in dir.
func newRunner(ctx context.Context, dir string, o Options) (*runner, error) {
	r := &runner{
		plan: full, dir: dir, progress: o.Progress,
		machines: map[string]*nvidia.Machine{},
		result:   &Result{CPUs: runtime.GOMAXPROCS(0), Go: runtime.Version(), Quick: o.Quick},
	}
	if o.Quick {
		r.plan = quick
	}
	if r.progress == nil {
		r.progress = io.Discard
	}
	r.contestants = []*contestant{{label: "ours", binary: o.Plugin}}
	if o.Peer != "" {
		r.contestants = append(r.contestants, &contestant{label: "peer", binary: o.Peer, config: o.PeerConfig, env: o.PeerEnv})
	}
	for _, c := range r.contestants {
		if err := r.introduce(ctx, c); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// introduce asks a plugin who it is.
func (r *runner) introduce(ctx context.Context, c *contestant) error {
	c.tmp = filepath.Join(r.dir, c.label+"-tmp")
	if err := os.Mkdir(c.tmp, 0o755); err != nil {
		return fmt.Errorf("making a place for temporary files: %w", err)
	}
	m, err := r.machine(ctx, c, r.plan.base)
	if err != nil {
		return err
	}
	p, err := pluginclient.Start(ctx, c.binary, pluginclient.Options{Env: c.environment(m)})
	if err != nil {
		return fmt.Errorf("%s: %w", c.label, err)
	}
	defer p.Close()
	info, err := p.Info(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", c.label, err)
	}
	r.result.Plugins = append(r.result.Plugins, Plugin{Label: c.label, Name: info.Name, Version: info.PluginVersion})
	return nil
}

// finish puts the rows together.
func (r *runner) finish() *Result {
	r.binaries()
	r.result.Rows = append(r.growth, r.result.Rows...)
	return r.result
}

func (r *runner) micro(ctx context.Context) (err error) {
	if r.plan.micro == "" {
		return nil
	}
	r.result.Micro, err = runMicro(ctx, r.plan.micro)
	return err
}

// machine returns the simulated machine of a contestant with a number of GPUs.
// Each has its own, so that calls are counted apart.
func (r *runner) machine(ctx context.Context, c *contestant, gpus int) (*nvidia.Machine, error) {
	name := c.label + "-" + strconv.Itoa(gpus)
	if m := r.machines[name]; m != nil {
		return m, nil
	}
	m, err := newMachine(ctx, filepath.Join(r.dir, name), gpus)
	if err == nil {
		r.machines[name] = m
	}
	return m, err
}

// another returns a machine that nobody has used, to be broken.
func (r *runner) another(ctx context.Context, c *contestant, what string) (*nvidia.Machine, error) {
	return newMachine(ctx, filepath.Join(r.dir, c.label+"-"+what), r.plan.base)
}

var missing = Value{Missing: "–"}

func number(n float64) Value {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return missing
	}
	return Value{Number: n}
}

func (r *runner) add(section, name string, unit Unit, values []Value) {
	r.result.Rows = append(r.result.Rows, newRow(section, name, unit, false, values))
}

func newRow(section, name string, unit Unit, moreIsBetter bool, values []Value) Row {
	row := Row{Section: section, Name: name, Unit: unit, MoreIsBetter: moreIsBetter, Values: values}
	if len(values) > 1 {
		row.Ratio = ratio(values[0], values[1], moreIsBetter)
	}
	return row
}

// grew adds a row of how something grew from the smaller size to the largest.
func (r *runner) grew(name string, small, large []Value) {
	values := make([]Value, len(small))
	for i := range values {
		values[i] = missing
		if small[i].Missing == "" && large[i].Missing == "" && small[i].Number > 0 {
			values[i] = Value{Number: large[i].Number / small[i].Number, Bound: large[i].Bound}
		}
	}
	times := r.plan.largest() / r.plan.from
	section := fmt.Sprintf("growth from %d to %d devices (linear is %d×)", r.plan.from, r.plan.largest(), times)
	r.growth = append(r.growth, newRow(section, name, Times, false, values))
}

// failed notes what went wrong with a contestant, and reports whether something
// did.
func (r *runner) failed(c *contestant, what string, err error) bool {
	if err == nil {
		return false
	}
	err = fmt.Errorf("%s: %s: %w", c.label, what, err)
	r.result.Notes = append(r.result.Notes, err.Error())
	if c == r.contestants[0] {
		r.broken = errors.Join(r.broken, err)
	}
	return true
}
