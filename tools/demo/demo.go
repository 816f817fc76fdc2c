// Package demo is the demonstration that `make demo` runs: a real Nomad agent
// with all plugins on simulated hardware. Jobs ask for devices by
// their attributes, a GPU breaks, work goes elsewhere, the GPU is mended and used
// again. What is shown is also checked: the demonstration fails if something is
// not as promised.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/docker"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/simulate/amd"
	"github.com/nomad-devices/nomad-devices/tools/simulate/fpga"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// patience is how long one thing may take before the demonstration gives up.
const patience = time.Minute

// image is the container image that is made for the docker driver, and removed.
const image = "nomad-devices-probe:demo"

// stage is what the acts of the demonstration play on.
type stage struct {
	say      *narrator
	binaries rig.Binaries
	machine  *nvidia.Machine
	amd      *amd.Machine
	fpga     *fpga.Machine
	agent    *agent.Agent
	docker   *docker.Engine // nil without one
}

// Run runs the demonstration and writes it to out. An error says what is not as
// promised, or what is missing to run it. Everything is removed at the end, also
// after an error or when ctx ends.
func Run(ctx context.Context, out io.Writer) (err error) {
	if err := rig.Requirements(); err != nil {
		return fmt.Errorf("this machine cannot run the demonstration, it needs\n%w", err)
	}
	begun := time.Now()
	say := &narrator{out: out, acts: 9}
	say.line("A real Nomad agent schedules real tasks onto simulated GPUs and FPGAs.")

	dir, err := os.MkdirTemp("", "nomad-devices-demo-")
	if err != nil {
		return fmt.Errorf("making a place for the demonstration: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &stage{say: say}
	defer func() {
		say.blank()
		cleaned := s.clean()
		if cleaned == nil {
			say.line("Cleaned up: the tasks, the agent, the plugin and the machine are gone.")
		}
		err = errors.Join(err, cleaned)
		if err == nil {
			say.line("Everything went as promised, in %s.", time.Since(begun).Round(time.Second))
		}
	}()

	for _, act := range []func(context.Context) error{
		func(ctx context.Context) error { return s.prepare(ctx, dir) },
		s.showNode,
		s.runJobs,
		s.shareGPU,
		s.breakGPU,
		s.runBeside,
		s.mendGPU,
		s.breakMemory,
		s.overheatFPGA,
	} {
		if err := act(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("not finished: %w", context.Cause(ctx))
			}
			if s.agent != nil {
				say.blank()
				say.line("The end of the agent's log:")
				say.text(lastLines(s.agent.Log(), 20))
			}
			return err
		}
	}
	return nil
}

// prepare builds and starts everything.
func (s *stage) prepare(ctx context.Context, dir string) error {
	s.say.act("Preparing")
	var err error
	if s.binaries, err = rig.Build(ctx, dir, s.say.out); err != nil {
		return err
	}
	s.say.line("Nomad %s: %s", s.binaries.Nomad.Version, s.binaries.Nomad.Path)
	s.say.line("The plugins are built: %s", strings.Join(slices.Sorted(maps.Keys(s.binaries.All())), ", "))
	if s.machine, err = rig.Mixed(ctx, filepath.Join(dir, "machine"), nil); err != nil {
		return err
	}
	if s.amd, err = amd.Start(filepath.Join(dir, "amd"), "mixed-instinct", nil); err != nil {
		return err
	}
	if s.fpga, err = fpga.Start(filepath.Join(dir, "fpga"), "mixed-fpga", nil); err != nil {
		return err
	}
	s.say.line("The simulated hardware: two H100, two T4, one of them shared, and an H100 cut into two MIG instances;")
	s.say.line("two MI300X, two MI210, and an MI300X divided into eight partitions;")
	s.say.line("an Intel N6001 and a D5005 with two ports, an Alveo U250 and a V70.")

	config, err := s.binaries.AgentConfig(dir, s.machine, rig.Quick, `access = "devices"`, shareSettings())
	if err != nil {
		return err
	}
	config.Plugins = append(config.Plugins, s.binaries.Beside("amd", s.amd, rig.Quick, `ras_period = "1s"`), s.binaries.Beside("fpga", s.fpga, rig.Quick))
	if engine, err := docker.Find(ctx); err != nil {
		s.say.line("The docker driver is left out: %v.", err)
	} else if err := engine.Import(ctx, image, s.binaries.Probe, "probe"); err != nil {
		return err
	} else {
		s.docker = engine
		config.Docker = engine.Endpoint()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the agent takes too long"))
	defer cancel()
	s.agent, err = agent.Start(ctx, config)
	if err != nil {
		return err
	}
	s.say.line("The agent runs: %s", s.agent.Address())
	return nil
}

// clean removes what was made outside the demonstration's directory, and what
// must not be removed like plain files.
func (s *stage) clean() error {
	var errs []error
	if s.agent != nil {
		errs = append(errs, s.agent.Close())
	}
	if s.docker != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		errs = append(errs, s.docker.Remove(ctx, image))
	}
	if s.machine != nil {
		errs = append(errs, s.machine.Stop())
	}
	if s.amd != nil {
		errs = append(errs, s.amd.Stop())
	}
	if s.fpga != nil {
		errs = append(errs, s.fpga.Stop())
	}
	return errors.Join(errs...)
}
