package top_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/plugins/shared/structs"

	"github.com/nomad-devices/nomad-devices/tools/nomad/holders"
	"github.com/nomad-devices/nomad-devices/tools/top"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; write it anew with -update):\n%s", file, diff)
	}
}

// noon is when the first measurement was made.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func gauge(stat string, value, limit float64) top.Gauge {
	return top.Gauge{Stat: stat, Value: value, Limit: limit}
}

// gpu is a device of the made-up node, which is n-th of its kind.
func gpu(n int, step float64) top.Device {
	return top.Device{
		Vendor: "nvidia", Type: "gpu", Name: "NVIDIA H100 80GB HBM3",
		ID: fmt.Sprintf("GPU-5f0c61d2-8a9e-4b37-9c1d-2e7f00a4b81%d", n), PCI: fmt.Sprintf("0000:%d8:00.0", n+1),
		Healthy: true, Measured: noon.Add(time.Duration(step) * time.Second),
		Gauges: top.Gauges{
			gauge("GPU utilization", min(100, 12*step+20*float64(n)), 100),
			gauge("Memory state", 20480+9000*float64(n), 81559),
			gauge("Temperature", 41+step+8*float64(n), 0),
			gauge("Power usage", 120+50*step+60*float64(n), 700),
		},
	}
}

func holder(device, job, task, namespace, alloc string) top.Holder {
	return top.Holder{Device: device, Holder: holders.Holder{
		Namespace: namespace, Job: job, Group: "group", Task: task, Alloc: alloc, AllocName: job + ".group[0]", Status: "running",
	}}
}

// node is a report of a node with devices of all sorts.
func node(step float64, held bool) top.Report {
	sick := gpu(2, 0)
	sick.Healthy = false
	sick.HealthText = "XID 79: the GPU has fallen off the bus; drain the node, power it off and on, and if it happens again have the GPU and its riser replaced"
	sick.Gauges, sick.Measured, sick.Summary = top.Gauges{}, noon, &structs.StatValue{StringVal: new("lost")}

	mig := top.Device{
		Vendor: "nvidia", Type: "mig", Name: "NVIDIA H100 80GB HBM3 MIG 3g.40gb", ID: "MIG-1d2c3b4a-0000-5111-8222-333344445555",
		Healthy: true, HealthText: "the driver asks for a reset when it is free", Measured: noon,
		Gauges: top.Gauges{gauge("Graphics activity", 3, 100), gauge("Memory state", 40200, 40448), gauge("Parent temperature", 88, 90), {}},
	}
	sensor := top.Device{
		Vendor: "acme", Type: "sensor", Name: "Thermo 9000", ID: "SN-7", Healthy: true, Measured: noon,
		Summary: &structs.StatValue{IntNumeratorVal: new(int64(3)), IntDenominatorVal: new(int64(16)), Unit: "errors"},
	}
	fpga := top.Device{
		Vendor: "intel", Type: "fpga", Name: "n6001-4c71d90e-91c3a7e0", ID: "dfl:0000:31:00.0/port0", Healthy: true, Measured: noon,
		Gauges: top.Gauges{top.Heat: gauge("temperature", 49, 0), top.Power: gauge("power", 46, 0)},
	}
	devices := []top.Device{gpu(0, step), gpu(1, step), sick, mig, sensor, fpga}
	for replica := 1; replica <= 4; replica++ {
		d := gpu(3, step)
		d.Type += "-share"
		d.ID += fmt.Sprintf("::%d", replica)
		d.Shared = true
		if held && replica > 1 {
			d.Holders = []top.Holder{holder(d.ID, fmt.Sprintf("notebook-%d", replica), "jupyter", "research", fmt.Sprintf("9d%d3e1f0-aaaa", replica))}
		}
		devices = append(devices, d)
	}
	if held {
		devices[0].Holders = []top.Holder{holder(devices[0].ID, "train", "worker", "default", "3f2a9c1b-bbbb")}
		other := holder(devices[1].ID, "", "", "prod", "")
		other.Foreign = true
		devices[1].Holders = []top.Holder{other}
		lost := holder(devices[3].ID, "infer", "server", "default", "77aa0c1b-cccc")
		lost.Status = "unknown"
		devices[3].Holders = []top.Holder{lost}
	}
	return top.Report{Source: "node", Title: "node gpu-17 (1f0a2b3c)", Devices: devices, Complete: true}
}

// screen is a screen that has seen the node for a while.
func screen(options top.Options) *top.Screen {
	options.Interval = time.Second
	s := top.NewScreen(options)
	for step := range 8 {
		s.Take(node(float64(step), options.Holders))
	}
	return s
}

func TestView(t *testing.T) {
	t.Parallel()
	for _, width := range []int{60, 80, 120, 200} {
		for _, held := range []bool{false, true} {
			name := fmt.Sprintf("view-%d", width)
			if held {
				name += "-holders"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := screen(top.Options{Holders: held})
				s.Resize(width, 28)
				golden(t, name, s.View()+"\n")
			})
		}
	}
}

func TestViewOfOtherStates(t *testing.T) {
	t.Parallel()
	keys := func(names ...string) func(*top.Screen) {
		return func(s *top.Screen) {
			for _, name := range names {
				s.Press(name, name)
			}
		}
	}
	dead := top.Report{Source: "nomad-device-amd", Trouble: "starting /opt/nomad/plugins/nomad-device-amd: it ended without a handshake; its log says:\n" +
		"    [ERROR] the bus is on fire: bus=7\nStarted again in 4s."}
	for name, prepare := range map[string]func(*top.Screen){
		"colour":  func(*top.Screen) {},
		"help":    keys("?"),
		"typing":  keys("/", "a", "c", "m", "e"),
		"load":    keys("s", "s", "s"),
		"reverse": keys("S", "r"),
		"paused":  func(s *top.Screen) { keys("p")(s); s.Take(top.Report{Source: "node"}) },
		"trouble": func(s *top.Screen) { s.Take(dead) },
		"scrolled": func(s *top.Screen) {
			s.Resize(80, 10)
			keys("end", "up")(s)
			s.View() // holds the end of the list
			keys("up")(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := screen(top.Options{Palette: top.Palette{Colour: name == "colour"}})
			s.Resize(80, 20)
			prepare(s)
			golden(t, name, s.View()+"\n")
		})
	}
}

func TestViewOfNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reports []top.Report
		filter  string
		want    string
	}{
		"no report":   {want: "Waiting for the first answer."},
		"incomplete":  {reports: []top.Report{{Source: "a"}}, want: "Waiting for the first answer."},
		"one of them": {reports: []top.Report{{Source: "a", Complete: true}, {Source: "b"}}, want: "Waiting for the first answer."},
		"empty":       {reports: []top.Report{{Source: "a", Complete: true, Remarks: []string{"no driver is loaded"}}}, want: "No devices.\n  a: no driver is loaded"},
		"in trouble":  {reports: []top.Report{{Source: "a", Trouble: "it died"}}, want: "! a: it died\nNo devices."},
		"filtered":    {reports: []top.Report{node(0, false)}, filter: "grapes", want: `No device of 7 has "grapes".`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := top.NewScreen(top.Options{Filter: test.filter, Interval: time.Second})
			for _, r := range test.reports {
				s.Take(r)
			}
			if view := s.View(); !strings.Contains(view, "\n"+test.want+"\n") {
				t.Errorf("the view is\n%s\nand does not say\n%s", view, test.want)
			}
		})
	}
}

// TestViewFits holds every size against its own edges.
func TestViewFits(t *testing.T) {
	t.Parallel()
	for _, held := range []bool{false, true} {
		s := screen(top.Options{Holders: held, Palette: top.Palette{Colour: true}})
		s.Take(top.Report{Source: "other", Trouble: strings.Repeat("word ", 200) + "\n" + strings.Repeat("line\n", 20)})
		for width := 1; width < 240; width += 3 {
			for _, height := range []int{1, 3, 24} {
				s.Resize(width, height)
				lines := strings.Split(s.View(), "\n")
				if len(lines) != height {
					t.Fatalf("%dx%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if got := ansi.StringWidth(line); got > width {
						t.Fatalf("%dx%d: a line of %d: %q", width, height, got, line)
					}
				}
			}
		}
	}
}

// TestViewIsClean lets no plugin write to the terminal past the view.
func TestViewIsClean(t *testing.T) {
	t.Parallel()
	evil := "a\x1b[2Jb\nc\x9bd"
	d := gpu(0, 0)
	d.ID, d.Name, d.HealthText, d.Healthy = evil, evil, evil, false
	d.Summary = &structs.StatValue{StringVal: &evil}
	d.Gauges = top.Gauges{}
	d.Holders = []top.Holder{holder(evil, evil, evil, evil, evil), holder(evil, evil, evil, evil, evil)}
	for _, width := range []int{0, 40, 80, 200} {
		s := top.NewScreen(top.Options{Holders: true, Filter: "a"})
		s.Take(top.Report{Source: "x", Title: evil, Devices: []top.Device{d}, Trouble: evil, Remarks: []string{evil}})
		s.Resize(max(width, 1), 20)
		view := s.View()
		s.Resize(width, 0)
		if all := view + s.Table(); strings.ContainsAny(all, "\x1b\u009b") {
			t.Errorf("width %d: %q", width, all)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	for name, width := range map[string]int{"table-80": 80, "table-wide": 0} {
		s := screen(top.Options{Holders: true})
		s.Resize(width, 0)
		golden(t, name, s.Table())
	}
}
