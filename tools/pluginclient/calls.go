package pluginclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/plugins/base"
	bstructs "github.com/hashicorp/nomad/plugins/base/structs"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrStreamEnded says that a plugin ended a stream. Nomad then forgets all its
// devices and does not ask again until the agent restarts.
var ErrStreamEnded = errors.New("the plugin ended the stream")

// Info returns what the plugin says of itself, checked as Nomad's loader does:
// an error here is an agent that does not start, or that skips the plugin.
func (p *Plugin) Info(ctx context.Context) (*base.PluginInfoResponse, error) {
	info, err := call(ctx, p, "PluginInfo", p.remote.PluginInfo)
	if err != nil {
		return nil, err
	}
	if info.Type != base.PluginTypeDevice {
		return info, fmt.Errorf("PluginInfo: %s is a %s plugin, not a device plugin", p.Name(), info.Type)
	}
	if _, err := version.NewVersion(info.PluginVersion); err != nil {
		return info, fmt.Errorf("PluginInfo: the plugin's version %q does not parse, and Nomad would not start: %w", info.PluginVersion, err)
	}
	if !slices.ContainsFunc(info.PluginApiVersions, supported) {
		return info, fmt.Errorf("PluginInfo: Nomad would skip the plugin: it speaks the device API %q, and Nomad %q",
			info.PluginApiVersions, device.ApiVersion010)
	}
	return info, nil
}

func supported(api string) bool {
	got, err := version.NewVersion(api)
	return err == nil && got.Equal(version.Must(version.NewVersion(device.ApiVersion010)))
}

// Schema returns the schema of the plugin's configuration; nil means that it
// takes none.
func (p *Plugin) Schema(ctx context.Context) (*hclspec.Spec, error) {
	return call(ctx, p, "ConfigSchema", p.remote.ConfigSchema)
}

// Configure runs the configuration through the plugin's schema and gives it to
// the plugin, as Nomad does before it opens a stream. A nil configuration means
// the defaults. It may be called again.
func (p *Plugin) Configure(ctx context.Context, config Config) error {
	schema, err := p.Schema(ctx)
	if err != nil {
		return err
	}
	encoded, err := Encode(config, schema)
	if err != nil {
		return fmt.Errorf("configuration of %s: %w", p.Name(), err)
	}
	_, err = call(ctx, p, "SetConfig", func() (struct{}, error) {
		return struct{}{}, p.remote.SetConfig(&base.Config{
			ApiVersion:   device.ApiVersion010,
			PluginConfig: encoded,
			AgentConfig:  &base.AgentConfig{},
		})
	})
	return err
}

// Reserve asks what a task that was given these devices needs.
func (p *Plugin) Reserve(ctx context.Context, ids []string) (*device.ContainerReservation, error) {
	reservation, err := call(ctx, p, "Reserve", func() (*device.ContainerReservation, error) {
		return p.remote.Reserve(ids)
	})
	if err != nil {
		return nil, err
	}
	if reservation == nil {
		return nil, errors.New("the plugin answered Reserve with nothing and no error; Nomad's agent panics on that")
	}
	return reservation, nil
}

// Fingerprints opens a fingerprint stream and yields each message: the whole
// state, checked as Nomad checks it. The stream is opened when the loop starts
// and closed when it ends. It ends after the first error; when ctx ends it ends
// without one.
func (p *Plugin) Fingerprints(ctx context.Context) iter.Seq2[[]*device.DeviceGroup, error] {
	return func(yield func([]*device.DeviceGroup, error) bool) {
		each := func(m *device.FingerprintResponse) ([]*device.DeviceGroup, error) {
			if m.Error != nil {
				return nil, m.Error
			}
			p.mu.Lock()
			if p.timings.FirstFingerprint == 0 {
				p.timings.FirstFingerprint = time.Since(p.started)
			}
			p.mu.Unlock()
			return m.Devices, validate(m.Devices)
		}
		stream(ctx, p, "Fingerprint", p.remote.Fingerprint, each, yield)
	}
}

// Stats opens a statistics stream with a message per interval and yields each.
// It ends as [Plugin.Fingerprints] does.
func (p *Plugin) Stats(ctx context.Context, interval time.Duration) iter.Seq2[[]*device.DeviceGroupStats, error] {
	return func(yield func([]*device.DeviceGroupStats, error) bool) {
		open := func(ctx context.Context) (<-chan *device.StatsResponse, error) {
			return p.remote.Stats(ctx, interval)
		}
		each := func(m *device.StatsResponse) ([]*device.DeviceGroupStats, error) { return m.Groups, m.Error }
		stream(ctx, p, "Stats", open, each, yield)
	}
}

// stream opens a stream of messages M, and yields what each makes of them.
func stream[M, V any](ctx context.Context, p *Plugin, what string,
	open func(context.Context) (<-chan M, error), each func(M) (V, error), yield func(V, error) bool,
) {
	var none V
	// A deadline would travel to the plugin, which then ends the stream a moment
	// before ctx has ended here. Nomad gives none.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	messages, err := open(streamCtx)
	if err != nil {
		cancel()
		if ctx.Err() == nil {
			yield(none, p.callError(what, err))
		}
		return
	}
	// Nomad's client sends its last message without looking whether somebody
	// listens, so the channel is read to its end.
	defer func() {
		cancel()
		for range messages {
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case message, open := <-messages:
			if ctx.Err() != nil {
				return
			}
			if !open {
				yield(none, fmt.Errorf("%s: %w", what, ErrStreamEnded))
				return
			}
			value, err := each(message)
			if err != nil {
				err = p.callError(what, err)
			}
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// validate is Nomad's own check, after which it drops the plugin.
func validate(groups []*device.DeviceGroup) error {
	var errs []error
	for _, group := range groups {
		if err := group.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("group %s/%s/%s would make Nomad drop the plugin: %w", group.Vendor, group.Type, group.Name, err))
		}
	}
	return errors.Join(errs...)
}

func isShutdown(err error) bool {
	return errors.Is(err, bstructs.ErrPluginShutdown) || status.Code(err) == codes.Unavailable
}

// plain takes the words of gRPC off an error that came over the wire.
func plain(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() == codes.Unknown {
		// Nomad's own server side puts the name of the call first, too.
		return errors.New(strings.TrimPrefix(s.Message(), "SetConfig failed: "))
	}
	return err
}
