package share_test

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// watched is hardware that says which devices it is to watch.
type watched struct {
	*coretest.Hardware
	devices chan []core.Device
}

func (w watched) Watch(ctx context.Context, devices []core.Device, _ func(core.Event)) error {
	w.devices <- devices
	<-ctx.Done()
	return nil
}

// A vendor watches the devices that it knows, and no parts of them.
func TestPartsAreNotWatched(t *testing.T) {
	t.Parallel()
	vendor := watched{&coretest.Hardware{}, make(chan []core.Device, 4)}
	vendor.Put("1", coretest.Device("a"))
	plan := share.NewPlan([]config.Share{{Replicas: 3}}, vendor, hclog.NewNullLogger())
	looks := fingerprint.New(vendor, guard.NewGroup(nil), fingerprint.Options{
		Period: time.Hour, DriverTimeout: time.Second, Offer: plan.Offer, Log: hclog.NewNullLogger(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- looks.Run(ctx) }()
	devices := <-vendor.devices
	cancel()
	<-ended
	if len(devices) != 1 || devices[0].ID != "a" || devices[0].Group.Type != "gpu" {
		t.Errorf("the vendor is to watch %+v, want the device a", devices)
	}
}
