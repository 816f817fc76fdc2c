package fpga

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/core/sysfs/sysfstest"
	"github.com/nomad-devices/nomad-devices/core/uevent"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

// fake is a family and a device that do as the test says.
type fake struct {
	name     string
	discover func(*family.Scan) (family.Found, error)
}

func (f fake) Name() string { return f.name }

func (f fake) Discover(_ context.Context, scan *family.Scan) (family.Found, error) {
	return f.discover(scan)
}

type instance struct {
	readings []core.Reading
	grant    family.Grant
	prepared *int
}

func (i instance) Measure(context.Context) ([]core.Reading, error) { return i.readings, nil }
func (i instance) Grant(context.Context) (family.Grant, error)     { return i.grant, nil }
func (i instance) Preparation() time.Duration                      { return time.Second }
func (i instance) Prepare(context.Context) error                   { *i.prepared++; return nil }

func vendorOf(log hclog.Logger, host *sysfs.FS, families ...family.Family) *Vendor {
	return &Vendor{log: log, host: host, memory: family.NewMemory(), families: families, listed: map[string]listed{}}
}

// card returns a family with one card, unless it has an error or the card is
// claimed.
func card(name, address string, err *error) fake {
	return fake{name, func(scan *family.Scan) (family.Found, error) {
		if *err != nil {
			return family.Found{}, *err
		}
		if scan.Claimed(address) {
			return family.Found{}, nil
		}
		return family.Found{
			Claims: []string{address},
			Cards:  []family.Card{{Key: address, Read: func(context.Context) ([]core.Device, error) { return []core.Device{{ID: name + ":" + address}}, nil }}},
		}, nil
	}}
}

// results reads the probes of a scan.
func results(t *testing.T, v *Vendor) (map[string]string, []core.Note) {
	t.Helper()
	inventory, err := v.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range inventory.Probes {
		devices, err := p.Read(t.Context())
		switch {
		case err != nil:
			got[p.Key] = "error: " + err.Error()
		default:
			got[p.Key] = devices[0].ID
		}
	}
	return got, inventory.Notes
}

// A family that fails keeps its cards, and its claims: no later family may offer
// them meanwhile.
func TestFamilyThatFails(t *testing.T) {
	t.Parallel()
	var first, second, none error
	v := vendorOf(hclog.NewNullLogger(), sysfs.New(t.TempDir()),
		card("dfl", "0000:01:00.0", &first), card("vfio", "0000:01:00.0", &none), card("xrt", "0000:02:00.0", &second))
	well := map[string]string{"dfl:0000:01:00.0": "dfl:0000:01:00.0", "xrt:0000:02:00.0": "xrt:0000:02:00.0"}
	step := func(name string, want map[string]string) []core.Note {
		got, notes := results(t, v)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		return notes
	}
	step("all are well", well)
	first = errors.New("no directory")
	for range 2 {
		notes := step("one fails", map[string]string{"dfl:0000:01:00.0": "error: no directory", "xrt:0000:02:00.0": "xrt:0000:02:00.0"})
		if len(notes) != 1 || notes[0].Subject != "dfl" || !strings.Contains(notes[0].Text, "no directory") {
			t.Errorf("notes %+v", notes)
		}
	}
	first = nil
	step("all are well again", well)
}

func TestFamilyThatPanics(t *testing.T) {
	t.Parallel()
	var none error
	v := vendorOf(hclog.NewNullLogger(), sysfs.New(t.TempDir()),
		fake{"dfl", func(*family.Scan) (family.Found, error) { panic("index out of range") }}, card("xrt", "0000:02:00.0", &none))
	got, notes := results(t, v)
	if diff := cmp.Diff(map[string]string{"xrt:0000:02:00.0": "xrt:0000:02:00.0"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(notes) != 1 || !strings.Contains(notes[0].Text, "index out of range") || !strings.Contains(notes[0].Text, "report this") {
		t.Errorf("notes %+v", notes)
	}
}

func TestFaultsAreToldOnce(t *testing.T) {
	t.Parallel()
	soft, hard := core.Fault{Code: "a", Severity: core.Soft}, core.Fault{Code: "a", Severity: core.Hard}
	other := core.Fault{Code: "b", Severity: core.Notice}
	for _, faults := range [][]core.Fault{{soft, hard, other}, {hard, soft, other, hard}} {
		got := distinct(faults)
		if diff := cmp.Diff([]core.Fault{hard, other}, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestMeasureTellsTheSummaryFirst(t *testing.T) {
	t.Parallel()
	v := vendorOf(hclog.NewNullLogger(), sysfs.New(t.TempDir()))
	temperature := family.Temperature.Is(core.Float(40, core.NoUnit))
	power := family.Power.Is(core.Float(25, core.NoUnit))
	other, unknown := core.Reading{Name: "slot", Value: core.Count(1)}, family.Temperature.Is(core.Unknown())
	faulty := []core.Fault{{Reason: "it is broken", Remedy: "mend it"}, {Reason: "it is old"}}
	for _, test := range []struct {
		readings []core.Reading
		faults   []core.Fault
		want     string
	}{
		{[]core.Reading{other, power, temperature}, nil, "temperature slot power"},
		{[]core.Reading{other, unknown, power}, nil, "power slot"},
		{[]core.Reading{other}, nil, "health=healthy slot"},
		{nil, faulty, "health=it is broken; mend it; also: it is old"},
	} {
		readings, err := v.Measure(t.Context(), core.Device{Ref: instance{readings: test.readings}, Faults: test.faults})
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, r := range readings {
			if r.Name == statHealth.Name {
				r.Name += "=" + r.Value.Text()
			}
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if _, err := v.Measure(t.Context(), core.Device{ID: "x"}); err == nil {
		t.Error("a device that was never read is measured")
	}
}

func TestGrant(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	host := sysfs.New(sysfstest.UnpackText(t, "/dev/dfl-port.0\t!chardev\n/dev/dfl-fme.0\t!chardev\n/dev/uio7\t!chardev\n"))
	v := vendorOf(hclog.New(&hclog.LoggerOptions{Output: &log}), host)
	v.nodes = map[string][]string{"dfl:0000:01:00.0/port0": {"/dev/uio7"}, "bad": {"/dev/mem"}}
	nodes := func(paths ...string) (nodes []core.Node) {
		for _, p := range paths {
			nodes = append(nodes, core.Node{Path: p, Permissions: "rw"})
		}
		return nodes
	}
	for _, test := range []struct {
		id    string
		grant family.Grant
		env   string
		nodes []core.Node
		says  string
		logs  string
	}{
		{
			id: "dfl:0000:01:00.0/port0", grant: family.Grant{Grant: core.Grant{Nodes: nodes("/dev/dfl-port.0")}},
			env: "FPGA_DFL_0000_01_00_0_PORT0=/dev/dfl-port.0,/dev/uio7", nodes: nodes("/dev/dfl-port.0", "/dev/uio7"),
		},
		{id: "mgr:platform/x", env: "FPGA_MGR_PLATFORM_X=mgr:platform/x"},
		{
			id: "dfl:0000:01:00.0/fme", grant: family.Grant{Grant: core.Grant{Nodes: nodes("/dev/dfl-fme.0")}, Exceptions: []string{"/dev/dfl-fme.0"}},
			env: "FPGA_DFL_0000_01_00_0_FME=/dev/dfl-fme.0", nodes: nodes("/dev/dfl-fme.0"), logs: "program the card and take the ports",
		},
		{id: "bad", says: "memory"},
		{id: "x", grant: family.Grant{Grant: core.Grant{Nodes: nodes("/dev/dfl-fme.0")}}, says: "program the card"},
		{id: "y", grant: family.Grant{Grant: core.Grant{Env: map[string]string{"FPGA_Y": "its own"}}}, env: "FPGA_Y=its own"},
	} {
		log.Reset()
		g, err := v.Grant(t.Context(), core.Device{ID: test.id, Ref: instance{grant: test.grant}})
		if test.says != "" {
			if !errors.Is(err, family.ErrDenied) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: error %v, want one that says %q", test.id, err, test.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.id, err)
		}
		for _, key := range slices.Sorted(maps.Keys(g.Env)) {
			if got := key + "=" + g.Env[key]; got != test.env {
				t.Errorf("%s: variable %q, want %q", test.id, got, test.env)
			}
		}
		if diff := cmp.Diff(test.nodes, g.Nodes); diff != "" || len(g.Env) != 1 {
			t.Errorf("%s: %v, -want +got\n%s", test.id, g.Env, diff)
		}
		if got := log.String(); (got != "") != (test.logs != "") || !strings.Contains(got, test.logs) {
			t.Errorf("%s: log %q, want %q in it", test.id, got, test.logs)
		}
	}
}

func TestPrepareIsTheFamilys(t *testing.T) {
	t.Parallel()
	v := vendorOf(hclog.NewNullLogger(), sysfs.New(t.TempDir()))
	n := 0
	d := core.Device{Ref: instance{prepared: &n}}
	if err := v.Prepare(t.Context(), d); err != nil || n != 1 || v.Preparation(d) != time.Second {
		t.Errorf("prepared %d times, %v, %v", n, err, v.Preparation(d))
	}
	var only struct{ family.Instance } // is no Preparer
	if err := v.Prepare(t.Context(), core.Device{Ref: only}); err != nil || v.Preparation(core.Device{Ref: only}) != 0 {
		t.Errorf("a device that needs no preparation: %v", err)
	}
}

func TestRelevant(t *testing.T) {
	t.Parallel()
	for e, want := range map[[2]string]bool{
		{"add", "pci"}: true, {"change", "fpga_manager"}: true, {"add", "drm"}: true, {"change", "drm"}: false, {"add", "block"}: false,
	} {
		if got := relevant(uevent.Event{Action: e[0], Subsystem: e[1]}); got != want {
			t.Errorf("%v: %v", e, got)
		}
	}
}
