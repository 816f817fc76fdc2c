package nvidia

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml/nvmltest"
)

func TestPluginMakesVendor(t *testing.T) {
	t.Parallel()
	d := Plugin()
	host := sysfs.New(t.TempDir())
	defer host.Close() //nolint:errcheck // nothing was written
	v := d.New(d.Defaults(), plugin.Env{Log: hclog.NewNullLogger(), Host: host})
	if _, ok := v.(core.Watcher); !ok || d.Name != "nomad-device-nvidia" {
		t.Errorf("%T of %s", v, d.Name)
	}
}

// TestMeasureAndGrant goes from a scan to what a task sees.
func TestMeasureAndGrant(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu, nvmltest.H100(1)))
	for id, d := range b.good().devices {
		readings, err := b.Measure(t.Context(), d)
		if err != nil || len(readings) < 5 {
			t.Errorf("%s: %d readings, %v", id, len(readings), err)
		}
		g, err := b.Grant(t.Context(), d)
		if err != nil || len(g.Lists[envVisibleDevices]) != 1 || g.Lists[envVisibleDevices][0] != id {
			t.Errorf("%s: grant %v, %v", id, g, err)
		}
	}
	strange := core.Device{ID: "GPU-x", Ref: 1}
	if _, err := b.Measure(t.Context(), strange); err == nil {
		t.Error("measured a device that was never read")
	}
	if _, err := b.Grant(t.Context(), strange); err == nil || !strings.Contains(err.Error(), "GPU-x") {
		t.Errorf("granted a device that was never read: %v", err)
	}
}

// TestGrantNeedsNoDriver reserves while the driver hangs.
func TestGrantNeedsNoDriver(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.T4(0)
	b := newBench(t, nvmltest.New(gpu))
	d := b.good().only(t)
	defer gpu.Hang(b.lib)()
	if n := b.calls(func() {
		if _, err := b.Grant(t.Context(), d); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%d driver calls", n)
	}
}

// TestWatch tells of an XID on a GPU with instances.
func TestWatch(t *testing.T) {
	t.Parallel()
	gpu := nvmltest.SplitA100(0)
	b := newBench(t, nvmltest.New(gpu))
	var devices []core.Device
	for _, d := range b.good().devices {
		devices = append(devices, d)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	events := make(chan core.Event, 16)
	done := make(chan error, 1)
	go func() { done <- b.Watch(ctx, devices, func(e core.Event) { events <- e }) }()
	<-events // registered: it asks for a look
	b.lib.Emit(gpu, nvml.Event{Kind: nvml.EventXID, Data: 79, GPUInstance: nvml.AnyInstance, ComputeInstance: nvml.AnyInstance})
	select {
	case e := <-events:
		if len(e.Devices) != 2 || e.Fault == nil {
			t.Errorf("event %+v", e)
		}
	case <-ctx.Done():
		t.Error("no event")
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
	if err := b.Watch(t.Context(), nil, nil); err != nil {
		t.Errorf("without devices: %v", err)
	}
}

// TestSideBySide runs everything at once that the core may run at once. It is
// for the race detector.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	gpus := []*nvmltest.GPU{nvmltest.H100(0), nvmltest.SplitA100(3), nvmltest.T4(0)}
	b := newBench(t, nvmltest.New(gpus...))
	var devices []core.Device
	for _, d := range b.good().devices {
		devices = append(devices, d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() {
		_ = b.Watch(ctx, devices, func(core.Event) {})
		done <- struct{}{}
	}()
	go func() {
		for ctx.Err() == nil {
			for _, d := range devices {
				_, _ = b.Grant(ctx, d)
			}
		}
		done <- struct{}{}
	}()
	for i := range 20 {
		b.lib.Update(func() { gpus[0].Lost = i%3 == 0 })
		b.lib.Emit(gpus[1], nvml.Event{Kind: nvml.EventXID, Data: 31})
		b.scan()
	}
	cancel()
	<-done
	<-done
}
