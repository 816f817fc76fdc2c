package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

// session is one life of the plugin as Nomad would lead it, written down: most
// cases only read it.
type session struct {
	instance *instance

	info, infoAgain *base.PluginInfoResponse
	infoErr         error
	schema          *hclspec.Spec
	schemaErr       error
	configErr       error

	fingerprints *fingerprintTape
	statistics   *statsTape
	interval     time.Duration
	watched      time.Duration // for how long after the devices were there

	none, unknown, mixed reservation
	each                 map[string]reservation // of one healthy device alone
	again                map[string]reservation
	doubled              map[string]reservation // one device named twice
	all, allAgain        reservation            // all healthy devices
	backwards            reservation
	together             []reservation // the same, asked for at once

	exit     time.Duration
	exitNote string // how the process ended; "" in process
	left     []int  // processes that it had started and left behind
}

// unknownID is an ID that no device has.
const unknownID = "no-such-device"

// manyReserves is how many reservations are asked for at once.
const manyReserves = 50

// lead leads the session. An error means that the plugin does not start at all.
func (s *session) lead(ctx context.Context, b *bench) error {
	i, err := b.launch(ctx)
	if err != nil {
		return err
	}
	s.instance = i
	s.info, s.infoErr = call(ctx, i, i.limits.answer, i.PluginInfo)
	s.schema, s.schemaErr = schemaOf(ctx, i)
	if s.schemaErr == nil && s.schema == nil {
		s.schemaErr = errors.New("it gives nothing")
	}
	if s.schemaErr != nil {
		return nil
	}
	b.tune(s.schema)
	packed, err := b.options.Encode(s.schema, b.settings)
	if err != nil {
		return fmt.Errorf("the configuration does not fit the plugin's schema: %w", err)
	}
	if s.configErr = setConfig(ctx, i, packed); s.configErr != nil {
		return nil
	}
	s.fingerprints = i.fingerprint()
	s.fingerprints.until(ctx, b.answer, some)
	s.fingerprints.until(ctx, b.settle, withDevices)
	s.watch(ctx, b)
	s.infoAgain, _ = call(ctx, i, i.limits.answer, i.PluginInfo)
	s.exit, s.exitNote, s.left = i.leave() // with its streams open, as an agent that stops
	s.fingerprints.stop()
	s.statistics.stop()
	return ctx.Err()
}

// watch looks at the plugin for a while, and reserves meanwhile.
func (s *session) watch(ctx context.Context, b *bench) {
	start := time.Now()
	s.interval = max(b.options.Watch/3, 100*time.Millisecond)
	s.statistics = s.instance.stats(s.interval)
	s.reserveAll(ctx)
	wait(ctx, b.options.Watch-time.Since(start))
	if s.statistics.until(ctx, b.answer, some) {
		// Long enough for statistics that are late at first to become regular.
		first, _ := s.statistics.played()
		wait(ctx, b.options.Watch-time.Since(start.Add(first[0].at)))
	}
	s.watched = time.Since(start)
	s.seal()
}

// seal notes the ends of the streams before the plugin is told to end.
func (s *session) seal() {
	s.fingerprints.freeze()
	s.statistics.freeze()
}

// reserveAll asks for reservations of all kinds, unless the first takes too
// long already.
func (s *session) reserveAll(ctx context.Context) {
	i := s.instance
	s.none = i.reserve(ctx)
	if errors.Is(s.none.err, errNoAnswer) {
		return
	}
	s.unknown = i.reserve(ctx, unknownID)
	last, ok := s.fingerprints.last()
	if !ok {
		return
	}
	healthy := healthyOf(last.message.Devices)
	if len(healthy) == 0 {
		return
	}
	s.mixed = i.reserve(ctx, healthy[0], unknownID)
	s.each, s.again, s.doubled = map[string]reservation{}, map[string]reservation{}, map[string]reservation{}
	for _, id := range healthy[:min(len(healthy), 16)] {
		s.each[id] = i.reserve(ctx, id)
		if errors.Is(s.each[id].err, errNoAnswer) {
			return
		}
		s.again[id] = i.reserve(ctx, id)
		s.doubled[id] = i.reserve(ctx, id, id)
	}
	s.all = i.reserve(ctx, healthy...)
	s.allAgain = i.reserve(ctx, healthy...)
	backwards := slices.Clone(healthy)
	slices.Reverse(backwards)
	s.backwards = i.reserve(ctx, backwards...)
	s.together = make([]reservation, manyReserves)
	var calls sync.WaitGroup
	for n := range s.together {
		calls.Go(func() { s.together[n] = i.reserve(ctx, healthy...) })
	}
	calls.Wait()
}

// reservations returns all that were asked for healthy devices.
func (s *session) reservations() ([]reservation, error) {
	if len(s.each) == 0 {
		if _, err := s.groups(); err != nil {
			return nil, err
		}
		if errors.Is(s.none.err, errNoAnswer) {
			return nil, skip("Reserve does not answer (C42)")
		}
		return nil, skip("no device is healthy, so none can be reserved")
	}
	var all []reservation
	for _, id := range slices.Sorted(maps.Keys(s.each)) {
		all = append(all, s.each[id])
	}
	if len(s.all.ids) > 1 { // of one device it is the same again
		all = append(all, s.all)
	}
	return all, nil
}

// granted returns the reservations that were granted.
func (s *session) granted() ([]reservation, error) {
	all, err := s.reservations()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r reservation) bool { return r.err != nil || r.got == nil })
	if len(all) == 0 {
		return nil, skip("no reservation was granted (C46)")
	}
	return all, nil
}

// unready returns why there was no session to speak of, or nil.
func (s *session) unready() error {
	switch {
	case s.schemaErr != nil:
		return skip("the plugin gives no schema (C5)")
	case s.configErr != nil:
		return skip("the plugin takes no configuration (C6)")
	default:
		return nil
	}
}

// messages returns the fingerprints, of which there is at least one.
func (s *session) messages() ([]moment[*device.FingerprintResponse], error) {
	if err := s.unready(); err != nil {
		return nil, err
	}
	moments, end := s.fingerprints.played()
	if len(moments) > 0 {
		return moments, nil
	}
	if rule, what := blame(s.instance, end); rule != "" {
		return nil, skip("there is no fingerprint to judge: %s (%s)", what, rule)
	}
	return nil, skip("there is no fingerprint to judge: none came (C12)")
}

// groups returns the newest fingerprint, which shows at least one device.
func (s *session) groups() ([]*device.DeviceGroup, error) {
	moments, err := s.messages()
	if err != nil {
		return nil, err
	}
	groups := moments[len(moments)-1].message.Devices
	if len(idsOf(groups)) == 0 {
		return nil, skip("the plugin offers no devices")
	}
	return groups, nil
}

// stats returns the statistics, of which there is at least one message.
func (s *session) stats() ([]moment[*device.StatsResponse], error) {
	if err := s.unready(); err != nil {
		return nil, err
	}
	moments, end := s.statistics.played()
	if len(moments) > 0 {
		return moments, nil
	}
	if rule, what := blame(s.instance, end); rule != "" {
		return nil, skip("there are no statistics to judge: %s (%s)", what, rule)
	}
	return nil, skip("there are no statistics to judge: none came (C55)")
}

// steady returns why streams cannot be expected to stay open, or nil.
func (s *session) steady() error {
	if _, err := s.messages(); err != nil {
		return err
	}
	if _, err := s.stats(); err != nil {
		return err
	}
	_, end := s.fingerprints.played()
	if end == nil {
		_, end = s.statistics.played()
	}
	if end != nil {
		return skip("streams do not stay open: %v (%s)", end, end.rule)
	}
	return nil
}

// tune makes the plugin look often, if it has a setting for that and the caller
// did not set it: what is watched for seconds should happen in seconds.
func (b *bench) tune(schema *hclspec.Spec) {
	const period = "fingerprint_period"
	if _, given := b.settings[period]; given {
		return
	}
	if slices.ContainsFunc(settingsOf(schema), func(s setting) bool { return s.key == period && s.kind == "string" }) {
		b.settings[period] = "1s"
	}
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// idsOf returns the IDs of all devices, sorted.
func idsOf(groups []*device.DeviceGroup) []string {
	var ids []string
	for _, g := range groups {
		for _, d := range devicesOf(g) {
			if d.ID != "" {
				ids = append(ids, d.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// healthyOf returns the IDs of the healthy devices, sorted, each once.
func healthyOf(groups []*device.DeviceGroup) []string {
	var ids []string
	for _, g := range groups {
		for _, d := range devicesOf(g) {
			if d.Healthy && d.ID != "" {
				ids = append(ids, d.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// devicesOf returns the devices of a group without those that are nil.
func devicesOf(g *device.DeviceGroup) []*device.Device {
	if g == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.Devices), func(d *device.Device) bool { return d == nil })
}

// find returns the device with the ID.
func find(groups []*device.DeviceGroup, id string) (*device.DeviceGroup, *device.Device) {
	for _, g := range groups {
		for _, d := range devicesOf(g) {
			if d.ID == id {
				return g, d
			}
		}
	}
	return nil, nil
}

// groupName returns the form in which a job names a group.
func groupName(g *device.DeviceGroup) string {
	return strings.Join([]string{g.Vendor, g.Type, g.Name}, "/")
}
