package soak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// settings make the plugin look often, give up soon and trust a device again
// soon: a minute is worth hours.
const settings = `fingerprint_period = "1s"
driver_timeout = "500ms"
stats_timeout = "300ms"
health {
  unhealthy_after = "1"
  recover_after = "1"
}
`

// Options say how to soak a plugin. Fields without a remark are needed.
type Options struct {
	// Plugin is the binary.
	Plugin string
	// Dir is an empty directory for the simulated machine.
	Dir string
	// Duration is how long the faults last.
	Duration time.Duration
	// Library is a simulated driver that is compiled already; empty: it is
	// compiled.
	Library string
	// Seed makes the same faults again.
	Seed uint64
	// Progress is told of each sample; it may be nil.
	Progress io.Writer
}

// Run starts the plugin on a machine that fails all the time and samples what
// the process holds. An error is a plugin that died, ended its stream or said
// something that Nomad cannot bear, or a soak that could not be made; whether
// the process grew is for [Report.Grown] to say.
func Run(ctx context.Context, o Options) (report Report, err error) {
	machine, err := nvidia.Start(ctx, o.Dir, "8xh100", nvidia.Options{Library: o.Library})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, machine.Stop()) }()
	r := &run{machine: machine, options: o}
	if r.plugin, err = start(ctx, o.Plugin, machine, r.log.hear); err != nil {
		return report, err
	}
	defer r.plugin.Close()
	if report, err = r.soak(ctx); err != nil {
		return report, err
	}
	report.Often = r.log.often()
	report.Fresh, report.Soaked, err = r.goroutines(ctx)
	return report, err
}

// start starts the plugin for a machine.
func start(ctx context.Context, path string, machine *nvidia.Machine, hear func(pluginclient.LogLine)) (*pluginclient.Plugin, error) {
	plugin, err := pluginclient.Start(ctx, path, pluginclient.Options{
		OnLog: hear,
		Env:   []string{"GOTRACEBACK=all"}, // at its end it lists all goroutines
	})
	if err != nil {
		return nil, err
	}
	config, err := pluginclient.ParseConfig(machine.Config()+settings, plugin.Name())
	if err == nil {
		err = plugin.Configure(ctx, config)
	}
	if err != nil {
		plugin.Close()
		return nil, err
	}
	return plugin, nil
}

// run is a soak under way.
type run struct {
	machine *nvidia.Machine
	plugin  *pluginclient.Plugin
	options Options

	log      log
	messages atomic.Int64 // of the fingerprint stream

	mu      sync.Mutex
	devices []*device.DeviceGroup // as the plugin told last
}

func (r *run) soak(ctx context.Context) (Report, error) {
	life, cancel := context.WithCancelCause(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel(nil)
	// The first failure ends all.
	keep := func(f func(context.Context) error) {
		work.Go(func() {
			if err := f(life); err != nil && life.Err() == nil {
				cancel(err)
			}
		})
	}
	keep(r.listen)
	keep(r.measure)
	if err := r.warmUp(life); err != nil {
		return Report{}, failure(ctx, life, err)
	}
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() {
		if err := newTrouble(r).make(life, stop); err != nil && life.Err() == nil {
			cancel(err)
		}
	})
	report, err := r.sample(life)
	close(stop)
	faults.Wait()
	if err == nil {
		err = r.recovered(life)
	}
	return report, failure(ctx, life, err)
}

// failure prefers what ended everything to what came of it.
func failure(ctx, life context.Context, err error) error {
	if life.Err() != nil && ctx.Err() == nil {
		return context.Cause(life)
	}
	return err
}

// listen keeps the fingerprint stream that Nomad would have.
func (r *run) listen(ctx context.Context) error {
	for groups, err := range r.plugin.Fingerprints(ctx) {
		if err != nil {
			return err
		}
		r.messages.Add(1)
		r.mu.Lock()
		r.devices = groups
		r.mu.Unlock()
	}
	return nil
}

// measure keeps the statistics stream that Nomad would have.
func (r *run) measure(ctx context.Context) error {
	for _, err := range r.plugin.Stats(ctx, time.Second) {
		if err != nil {
			return err
		}
	}
	return nil
}

// known returns the IDs of the devices that are listed, and how many of them
// are healthy.
func (r *run) known() (ids []string, healthy int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.devices {
		for _, d := range g.Devices {
			ids = append(ids, d.ID)
			if d.Healthy {
				healthy++
			}
		}
	}
	return ids, healthy
}

// patience is how long the plugin may take to see that all is well.
const patience = 90 * time.Second

// until waits until the devices are as wanted.
func (r *run) until(ctx context.Context, what string, ok func(ids []string, healthy int) bool) error {
	for end := time.Now().Add(patience); !ok(r.known()); {
		if time.Now().After(end) {
			ids, healthy := r.known()
			return fmt.Errorf("waited %v for %s; the plugin lists %d devices, %d of them healthy", patience, what, len(ids), healthy)
		}
		if !pause(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}

// warmUp has everything happen once that makes a process grow once: all cards
// hang at the same time, each of which takes a thread that the Go runtime keeps
// for later, and many streams are open.
func (r *run) warmUp(ctx context.Context) error {
	const gpus = 8
	if err := r.until(ctx, "all devices", func(_ []string, healthy int) bool { return healthy == gpus }); err != nil {
		return err
	}
	// Not [nvidia.AllGPUs]: when listing them hangs, no card is asked.
	for gpu := range gpus {
		if err := r.machine.Hang(gpu, nvidia.EveryFunction); err != nil {
			return err
		}
	}
	if err := r.until(ctx, "all devices to hang", func(_ []string, healthy int) bool { return healthy == 0 }); err != nil {
		return err
	}
	for gpu := range gpus {
		if err := r.machine.Release(gpu, nvidia.EveryFunction); err != nil {
			return err
		}
	}
	r.streams(ctx, 30)
	return r.until(ctx, "all devices to be back", func(_ []string, healthy int) bool { return healthy == gpus })
}

// streams opens streams of both kinds and closes them after a message each.
func (r *run) streams(ctx context.Context, n int) {
	var open sync.WaitGroup
	for i := range n {
		open.Go(func() {
			if i%2 == 0 {
				for range r.plugin.Fingerprints(ctx) {
					break
				}
				return
			}
			for range r.plugin.Stats(ctx, time.Second) {
				break
			}
		})
	}
	open.Wait()
}

// recovered checks, after all is mended, that the plugin lists every GPU.
func (r *run) recovered(ctx context.Context) error {
	gpus, err := r.machine.GPUs()
	if err != nil {
		return err
	}
	return r.until(ctx, "every GPU to be listed after all was mended", func(ids []string, _ int) bool {
		listed := map[string]bool{}
		for _, id := range ids {
			listed[id] = true
		}
		for _, g := range gpus {
			if !listed[g.UUID] {
				return false
			}
		}
		return true
	})
}

// sample takes a sample from time to time until the soak is over.
func (r *run) sample(ctx context.Context) (Report, error) {
	const samples = 60
	every := max(r.options.Duration/samples, 200*time.Millisecond)
	report := Report{Plugin: cmp.Or(r.plugin.Name(), r.options.Plugin)}
	begun, last := time.Now(), time.Now()
	lines, messages := r.log.lines.Load(), r.messages.Load()
	for time.Since(begun) < r.options.Duration {
		if !pause(ctx, every) {
			return report, context.Cause(ctx)
		}
		u, err := UsageOf(r.plugin.PID())
		if err != nil {
			return report, err
		}
		minutes := time.Since(last).Minutes()
		s := Sample{
			At: time.Since(begun), Usage: u,
			Lines:    float64(r.log.lines.Load()-lines) / minutes,
			Messages: float64(r.messages.Load()-messages) / minutes,
		}
		last, lines, messages = time.Now(), r.log.lines.Load(), r.messages.Load()
		report.Samples = append(report.Samples, s)
		if r.options.Progress != nil {
			fmt.Fprintln(r.options.Progress, s)
		}
	}
	return report, nil
}

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
