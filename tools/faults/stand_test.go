package faults

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// patience is how long one thing may take. It is generous, because a machine
// that runs tests is a busy one; only what is a promise has a tighter bound.
const patience = 90 * time.Second

// quick are settings that make the plugin look every second and trust a device
// again after two good looks.
const quick = `fingerprint_period = "1s"
driver_timeout = "2s"
stats_timeout = "500ms"
health {
  unhealthy_after = "1"
  recover_after = "2"
}
`

var (
	buildDir  string
	buildOnce = sync.OnceValues(func() (string, error) { return rig.BuildPlugin(context.Background(), buildDir) })
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		flag.Parse()
		// The rows wait far more than they compute.
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
		if !given {
			if err := flag.Set("test.parallel", "12"); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		var err error
		if buildDir, err = os.MkdirTemp("", "nomad-devices-faults-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(buildDir) }()
		return m.Run()
	}())
}

// trial is one row of the matrix under test.
type trial struct {
	*testing.T
	*record
}

// record is what was heard of the plugins of a row: their log, and the reasons
// why devices are unhealthy.
type record struct {
	mu    sync.Mutex
	heard []string
}

func (r *record) hear(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, line)
}

// holds reports whether a line was heard with the text in it.
func (r *record) holds(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.heard, func(line string) bool { return strings.Contains(line, text) })
}

// String returns the last lines, each once.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := slices.Compact(slices.Clone(r.heard))
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// beside runs a part of a row beside the others.
func (t *trial) beside(name string, f func(*trial)) {
	t.Run(name, func(sub *testing.T) {
		sub.Parallel()
		f(&trial{T: sub, record: t.record})
	})
}

// do ends the test if a step of it went wrong.
func (t *trial) do(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// options are what a row wants different about its stand. The zero value is a
// healthy machine with eight GPUs.
type options struct {
	profile  string
	start    nvidia.Options
	prepare  func(*nvidia.Machine) error // before the plugin starts
	settings string                      // instead of the quick ones
	binary   string                      // instead of the plugin's
	env      []string
	// mayEnd says that the row ends the process or its streams.
	mayEnd bool
	// anyway says that the row does not wait for devices at its start.
	anyway bool
}

// stand is a plugin process on a simulated machine, with a fingerprint stream
// that is open until the row ends.
type stand struct {
	t       *trial
	machine *nvidia.Machine
	plugin  *pluginclient.Plugin
	stream  *stream
	options options
	gpus    []nvidia.GPU
}

// newStand starts a machine and the plugin on it.
func newStand(t *trial, o options) *stand {
	t.Helper()
	m := newMachine(t, o)
	s := &stand{t: t, machine: m, options: o}
	s.launch()
	if !o.anyway {
		s.until("every device to be healthy at the start", allHealthy)
	}
	return s
}

// newMachine starts a machine.
func newMachine(t *trial, o options) *nvidia.Machine {
	t.Helper()
	m, err := nvidia.Start(t.Context(), filepath.Join(t.TempDir(), "machine"), cmp.Or(o.profile, "8xh100"), o.start)
	t.do(err)
	t.Cleanup(func() {
		// Calls that hang hold their process; it is gone by now.
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	if o.prepare != nil {
		t.do(o.prepare(m))
	}
	return m
}

// launch starts a plugin process and opens its fingerprint stream, as Nomad does
// at its start and whenever the process has died.
func (s *stand) launch() {
	t := s.t
	t.Helper()
	binary, err := buildOnce()
	t.do(err)
	s.plugin, err = pluginclient.Start(t.Context(), cmp.Or(s.options.binary, binary), pluginclient.Options{
		Env:   append([]string{"TMPDIR=" + t.TempDir()}, s.options.env...),
		OnLog: func(l pluginclient.LogLine) { t.hear(l.String()) },
	})
	t.do(err)
	p := s.plugin
	t.Cleanup(p.Close)
	config, err := pluginclient.ParseConfig(s.machine.Config()+cmp.Or(s.options.settings, quick), rig.PluginName)
	t.do(err)
	t.do(p.Configure(t.Context(), config))
	s.gpus, err = s.machine.GPUs()
	t.do(err)
	s.stream = listen(t, p)
	if !s.options.mayEnd {
		t.Cleanup(func() {
			if err := s.stream.failure(); err != nil {
				t.Errorf("Nomad would have lost the plugin: %v", err)
			}
			if status := p.ExitStatus(); status != "" {
				t.Errorf("the plugin died: %s", status)
			}
		})
	}
}

// stream is an open fingerprint stream and what came over it.
type stream struct {
	mu       sync.Mutex
	state    state
	changed  chan struct{} // closed when something came
	err      error
	messages int
	opened   time.Time
	first    time.Duration // how long the first message took
	stop     context.CancelFunc
	done     chan struct{}
}

// listen opens a stream, which the end of the test closes.
func listen(t *trial, p *pluginclient.Plugin) *stream {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &stream{changed: make(chan struct{}), opened: time.Now(), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for groups, err := range p.Fingerprints(ctx) {
			if err == nil {
				err = valid(groups)
			}
			s.take(t, groups, err)
		}
	}()
	t.Cleanup(s.close)
	return s
}

// close closes the stream and waits for its end.
func (s *stream) close() {
	s.stop()
	<-s.done
}

func (s *stream) take(t *trial, groups []*device.DeviceGroup, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.messages++; s.messages == 1 {
		s.first = time.Since(s.opened)
	}
	if err != nil {
		s.err = err
	} else {
		s.state = state(groups)
	}
	for _, d := range s.state.devices() {
		if d.HealthDesc != "" {
			t.hear(d.HealthDesc)
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// now returns what the plugin has said last, how many messages there were, and
// a channel that is closed with the next one.
func (s *stream) now() (state, int, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.messages, s.changed
}

// until waits until the plugin tells what is wanted.
func (s *stand) until(what string, ok func(*stand, state) bool) state {
	s.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		now, messages, changed := s.stream.now()
		if messages > 0 && ok(s, now) {
			return now
		}
		select {
		case <-changed:
		case <-late.C:
			s.t.Fatalf("waited %v for %s; the plugin says:\n%s", patience, what, now.short())
		}
		if err := s.stream.failure(); err != nil {
			s.t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// state is the devices as a message tells of them.
type state []*device.DeviceGroup

func (s state) devices() []*device.Device {
	var all []*device.Device
	for _, g := range s {
		all = append(all, g.Devices...)
	}
	return all
}

// String is the whole state: equal states have equal texts.
func (s state) String() string {
	lines := []string{}
	for _, g := range s {
		for _, d := range g.Devices {
			lines = append(lines, fmt.Sprintf("  %s/%s/%s %s healthy=%v %s", g.Vendor, g.Type, g.Name, d.ID, d.Healthy, d.HealthDesc))
		}
	}
	return strings.Join(lines, "\n")
}

// short is the state for a person: how many devices there are, and the first of
// those that are unhealthy.
func (s state) short() string {
	lines := strings.Split(s.String(), "\n")
	sick := slices.DeleteFunc(lines, func(l string) bool { return !strings.Contains(l, "healthy=false") })
	return fmt.Sprintf("%d devices, %d of them healthy\n%s", len(s.devices()), s.healthy(), strings.Join(sick[:min(len(sick), 12)], "\n"))
}

// device returns a device by its ID, nil if it is not listed.
func (s state) device(id string) *device.Device {
	all := s.devices()
	if i := slices.IndexFunc(all, func(d *device.Device) bool { return d.ID == id }); i >= 0 {
		return all[i]
	}
	return nil
}

// healthy counts the healthy devices.
func (s state) healthy() int {
	n := 0
	for _, d := range s.devices() {
		if d.Healthy {
			n++
		}
	}
	return n
}

// allHealthy wants every whole GPU of the machine to be listed and healthy.
func allHealthy(s *stand, now state) bool { return exactly(s)(s, now) }

// exactly wants every whole GPU to be listed, those with the given numbers
// unhealthy and the others healthy.
func exactly(_ *stand, sick ...int) func(*stand, state) bool {
	return func(s *stand, now state) bool {
		for _, g := range s.gpus {
			if !g.Present || len(g.MIG) > 0 {
				continue
			}
			d := now.device(g.UUID)
			if d == nil || d.Healthy == slices.Contains(sick, g.Number) {
				return false
			}
		}
		return true
	}
}

// sick waits until exactly the GPUs with these numbers are unhealthy.
func (s *stand) sick(numbers ...int) state {
	s.t.Helper()
	return s.until(fmt.Sprintf("exactly the GPUs %v to be unhealthy", numbers), exactly(s, numbers...))
}

// uuid returns the ID of a GPU.
func (s *stand) uuid(number int) string { return s.gpus[number].UUID }

// reserves checks that a task could have a GPU.
func (s *stand) reserves(number int) {
	s.t.Helper()
	r, err := s.plugin.Reserve(s.t.Context(), []string{s.uuid(number)})
	if err != nil {
		s.t.Errorf("GPU %d cannot be reserved: %v", number, err)
		return
	}
	if got := r.Envs["CUDA_VISIBLE_DEVICES"]; got != s.uuid(number) {
		s.t.Errorf("a reservation of GPU %d gives CUDA_VISIBLE_DEVICES=%q", number, got)
	}
}

// refuses checks that no task is given a GPU that is unhealthy, and that the
// answer comes in time.
func (s *stand) refuses(number int) {
	s.t.Helper()
	begun := time.Now()
	_, err := s.plugin.Reserve(s.t.Context(), []string{s.uuid(number)})
	if err == nil || !strings.Contains(err.Error(), s.uuid(number)) {
		s.t.Errorf("a reservation of the unhealthy GPU %d: %v, want an error that names it", number, err)
	}
	if took := time.Since(begun); took > 15*time.Second {
		s.t.Errorf("Reserve answered after %v", took)
	}
}
