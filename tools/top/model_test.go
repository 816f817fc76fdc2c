package top_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/tools/top"
)

func whole(value int64, unit string) *structs.StatValue {
	return &structs.StatValue{IntNumeratorVal: &value, Unit: unit}
}

func outOf(value, limit float64, unit string) *structs.StatValue {
	return &structs.StatValue{FloatNumeratorVal: &value, FloatDenominatorVal: &limit, Unit: unit}
}

func TestGaugesOf(t *testing.T) {
	t.Parallel()
	text := "N/A"
	for name, test := range map[string]struct {
		stats map[string]*structs.StatValue
		want  top.Gauges
	}{
		"NVIDIA": {
			stats: map[string]*structs.StatValue{
				"GPU utilization": whole(30, "%"), "Decoder utilization": whole(99, "%"), "Memory utilization": whole(98, "%"),
				"Memory state": outOf(1024, 81559, "MiB"), "BAR1 buffer state": outOf(1, 2, "MiB"),
				"Temperature": whole(41, "C"), "Memory temperature": whole(77, "C"),
				"Power usage": outOf(90.5, 700, "W"), "Power instant": whole(80, "W"),
			},
			want: top.Gauges{
				gauge("GPU utilization", 30, 100), gauge("Memory state", 1024, 81559), gauge("Temperature", 41, 0), gauge("Power usage", 90.5, 700),
			},
		},
		"MIG": {
			stats: map[string]*structs.StatValue{
				"Graphics activity": whole(30, "%"), "Memory state": outOf(1, 2, "MiB"), "Parent temperature": whole(50, "C"), "Parent power usage": outOf(3, 4, "W"),
			},
			want: top.Gauges{
				gauge("Graphics activity", 30, 100), gauge("Memory state", 1, 2), gauge("Parent temperature", 50, 0), gauge("Parent power usage", 3, 4),
			},
		},
		"a partition of AMD's": {
			stats: map[string]*structs.StatValue{"Memory of processes": outOf(10, 24, "MiB"), "Temperature": outOf(50, 105, "C")},
			want:  top.Gauges{top.Memory: gauge("Memory of processes", 10, 24), top.Heat: gauge("Temperature", 50, 105)},
		},
		"a GPU that tells no utilization": {
			stats: map[string]*structs.StatValue{"Temperature": whole(41, "C"), "Media utilization": whole(5, "%")},
			want:  top.Gauges{top.Heat: gauge("Temperature", 41, 0)},
		},
		"FPGA": {
			stats: map[string]*structs.StatValue{"temperature": whole(49, "C"), "power": whole(46, "W"), "sensor_temp1": whole(70, "C")},
			want:  top.Gauges{top.Heat: gauge("temperature", 49, 0), top.Power: gauge("power", 46, 0)},
		},
		"no numbers": {
			stats: map[string]*structs.StatValue{"Temperature": {StringVal: &text, Unit: "C"}, "Memory state": nil},
		},
		"an unknown plugin": {
			stats: map[string]*structs.StatValue{
				"Engine load": outOf(1, 4, "percent"), "Memory": whole(5, "GiB"), "Memory in use": outOf(2, 8, "GiB"),
				"Chip temperature": whole(61, "°C"), "Power draw": whole(2500, "mW"), "Power supplies": whole(2, "#"),
			},
			want: top.Gauges{
				gauge("Engine load", 1, 4), gauge("Memory in use", 2048, 8192), gauge("Chip temperature", 61, 0), gauge("Power draw", 2.5, 0),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, top.GaugesOf(&structs.StatObject{Attributes: test.stats})); diff != "" {
				t.Errorf("gauges (-want +got):\n%s", diff)
			}
		})
	}
	nested := &structs.StatObject{Nested: map[string]*structs.StatObject{
		"Chip": {Attributes: map[string]*structs.StatValue{"Temperature": whole(20, "C")}}, "None": nil,
	}}
	if got, want := top.GaugesOf(nested)[top.Heat], gauge("Chip / Temperature", 20, 0); got != want {
		t.Errorf("nested: %v, want %v", got, want)
	}
	if got := top.GaugesOf(nil); !got.None() {
		t.Errorf("of nothing: %v", got)
	}
}

// TestGaugesKnowOurPlugins holds the names that are known against the tables of
// the plugins of this project: one that is renamed there would leave its column
// empty.
func TestGaugesKnowOurPlugins(t *testing.T) {
	t.Parallel()
	for file, names := range map[string][]string{
		"nvidia/stattable.go":               {"GPU utilization", "Graphics activity", "SM activity", "Memory state", "Temperature", "Parent temperature", "Power usage", "Parent power usage"},
		"amd/stattable.go":                  {"GPU utilization", "Memory state", "Memory of processes", "Temperature", "Power usage"},
		"fpga/internal/family/published.go": {"temperature", "power"},
	} {
		text, err := os.ReadFile("../../plugins/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.Contains(string(text), `"`+name+`"`) {
				t.Errorf("plugins/%s has no statistic %q any more", file, name)
			}
			units := []string{"%", "MiB", "C", "W"}
			found := slices.ContainsFunc(units, func(unit string) bool {
				got := top.GaugesOf(&structs.StatObject{Attributes: map[string]*structs.StatValue{name: outOf(1, 2, unit)}})
				return !got.None()
			})
			if !found {
				t.Errorf("%q is no gauge", name)
			}
		}
	}
}

// shown are the IDs on a screen, shortened to their last character.
func shown(s *top.Screen) string {
	var ids strings.Builder
	for _, d := range s.Devices() {
		ids.WriteByte(d.ID[len(d.ID)-1])
	}
	return ids.String()
}

func TestOrder(t *testing.T) {
	t.Parallel()
	device := func(id, name string, healthy bool, load, memory, limit, heat, power float64, job string) top.Device {
		d := top.Device{Vendor: "v", Type: "t", Name: name, ID: id, Healthy: healthy, Measured: noon}
		for k, v := range []float64{load, memory, heat, power} {
			if v >= 0 {
				d.Gauges[k] = gauge("some", v, []float64{100, limit, 0, 0}[k])
			}
		}
		if job != "" {
			d.Holders = []top.Holder{holder(id, job, "task", "default", "alloc")}
		}
		return d
	}
	report := top.Report{Source: "s", Devices: []top.Device{
		device("a", "two", true, 10, 60, 80, 50, 100, "zeta"),
		device("b", "one", false, -1, 70, 192, 90, -1, ""),
		device("c", "one", true, 90, 10, 80, 70, 300, "alpha"),
	}}
	for _, test := range []struct {
		by              string
		forth, backward string
	}{
		{"device", "bca", "acb"},
		{"name", "bca", "abc"},
		{"health", "bca", "cab"},
		{"load", "cab", "acb"},
		{"memory", "abc", "cba"},
		{"heat", "bca", "acb"},
		{"power", "cab", "acb"},
		{"holder", "cab", "acb"},
	} {
		column, ok := top.ColumnNamed(test.by)
		if !ok || column.String() != test.by {
			t.Fatalf("there is no column %s", test.by)
		}
		for reverse, want := range map[bool]string{false: test.forth, true: test.backward} {
			s := top.NewScreen(top.Options{Sort: column, Reverse: reverse})
			s.Take(report)
			if got := shown(s); got != want {
				t.Errorf("by %s, reverse %v: %s, want %s", test.by, reverse, got, want)
			}
		}
	}
	if _, ok := top.ColumnNamed("colour"); ok {
		t.Error("there is a column colour")
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]int{
		"": 7, "h100": 5, "H100 mig": 1, "acme": 1, "unhealthy": 1, "healthy": 6, "fallen bus": 1,
		"worker": 1, "notebook-3": 1, "research jupyter": 1, "0000:18:00.0": 1, "::4": 1, "nothing": 0,
	} {
		s := top.NewScreen(top.Options{Filter: filter, Holders: true})
		s.Take(node(0, true))
		if got := len(shown(s)); got != want {
			t.Errorf("filter %q: %d devices, want %d", filter, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	replica := func(id string, healthy bool, at int) top.Device {
		d := top.Device{Vendor: "v", Type: "t", Name: "n-shared", ID: id, Shared: true, Healthy: healthy, Measured: noon.Add(time.Duration(at))}
		d.Holders = []top.Holder{holder(id, "job", "task", "default", "alloc")}
		if !healthy {
			d.HealthText = "broken"
		}
		return d
	}
	plain := top.Device{Vendor: "v", Type: "t", Name: "n", ID: "dfl::1", Healthy: true}
	got := top.Fold([]top.Device{replica("A::10", true, 0), plain, replica("A::2", false, 5), replica("B::1", true, 0), replica("A::1", true, 3)})
	ids := func(ids ...string) (all []top.Holder) {
		for _, id := range ids {
			all = append(all, holder(id, "job", "task", "default", "alloc"))
		}
		return all
	}
	a := replica("A", false, 5)
	a.Replicas, a.Holders = []string{"A::1", "A::2", "A::10"}, ids("A::1", "A::2", "A::10")
	b := replica("B", true, 0)
	b.Replicas, b.Holders = []string{"B::1"}, ids("B::1")
	if diff := cmp.Diff([]top.Device{a, plain, b}, got); diff != "" {
		t.Errorf("folded (-want +got):\n%s", diff)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	s := top.NewScreen(top.Options{Interval: 700 * time.Millisecond})
	s.Take(node(0, false))
	press := func(name string, want top.Action) {
		t.Helper()
		if got := s.Press(name, ""); got != want {
			t.Errorf("%s: action %d, want %d", name, got, want)
		}
	}
	interval := func(name string, action top.Action, want time.Duration) {
		t.Helper()
		press(name, action)
		if s.Interval() != want {
			t.Errorf("after %s: every %s, want %s", name, s.Interval(), want)
		}
	}
	interval("-", top.ChangeInterval, time.Second)
	interval("-", top.ChangeInterval, 2*time.Second)
	interval("+", top.ChangeInterval, time.Second)
	interval("=", top.ChangeInterval, 500*time.Millisecond)
	interval("+", top.ChangeInterval, 200*time.Millisecond)
	interval("+", top.Nothing, 200*time.Millisecond)
	for range 7 {
		press("-", top.ChangeInterval)
	}
	interval("-", top.Nothing, time.Minute)

	press("/", top.Nothing)
	for _, text := range []string{"a", "c", "m", "x", "q"} {
		s.Press(text, text)
	}
	press("backspace", top.Nothing)
	press("backspace", top.Nothing)
	if got := len(shown(s)); got != 1 {
		t.Errorf("with acm: %d devices", got)
	}
	press("enter", top.Nothing)
	press("/", top.Nothing)
	press("ctrl+u", top.Nothing)
	if got := len(shown(s)); got != 7 {
		t.Errorf("with the filter emptied: %d devices", got)
	}
	press("esc", top.Nothing)
	if got := len(shown(s)); got != 1 {
		t.Errorf("with the filter before: %d devices", got)
	}
	press("esc", top.Nothing)
	if got := len(shown(s)); got != 7 {
		t.Errorf("with the filter dropped: %d devices", got)
	}
	press("?", top.Nothing)
	press("q", top.Quit)
	press("ctrl+z", top.Suspend)
	press("/", top.Nothing)
	press("ctrl+c", top.Quit)
}

// TestPause keeps what is seen as it is, and knows the rest afterwards.
func TestPause(t *testing.T) {
	t.Parallel()
	s := screen(top.Options{})
	before := s.View()
	s.Press("p", "p")
	s.Take(top.Report{Source: "node", Complete: true, Devices: []top.Device{gpu(0, 9)}})
	if got := len(shown(s)); got != 7 || !strings.Contains(s.View(), "PAUSED") {
		t.Errorf("paused, there are %d devices:\n%s", got, s.View())
	}
	s.Press("space", " ")
	if got := len(shown(s)); got != 1 || strings.Contains(s.View(), "PAUSED") || s.View() == before {
		t.Errorf("going on, there are %d devices:\n%s", got, s.View())
	}
}

// TestHistory takes each measurement once, and forgets devices that are gone but
// not those of a source in trouble.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := top.NewScreen(top.Options{Interval: time.Second})
	s.Resize(160, 10)
	sparks := func() string {
		row := strings.Split(s.View(), "\n")[2]
		return strings.Map(func(r rune) rune {
			if r >= '▁' && r <= '█' {
				return r
			}
			return -1
		}, row)
	}
	take := func(d ...top.Device) { s.Take(top.Report{Source: "s", Devices: d, Complete: true}) }
	busy := func(step float64) top.Device {
		d := gpu(0, step)
		d.Gauges = top.Gauges{gauge("GPU utilization", 14*step, 100)}
		return d
	}
	for step := range 3 {
		take(busy(float64(step)))
		take(busy(float64(step))) // health changed, and nothing was measured
	}
	if got := sparks(); !strings.HasPrefix(got, "▁▂▃") {
		t.Errorf("the history is %q", got)
	}
	s.Take(top.Report{Source: "s", Trouble: "it died"})
	take(busy(3))
	if got := strings.Split(s.View(), "\n")[2]; !strings.Contains(got, "▁▂▃▄") {
		t.Errorf("after trouble: %q", got)
	}
	take()
	take(busy(4))
	if got := strings.Split(s.View(), "\n")[2]; strings.Contains(got, "▄▅") {
		t.Errorf("after the device was gone: %q", got)
	}
}
