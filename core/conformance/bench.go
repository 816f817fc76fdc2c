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
	bstructs "github.com/hashicorp/nomad/plugins/base/structs"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// exitLimit is after how long Nomad kills a plugin that was told to end.
const exitLimit = 2 * time.Second

// limits are the times that a plugin is given.
type limits struct {
	// promptly is how soon a plugin's first messages must come. It is stricter
	// than Nomad, whose node waits 50 s for them.
	promptly time.Duration
	// leeway is what is added to short limits, for machines with other work.
	leeway time.Duration
	// answer bounds the calls to which Nomad sets no limit.
	answer time.Duration
	// settle is how long devices may take to appear after an empty first
	// message.
	settle time.Duration
	// fault is how long a fault may take to show.
	fault time.Duration
	// heal is how long a mended device may take to be healthy again, and what came
	// to be all that is listed: a device that was seen while it came up, and has
	// another name since, may stay listed for a minute.
	heal time.Duration
}

// usual are the limits that plugins are held to.
var usual = limits{
	promptly: time.Second,
	leeway:   time.Second,
	answer:   10 * time.Second,
	settle:   4 * time.Second,
	fault:    15 * time.Second,
	heal:     90 * time.Second,
}

// bench is what a case works with.
type bench struct {
	target   Target
	options  Options
	settings map[string]any // the configuration under test
	session  *session
	troubles *troubles
	trials   *trials

	notes []string // what a case that passed has to tell
	limits

	mu        sync.Mutex
	instances []*instance
}

// note tells something about a case that passes. Only its check may call it.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// launch starts the plugin. It is ended with the case, if not before.
func (b *bench) launch(ctx context.Context, args ...string) (*instance, error) {
	return b.launchAs(ctx, b.target, args...)
}

// launchAs starts the plugin as another target than the suite's.
func (b *bench) launchAs(ctx context.Context, target Target, args ...string) (*instance, error) {
	i, err := target.launch(ctx, args...)
	if err != nil {
		return nil, err
	}
	i.limits = b.limits
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances = append(b.instances, i)
	return i, nil
}

// close ends all that the case has launched.
func (b *bench) close() {
	var ends sync.WaitGroup
	for _, i := range b.instances {
		ends.Go(i.close)
	}
	ends.Wait()
}

// started launches the plugin and gives it the configuration under test, with
// the changes over it.
func (b *bench) started(ctx context.Context, changes ...map[string]any) (*instance, error) {
	i, err := b.launch(ctx)
	if err != nil {
		return nil, err
	}
	if err := b.configure(ctx, i, changes...); err != nil {
		return nil, fmt.Errorf("SetConfig: %w", err)
	}
	return i, nil
}

// configure gives a plugin the configuration under test, with the changes over
// it.
func (b *bench) configure(ctx context.Context, i *instance, changes ...map[string]any) error {
	settings := maps.Clone(b.settings)
	for _, c := range changes {
		maps.Copy(settings, c)
	}
	packed, err := b.options.Encode(b.session.schema, settings)
	if err != nil {
		return err
	}
	return setConfig(ctx, i, packed)
}

// setConfig does what Nomad does: the agent's part of the configuration is
// there and empty.
func setConfig(ctx context.Context, i *instance, packed []byte) error {
	_, err := call(ctx, i, i.limits.answer, func() (struct{}, error) {
		return struct{}{}, i.SetConfig(&base.Config{
			ApiVersion: device.ApiVersion010, PluginConfig: packed, AgentConfig: &base.AgentConfig{},
		})
	})
	return err
}

// reserve asks for the devices.
func (i *instance) reserve(ctx context.Context, ids ...string) reservation {
	start := time.Now()
	got, err := call(ctx, i, i.limits.answer+i.limits.leeway, func() (*device.ContainerReservation, error) {
		return i.Reserve(ids)
	})
	return reservation{ids: ids, got: got, err: err, took: time.Since(start)}
}

// reservation is an answer of Reserve.
type reservation struct {
	ids  []string
	got  *device.ContainerReservation
	err  error
	took time.Duration
}

// setting returns the key of the plugin's configuration.
func (b *bench) setting(key string) (setting, bool) {
	all := settingsOf(b.session.schema)
	i := slices.IndexFunc(all, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return all[i], true
}

// settled waits until a fingerprint stream shows devices, or for as long as
// they may take, and returns what it shows.
func (b *bench) settled(ctx context.Context, t *fingerprintTape) ([]*device.DeviceGroup, error) {
	t.until(ctx, b.settle, withDevices)
	moments, end := t.played()
	if len(moments) == 0 {
		if end != nil {
			return nil, skip("there is no fingerprint to judge: %v", end)
		}
		return nil, skip("there is no fingerprint to judge: none came")
	}
	groups := moments[len(moments)-1].message.Devices
	if len(idsOf(groups)) == 0 {
		return nil, skip("the plugin offers no devices")
	}
	return groups, nil
}

// settledLike is settled for an instance that must show what the session
// showed.
func (b *bench) settledLike(ctx context.Context, t *fingerprintTape) ([]*device.DeviceGroup, error) {
	want, err := b.session.groups()
	if err != nil {
		return nil, err
	}
	ids := idsOf(want)
	t.until(ctx, b.settle, func(m []moment[*device.FingerprintResponse]) bool {
		return len(m) > 0 && len(idsOf(m[len(m)-1].message.Devices)) >= len(ids)
	})
	return b.settled(ctx, t)
}

// trouble returns why a stream that ended, or a plugin that died, is the matter
// of another rule, or nil.
func (b *bench) trouble(i *instance, end *ending, rule string) error {
	blamed, what := blame(i, end)
	if blamed == "" || blamed == rule {
		return nil
	}
	b.troubles.note(blamed, what)
	return skip("it cannot be decided: %s (%s)", what, blamed)
}

// blame returns the rule that a plugin broke when its stream ended, and what was
// seen; "" if nothing ended.
func blame(i *instance, end *ending) (rule, what string) {
	if end != nil && end.err != nil && strings.Contains(end.err.Error(), "invalid UTF-8") {
		return "C20", end.String()
	}
	if end != nil && errors.Is(end.err, bstructs.ErrPluginShutdown) {
		// The connection breaks a moment before the process is buried.
		select {
		case <-i.gone:
		case <-time.After(time.Second):
		}
	}
	if died := i.died(); died != "" {
		return "C18", died
	}
	if end != nil {
		return end.rule, end.String()
	}
	return "", ""
}

// troubles is what was seen beside what a case looked for. The cases of these
// rules ask for it.
type troubles struct {
	mu   sync.Mutex
	seen map[string][]string // by rule
}

func (t *troubles) note(rule, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string][]string{}
	}
	if !slices.Contains(t.seen[rule], what) {
		t.seen[rule] = append(t.seen[rule], what)
	}
}

// plainError takes the words of gRPC off an error that came over the wire.
func plainError(err error) error {
	if s, ok := status.FromError(err); ok && err != nil && s.Code() == codes.Unknown {
		return errors.New(strings.TrimPrefix(s.Message(), "SetConfig failed: "))
	}
	return err
}

// schemaOf asks for the plugin's schema.
func schemaOf(ctx context.Context, i *instance) (*hclspec.Spec, error) {
	return call(ctx, i, i.limits.answer, i.ConfigSchema)
}
