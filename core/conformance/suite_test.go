package conformance_test

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/device"

	"github.com/nomad-devices/nomad-devices/core/conformance"
	"github.com/nomad-devices/nomad-devices/core/plugin"
)

// spoilt runs a plugin with a defect in process.
func (r *reference) spoilt(d defect) conformance.Target {
	common := &shared{}
	return conformance.InProcess(func() (device.DevicePlugin, func()) {
		correct, end := plugin.New(r.definition(), hclog.NewNullLogger())
		common.running.Add(1)
		p := plugged{DevicePlugin: correct, hardware: r, launch: int(common.launches.Add(1)), shared: common}
		return d.spoil(p), func() {
			common.running.Add(-1)
			end()
		}
	})
}

// TestDefects: each plugin with one defect fails the cases for it, and no other.
func TestDefects(t *testing.T) {
	t.Parallel()
	all := slices.Concat(configDefects, streamDefects, groupDefects, reserveDefects, statsDefects)
	// The suites mostly wait, so that many can run at once.
	slots := make(chan struct{}, 10)
	reports := make([]*conformance.Report, len(all))
	var running sync.WaitGroup
	for n, d := range all {
		if testing.Short() && (d.hardware || d.long) {
			continue
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			r, err := newReference(t.TempDir())
			if err != nil {
				t.Error(err)
				return
			}
			options := conformance.Patient(r.options())
			options.Watch = 900 * time.Millisecond
			if d.hardware {
				options.Hardware = r
			}
			if d.long {
				options.Long, options.Watch = true, 300*time.Millisecond
			}
			if d.alone {
				options = conformance.Alone(options)
			}
			report, err := conformance.Check(t.Context(), r.spoilt(d), options)
			if err != nil {
				t.Errorf("%s: %v", d.name, err)
				return
			}
			reports[n] = report
		})
	}
	running.Wait()
	for n, d := range all {
		if reports[n] != nil {
			t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) { judge(t, d, reports[n]) })
		}
	}
}

// judge compares the cases that failed with those that should.
func judge(t *testing.T, d defect, report *conformance.Report) {
	t.Helper()
	if len(d.fails) > 1 && d.why == "" {
		t.Error("more than one case fails, and it is not said why")
	}
	var failed []string
	for _, result := range report.Results {
		if result.Status == conformance.Failed {
			failed = append(failed, result.String())
		}
	}
	want := slices.Sorted(slices.Values(d.fails))
	if !slices.Equal(slices.Sorted(slices.Values(failed)), want) {
		var text strings.Builder
		_ = report.WriteText(&text)
		t.Errorf("failed: %s\nwant:   %s\n%s", failed, want, text.String())
	}
}

// TestOneDevice: a node with one device is in order, though nothing can be told apart.
func TestOneDevice(t *testing.T) {
	t.Parallel()
	r, err := newReference(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	options := conformance.Patient(r.options())
	options.Run = regexp.MustCompile("reserve|env|C4[0-9]|C50")
	report := reportOf(t, r.spoilt(defect{spoil: func(p plugged) device.DevicePlugin {
		return groups(p.DevicePlugin, func(all []*device.DeviceGroup) []*device.DeviceGroup {
			one := *all[0]
			one.Devices = one.Devices[:1]
			return []*device.DeviceGroup{&one}
		})
	}}), options)
	for _, result := range report.Results {
		if result.Status == conformance.Failed {
			t.Errorf("%s: %s", result, result.Seen)
		}
		if compares := result.Name == "env-per-device"; compares && result.Status != conformance.Skipped {
			t.Errorf("%s: %s, and there is one device", result, result.Status)
		}
	}
}

// TestDefectsCoverCases: there is a defect for each case.
func TestDefectsCoverCases(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	all := slices.Concat(configDefects, streamDefects, groupDefects, reserveDefects, statsDefects)
	for _, d := range binaryDefects {
		all = append(all, d.defect)
	}
	for _, d := range all {
		for _, name := range d.fails {
			seen[name] = true
		}
	}
	for _, c := range conformance.Cases() {
		if !seen[c.String()] {
			t.Errorf("no defect fails %s: nothing shows that it can fail", c)
		}
		delete(seen, c.String())
	}
	for name := range seen {
		t.Errorf("a defect fails %s, which is no case", name)
	}
}
