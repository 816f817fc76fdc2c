package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/simulate/nvidia"
)

// contestant is a plugin that is measured.
type contestant struct {
	label  string
	binary string
	config string   // its config block, with placeholders
	env    []string // further variables, with placeholders
	tmp    string   // its directory for temporary files
}

// fill puts a machine in the place of the placeholders.
func fill(text string, m *nvidia.Machine) string {
	return strings.NewReplacer("{library}", m.Library(), "{root}", m.Root(), "{dir}", m.Dir()).Replace(text)
}

// environment is what the plugin is started with. A plugin that takes NVML from
// where the system looks for libraries finds the simulated one.
func (c *contestant) environment(m *nvidia.Machine) []string {
	path := m.Dir()
	if before := os.Getenv("LD_LIBRARY_PATH"); before != "" {
		path += ":" + before
	}
	env := []string{"LD_LIBRARY_PATH=" + path, "TMPDIR=" + c.tmp}
	for _, variable := range c.env {
		env = append(env, fill(variable, m))
	}
	return env
}

// session is a running plugin on a machine, with a fingerprint stream open as
// Nomad has it.
type session struct {
	*pluginclient.Plugin
	machine *nvidia.Machine
	started time.Time
	stop    context.CancelFunc
	reader  sync.WaitGroup

	mu       sync.Mutex
	messages int
	groups   []*device.DeviceGroup
	ended    error         // why the stream is over
	news     chan struct{} // closed when one of these changed
}

// start starts a plugin on a machine and does what Nomad does up to the open
// fingerprint stream. The session must be closed.
func (c *contestant) start(ctx context.Context, m *nvidia.Machine, period time.Duration) (*session, error) {
	s := &session{machine: m, started: time.Now(), stop: func() {}, news: make(chan struct{})}
	var err error
	s.Plugin, err = pluginclient.Start(ctx, c.binary, pluginclient.Options{Env: c.environment(m)})
	if err != nil {
		return nil, err
	}
	if err := c.configure(ctx, s, period); err != nil {
		s.close()
		return nil, err
	}
	var streamCtx context.Context
	streamCtx, s.stop = context.WithCancel(ctx)
	s.reader.Go(func() { s.read(streamCtx) })
	return s, nil
}

// configure sets what the plugin's schema knows of the settings that measuring
// needs, unless the configuration has them.
func (c *contestant) configure(ctx context.Context, s *session, period time.Duration) error {
	if _, err := s.Info(ctx); err != nil {
		return err
	}
	config, err := pluginclient.ParseConfig(fill(c.config, s.machine), s.Name())
	if err != nil {
		return err
	}
	schema, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	known := schema.GetObject().GetAttributes()
	for key, value := range map[string]string{
		"nvml_library":       s.machine.Library(),
		"host_root":          s.machine.Root(),
		"fingerprint_period": period.String(),
	} {
		if _, given := config[key]; known[key] != nil && (!given || key == "fingerprint_period") {
			config[key] = value
		}
	}
	return s.Configure(ctx, config)
}

// read follows the fingerprint stream to its end.
func (s *session) read(ctx context.Context) {
	for groups, err := range s.Fingerprints(ctx) {
		s.mu.Lock()
		if err != nil {
			s.ended = err
		} else {
			s.messages++
			s.groups = groups
		}
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
	}
}

// close ends the plugin and waits for everything that the session started.
func (s *session) close() {
	s.stop()
	s.reader.Wait()
	s.Close()
}

// received returns how many fingerprint messages came so far.
func (s *session) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

var errTooLate = errors.New("it did not come")

// await returns how long after since the devices were as ok wants them, by the
// health of each ID. It fails with errTooLate when they are not within patience.
func (s *session) await(ctx context.Context, since time.Time, patience time.Duration, ok func(health map[string]bool) bool) (time.Duration, error) {
	limit := time.NewTimer(patience - time.Since(since))
	defer limit.Stop()
	for {
		s.mu.Lock()
		health := map[string]bool{}
		for _, g := range s.groups {
			for _, d := range g.Devices {
				health[d.ID] = d.Healthy
			}
		}
		ended, news, messages := s.ended, s.news, s.messages
		s.mu.Unlock()
		if messages > 0 && ok(health) {
			return time.Since(since), nil
		}
		if ended != nil {
			return 0, ended
		}
		select {
		case <-news:
		case <-limit.C:
			return 0, fmt.Errorf("%w within %v", errTooLate, patience)
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// complete waits until all devices were listed, and returns how long after the
// start of the process that was.
func (s *session) complete(ctx context.Context, devices int, patience time.Duration) (time.Duration, error) {
	took, err := s.await(ctx, s.started, patience, func(health map[string]bool) bool { return len(health) >= devices })
	if err != nil {
		return 0, fmt.Errorf("listing %d devices: %w", devices, err)
	}
	return took, nil
}

// fresh returns which devices a message has statistics of that were taken after
// a time.
func fresh(groups []*device.DeviceGroupStats, after time.Time) map[string]bool {
	all := map[string]bool{}
	for _, g := range groups {
		for id, d := range g.InstanceStats {
			if d != nil && d.Stats != nil && len(d.Stats.Attributes) > 0 && !d.Timestamp.Before(after) {
				all[id] = true
			}
		}
	}
	return all
}
