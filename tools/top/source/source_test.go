package source_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
	"github.com/nomad-devices/nomad-devices/tools/top"
	"github.com/nomad-devices/nomad-devices/tools/top/source"
)

func TestMain(m *testing.M) {
	plugintest.Main()
	os.Exit(m.Run())
}

// start starts sources until the end of the test.
func start(t *testing.T, pace *source.Pace, sources ...source.Source) <-chan top.Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return source.Start(ctx, &running, pace, sources...)
}

// await takes reports until one is as wanted.
func await(t *testing.T, reports <-chan top.Report, what string, ok func(top.Report) bool) top.Report {
	t.Helper()
	limit := time.After(time.Minute)
	var last top.Report
	for {
		select {
		case last = <-reports:
			if ok(last) {
				return last
			}
		case <-limit:
			t.Fatalf("no report with %s; the last is %+v", what, last)
		}
	}
}

// TestPluginComesBack starts a plugin that is not there at first, and one that
// died.
func TestPluginComesBack(t *testing.T) {
	t.Parallel()
	binary := plugintest.Binary(t)
	path := filepath.Join(t.TempDir(), plugintest.Name)
	reports := start(t, source.NewPace(time.Hour), &source.Plugin{Path: path})
	r := await(t, reports, "trouble", func(r top.Report) bool { return r.Trouble != "" })
	if !strings.Contains(r.Trouble, "no such file") || !strings.Contains(r.Trouble, "Started again in 2s.") {
		t.Errorf("it says %q", r.Trouble)
	}
	if err := os.Symlink(binary, path); err != nil {
		t.Fatal(err)
	}
	r = await(t, reports, "devices", func(r top.Report) bool { return r.Complete })
	if len(r.Devices) != 3 || r.Trouble != "" || r.Title != "stub-device 1.2.3" {
		t.Errorf("it says %+v", r)
	}
}

// TestPace measures more often once it is asked to.
func TestPace(t *testing.T) {
	t.Parallel()
	pace := source.NewPace(time.Hour)
	reports := start(t, pace, &source.Plugin{Path: plugintest.Binary(t)})
	first := await(t, reports, "statistics", func(r top.Report) bool { return r.Complete }).Devices[0].Measured
	pace.Set(10 * time.Millisecond)
	for range 3 {
		later := await(t, reports, "newer statistics", func(r top.Report) bool { return r.Devices[0].Measured.After(first) })
		first = later.Devices[0].Measured
	}
}

// TestPluginEnds says how a plugin ended that was well before.
func TestPluginEnds(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"exit": "died (exit status 4)", "end": "the plugin ended the stream", "panic": "nil pointer dereference",
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			reports := start(t, source.NewPace(time.Hour), &source.Plugin{
				Path: plugintest.Binary(t), Config: pluginclient.Config{"behaviour": behaviour},
			})
			r := await(t, reports, "the end", func(r top.Report) bool { return r.Trouble != "" })
			if !strings.Contains(r.Trouble, want) || len(r.Devices) > 0 {
				t.Errorf("it says %+v, want %q", r, want)
			}
		})
	}
}

// TestPluginChanges tells of a change of health at once, whatever the interval.
func TestPluginChanges(t *testing.T) {
	t.Parallel()
	reports := start(t, source.NewPace(time.Hour), &source.Plugin{
		Path: plugintest.Binary(t), Label: "mine", Config: pluginclient.Config{"behaviour": "flap"},
	})
	r := await(t, reports, "the change", func(r top.Report) bool {
		return len(r.Devices) == 2 && r.Devices[0].HealthText == "unplugged"
	})
	if r.Source != "mine" || r.Devices[0].Healthy {
		t.Errorf("it says %+v", r)
	}
}

// broken is a source with a bug.
type broken struct{}

func (broken) Name() string { return "broken" }

func (broken) Run(context.Context, *source.Pace, func(top.Report)) { panic("on purpose") }

// TestBug lets no bug of a source end the program.
func TestBug(t *testing.T) {
	t.Parallel()
	reports := start(t, source.NewPace(time.Hour), broken{})
	r := await(t, reports, "the bug", func(r top.Report) bool { return r.Source == "broken" })
	if !strings.Contains(r.Trouble, "a bug in devctl: on purpose") {
		t.Errorf("it says %q", r.Trouble)
	}
}
