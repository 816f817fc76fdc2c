package reservation_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/reservation"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// granting is hardware whose grants the test chooses.
type granting struct {
	*coretest.Hardware
	grants map[string]core.Grant
	err    error
}

func (g granting) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	return g.grants[d.ID], g.err
}

// host makes a host root with the files; a value that begins with "-> " is a
// link.
func host(tb testing.TB, files map[string]string) *sysfs.FS {
	tb.Helper()
	root := tb.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return sysfs.New(root)
}

func snapshot(tb testing.TB, h *coretest.Hardware) *fingerprint.Snapshot {
	tb.Helper()
	return offered(tb, h, nil)
}

// offered returns a snapshot of the devices as they are offered.
func offered(tb testing.TB, h *coretest.Hardware, offer func([]fingerprint.Device, bool) []fingerprint.Device) *fingerprint.Snapshot {
	tb.Helper()
	s := fingerprint.New(h, guard.NewGroup(nil), fingerprint.Options{
		Period: time.Hour, DriverTimeout: time.Second, Offer: offer, Log: hclog.NewNullLogger(),
	})
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for !s.Current().Complete {
		<-s.Current().Superseded()
	}
	cancel()
	<-ended
	return s.Current()
}

func machine(tb testing.TB) *coretest.Hardware {
	tb.Helper()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	h.Put("2", coretest.Device("b"))
	sick := coretest.Device("sick")
	sick.Faults = []core.Fault{{Code: "lost", Severity: core.Hard, Reason: "fell off the bus", Remedy: "reboot the node"}}
	h.Put("3", sick)
	return h
}

func assemble(tb testing.TB, vendor core.Vendor, h *coretest.Hardware, fs *sysfs.FS, ids ...string) (reservation.Reservation, error) {
	tb.Helper()
	return reservation.Assemble(tb.Context(), vendor, snapshot(tb, h), ids, reservation.Options{
		Host: fs, Calls: guard.NewGroup(nil), Timeout: time.Second,
	})
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	shared := core.Node{Path: "/dev/ctl", Permissions: "r"}
	writable := core.Node{Path: "/dev/ctl", Permissions: "wr"}
	optional := core.Node{Path: "/dev/missing", Permissions: "rw", Optional: true}
	grants := map[string]core.Grant{
		"a": {
			Env:    map[string]string{"DEVICE_A": "a", "MODE": "x"},
			Lists:  map[string][]string{"VISIBLE": {"card1"}},
			Nodes:  []core.Node{shared, {Path: "/dev/a", Permissions: "rw"}, optional},
			Mounts: []core.Mount{{HostPath: "/opt/lib", TaskPath: "/usr/lib/acme"}},
		},
		"b": {
			Env:    map[string]string{"DEVICE_B": "b", "MODE": "x"},
			Lists:  map[string][]string{"VISIBLE": {"card0", "card1"}},
			Nodes:  []core.Node{{Path: "/dev/by-path/b", Permissions: "rwm"}, writable},
			Mounts: []core.Mount{{HostPath: "/opt/lib", TaskPath: "/usr/lib/acme"}},
		},
	}
	fs := host(t, map[string]string{"dev/ctl": "", "dev/a": "", "dev/b0": "", "dev/by-path/b": "-> ../b0", "opt/lib/x": ""})
	at := fs.Root()
	wantA := reservation.Reservation{
		Env:    map[string]string{"DEVICE_A": "a", "MODE": "x", "VISIBLE": "card1"},
		Nodes:  []reservation.Node{{at + "/dev/a", "/dev/a", "rw"}, {at + "/dev/ctl", "/dev/ctl", "r"}},
		Mounts: []reservation.Mount{{at + "/opt/lib", "/usr/lib/acme", false}},
	}
	wantBoth := reservation.Reservation{
		Env: map[string]string{"DEVICE_A": "a", "DEVICE_B": "b", "MODE": "x", "VISIBLE": "card1,card0"},
		Nodes: []reservation.Node{
			{at + "/dev/a", "/dev/a", "rw"},
			{at + "/dev/b0", "/dev/by-path/b", "rwm"},
			{at + "/dev/ctl", "/dev/ctl", "rw"},
		},
		Mounts: wantA.Mounts,
	}
	tests := map[string]struct {
		ids  []string
		want reservation.Reservation
	}{
		"nothing":        {nil, reservation.Reservation{Env: map[string]string{}}},
		"one":            {[]string{"a"}, wantA},
		"one, repeated":  {[]string{"a", "a"}, wantA},
		"two":            {[]string{"a", "b"}, wantBoth},
		"two, reordered": {[]string{"b", "a", "b"}, wantBoth},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := machine(t)
			got, err := assemble(t, granting{Hardware: h, grants: grants}, h, fs, test.ids...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestAssembleRefuses(t *testing.T) {
	t.Parallel()
	grants := func(a core.Grant) map[string]core.Grant { return map[string]core.Grant{"a": a} }
	node := func(path, permissions string) map[string]core.Grant {
		return grants(core.Grant{Nodes: []core.Node{{Path: path, Permissions: permissions}}})
	}
	tests := map[string]struct {
		ids    []string
		grants map[string]core.Grant
		err    error
		want   []string // each must be in the error
	}{
		"unknown devices":    {ids: []string{"x", "a", "y"}, want: []string{`"x" is not known`, `"y" is not known`}},
		"unhealthy device":   {ids: []string{"a", "sick"}, want: []string{"sick is unhealthy", "fell off the bus", "reboot the node"}},
		"vendor's error":     {ids: []string{"a"}, err: errors.New("no minor number"), want: []string{"device a", "no minor number"}},
		"missing node":       {ids: []string{"a"}, grants: node("/dev/none", "rw"), want: []string{"device a", "/dev/none", "does not exist"}},
		"a directory":        {ids: []string{"a"}, grants: node("/dev/dir", "rw"), want: []string{"/dev/dir", "not a device node"}},
		"dangling link":      {ids: []string{"a"}, grants: node("/dev/dangling", "rw"), want: []string{"/dev/dangling"}},
		"link out of root":   {ids: []string{"a"}, grants: node("/dev/outside", "rw"), want: []string{"/dev/outside"}},
		"relative node":      {ids: []string{"a"}, grants: node("dev/a", "rw"), want: []string{`"dev/a"`, "absolute"}},
		"path with dots":     {ids: []string{"a"}, grants: node("/dev/../dev/a", "rw"), want: []string{"clean path"}},
		"no permissions":     {ids: []string{"a"}, grants: node("/dev/a", ""), want: []string{"permissions"}},
		"bad permissions":    {ids: []string{"a"}, grants: node("/dev/a", "rx"), want: []string{`"rx"`}},
		"bad variable name":  {ids: []string{"a"}, grants: grants(core.Grant{Env: map[string]string{"A-B": "x"}}), want: []string{`"A-B"`}},
		"interpolated value": {ids: []string{"a"}, grants: grants(core.Grant{Env: map[string]string{"A": "${x}"}}), want: []string{"${"}},
		"binary value":       {ids: []string{"a"}, grants: grants(core.Grant{Env: map[string]string{"A": "\xff"}}), want: []string{"plain text"}},
		"comma in a list":    {ids: []string{"a"}, grants: grants(core.Grant{Lists: map[string][]string{"A": {"1,2"}}}), want: []string{"comma"}},
		"list and value": {ids: []string{"a"}, grants: grants(core.Grant{
			Env: map[string]string{"A": "x"}, Lists: map[string][]string{"A": {"y"}},
		}), want: []string{"A=", "cannot have both"}},
		"conflicting variables": {ids: []string{"a", "b"}, grants: map[string]core.Grant{
			"a": {Env: map[string]string{"MODE": "x"}}, "b": {Env: map[string]string{"MODE": "y"}},
		}, want: []string{"device b", "MODE", `"x"`, `"y"`}},
		"conflicting mounts": {ids: []string{"a", "b"}, grants: map[string]core.Grant{
			"a": {Mounts: []core.Mount{{HostPath: "/dev/a", TaskPath: "/x"}}},
			"b": {Mounts: []core.Mount{{HostPath: "/dev/dir", TaskPath: "/x"}}},
		}, want: []string{"device b", "/x"}},
		"relative mount": {ids: []string{"a"}, grants: grants(core.Grant{
			Mounts: []core.Mount{{HostPath: "/dev/a", TaskPath: "x"}},
		}), want: []string{`"x"`, "not absolute"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := host(t, map[string]string{"dev/a": "", "dev/dir/x": "", "dev/dangling": "-> nowhere", "dev/outside": "-> ../../../../../etc/passwd"})
			h := machine(t)
			got, err := assemble(t, granting{h, test.grants, test.err}, h, fs, test.ids...)
			if err == nil {
				t.Fatalf("no error, but %+v", got)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func BenchmarkAssemble(b *testing.B) {
	h := machine(b)
	fs := host(b, map[string]string{"dev/acme/a": "", "dev/acme/b": ""})
	s := snapshot(b, h)
	options := reservation.Options{Host: fs, Calls: guard.NewGroup(nil), Timeout: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reservation.Assemble(b.Context(), h, s, []string{"a", "b"}, options); err != nil {
			b.Fatal(err)
		}
	}
}
