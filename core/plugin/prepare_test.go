package plugin

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
)

// slow is hardware that takes a while to be made ready, and fails then if the
// test says so.
type slow struct {
	*coretest.Hardware
	takes time.Duration
	fail  chan error
}

func (s slow) Preparation(core.Device) time.Duration { return 10 * time.Second }

func (s slow) Prepare(context.Context, core.Device) error {
	time.Sleep(s.takes)
	return <-s.fail
}

// A device may be prepared for longer than a driver call may take, and is looked
// at meanwhile; one that cannot be made ready is unhealthy at once.
func TestReservePrepares(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	node := filepath.Join(root, coretest.Node("a"))
	if err := os.MkdirAll(filepath.Dir(node), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	vendor := slow{h, 3 * time.Second, make(chan error, 1)} // three periods
	d := definition(h)
	d.New = func(*testConfig, Env) core.Vendor { return vendor }
	p, end := New(d, hclog.NewNullLogger())
	t.Cleanup(end)
	if err := setConfig(t, p, map[string]any{
		"host_root": root, "fingerprint_period": "1s", "driver_timeout": "300ms",
		"health": []map[string]any{{"recover_after": "1"}},
	}); err != nil {
		t.Fatal(err)
	}
	stream := follow(t, p)
	next(t, stream)

	looks := h.Calls("Read 1")
	vendor.fail <- nil
	if _, err := p.Reserve([]string{"a"}); err != nil {
		t.Fatalf("a preparation that takes longer than a driver call may: %v", err)
	}
	if h.Calls("Read 1") == looks {
		t.Error("the card was not looked at while the device was prepared")
	}
	select {
	case m := <-stream:
		t.Errorf("a device that was made ready: %+v", m)
	default:
	}

	vendor.fail <- &core.Fault{Code: "no-image", Severity: core.Hard, Latched: true, Reason: "there is no image", Remedy: "put one there"}
	if _, err := p.Reserve([]string{"a"}); err == nil || !strings.Contains(err.Error(), "there is no image") {
		t.Errorf("error %v", err)
	}
	if state := told(next(t, stream)); !strings.Contains(state["a"], "there is no image; put one there") {
		t.Errorf("the device after it could not be made ready: %q", state)
	}
	if _, err := p.Reserve([]string{"a"}); err == nil || !strings.Contains(err.Error(), "unhealthy") {
		t.Errorf("reserved again: %v", err)
	}
}
