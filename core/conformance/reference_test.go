package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/plugin"
	"github.com/nomad-devices/nomad-devices/core/share"
)

// referenceName is the name of the plugin that does everything right, and of
// its binary.
const referenceName = "acme-device"

// reference is hardware with a correct plugin for it: the core, and a vendor
// that gives each device a variable of its own.
type reference struct {
	*coretest.Hardware
	root string

	leak    atomic.Bool // readings become attributes
	touched func()      // called with each call into the driver, if not nil

	mu      sync.Mutex
	release []func()
	calls   int
	down    conformance.Fault // what the driver has
	breaks  int
}

var (
	_ conformance.HardwareWithCalls    = (*reference)(nil)
	_ conformance.HardwareWithFaults   = (*reference)(nil)
	_ conformance.HardwareWithReadings = (*reference)(nil)
	_ core.Watcher                     = (*reference)(nil)
)

// cards are the cards of the reference's machine and the devices on them.
var cards = map[string][]string{
	"0000:3b:00.0": {"ACME-a"},
	"0000:5e:00.0": {"ACME-b"},
	"0000:86:00.0": {"ACME-c", "ACME-d"},
}

// newReference makes the machine with its device nodes below root.
func newReference(root string) (*reference, error) {
	r := &reference{Hardware: &coretest.Hardware{}, root: root}
	for _, ids := range cards {
		for _, id := range ids {
			node := filepath.Join(root, coretest.Node(id))
			if err := os.MkdirAll(filepath.Dir(node), 0o755); err != nil {
				return nil, err
			}
			if err := os.WriteFile(node, nil, 0o600); err != nil {
				return nil, err
			}
		}
	}
	r.assemble(0)
	return r, nil
}

// assemble puts all cards in.
func (r *reference) assemble(heat int64) {
	for card, ids := range cards {
		var devices []core.Device
		for _, id := range ids {
			d := coretest.Device(id)
			d.PCI = core.PCIAddress(card)
			if len(ids) > 1 {
				d.Group.Type, d.Group.Name = "part", "Acme Half"
			}
			d.Attributes["driver_version"] = core.Version("1.20.3")
			if r.leak.Load() {
				d.Attributes["heat"] = core.Count(heat)
			}
			devices = append(devices, d)
		}
		r.Put(card, devices...)
		r.Panic(card, false)
	}
}

// Discover implements [core.Vendor] and counts.
func (r *reference) Discover(ctx context.Context) (core.Inventory, error) {
	r.touch()
	return r.Hardware.Discover(ctx)
}

// touch counts a call into the driver.
func (r *reference) touch() {
	if r.touched != nil {
		r.touched()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
}

// isDown returns the fault that the driver has.
func (r *reference) isDown() conformance.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.down
}

// flaps returns how often a card was broken.
func (r *reference) flaps() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.breaks
}

// goDown notes the fault of the driver.
func (r *reference) goDown(fault conformance.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = fault
}

// Grant implements [core.Vendor].
func (r *reference) Grant(ctx context.Context, d core.Device) (core.Grant, error) {
	g, err := r.Hardware.Grant(ctx, d)
	g.Env = map[string]string{"ACME_DEVICE_" + strings.ReplaceAll(d.ID, "-", "_"): d.ID}
	return g, err
}

// The rest is [conformance.Hardware].

// Break implements it.
func (r *reference) Break(id string, fault conformance.Fault) ([]string, error) {
	r.mu.Lock()
	r.breaks++
	r.mu.Unlock()
	if whole, isPart := share.CutID(id); isPart {
		id = whole
	}
	for card, ids := range cards {
		if slices.Contains(ids, id) {
			return ids, r.breakCard(card, fault)
		}
	}
	return nil, fmt.Errorf("no card has the device %s", id)
}

func (r *reference) breakCard(card string, fault conformance.Fault) error {
	switch fault {
	case conformance.Fail:
		r.Fail(card, errors.New("the card answers with an error"))
	case conformance.Hang:
		r.hold(r.Hang(card))
	case conformance.Remove:
		r.Remove(card)
	case "panic":
		r.Panic(card, true)
	case "garbage":
		d := coretest.Device("\xff\x00 ")
		d.Attributes["heat"] = core.Float(1, "°C")
		d.Attributes["text"] = core.String("\n1\x00")
		r.Put(card, d)
	default:
		return errors.ErrUnsupported
	}
	return nil
}

// hold keeps what ends a hang.
func (r *reference) hold(release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release = append(r.release, release)
}

// BreakAll implements it.
func (r *reference) BreakAll(fault conformance.Fault) error {
	r.goDown(fault)
	switch fault {
	case conformance.Fail:
		r.FailDiscover(errors.New("the driver answers with an error"))
	case conformance.Hang:
		r.hold(r.HangDiscover())
	case conformance.Remove:
		for card := range cards {
			r.Remove(card)
		}
	default:
		return errors.ErrUnsupported
	}
	return nil
}

// Repair implements it.
func (r *reference) Repair() error {
	r.mu.Lock()
	release := r.release
	r.release = nil
	r.mu.Unlock()
	for _, f := range release {
		f()
	}
	r.goDown("")
	r.FailDiscover(nil)
	r.assemble(0)
	return nil
}

// Calls implements it.
func (r *reference) Calls() (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint64(r.calls), nil
}

// Faults implements it.
func (r *reference) Faults() []conformance.Fault { return []conformance.Fault{"panic", "garbage"} }

// Vary implements it.
func (r *reference) Vary(step int) error {
	r.assemble(int64(step + 1))
	return nil
}

// definition is the correct plugin.
func (r *reference) definition() plugin.Definition[*config.Common] {
	return plugin.Definition[*config.Common]{
		Name:     referenceName,
		Defaults: config.Defaults[config.Common],
		New:      func(*config.Common, plugin.Env) core.Vendor { return r },
	}
}

// target runs the correct plugin in process.
func (r *reference) target() conformance.Target {
	return conformance.InProcess(func() (device.DevicePlugin, func()) {
		return plugin.New(r.definition(), hclog.NewNullLogger())
	})
}

// options are for the reference: it looks often, so that the suite is done soon.
func (r *reference) options() conformance.Options {
	return conformance.Options{
		Config: map[string]any{
			"host_root":      r.root,
			"driver_timeout": "2s",
			"stats_timeout":  "300ms",
			"health":         map[string]any{"recover_after": "1"},
		},
		PlainNodes: true,
		Watch:      1500 * time.Millisecond,
	}
}

func reportOf(t *testing.T, target conformance.Target, options conformance.Options) *conformance.Report {
	t.Helper()
	report, err := conformance.Check(t.Context(), target, options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestReference: what does everything right passes every case.
func TestReference(t *testing.T) {
	t.Parallel()
	r, err := newReference(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	options := conformance.Patient(r.options())
	options.Hardware, options.Long = r, *long
	report := reportOf(t, r.target(), options)
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !report.Passed() {
		t.Error(text.String())
	}
	for _, result := range report.Results {
		if result.Status == conformance.Skipped && !result.Needs.Binary && (*long || !result.Long) {
			t.Errorf("%s was skipped: %s", result, result.Seen)
		}
	}
	t.Log(text.String())
}
