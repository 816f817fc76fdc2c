package metrics_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/config"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/fingerprint"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/metrics"
	"github.com/nomad-devices/nomad-devices/core/share"
	"github.com/nomad-devices/nomad-devices/core/stats"
)

// measured is hardware whose readings the test chooses.
type measured struct {
	*coretest.Hardware
	readings map[string][]core.Reading // by device ID
}

func (m measured) Measure(ctx context.Context, d core.Device) ([]core.Reading, error) {
	if _, err := m.Hardware.Measure(ctx, d); err != nil {
		return nil, err
	}
	return slices.Clone(m.readings[d.ID]), nil
}

// node is a plugin's inside with an endpoint.
type node struct {
	endpoint *metrics.Endpoint
	looks    *fingerprint.Scheduler
	stats    *stats.Collector
}

// start begins looking at the hardware, and ends it with the test.
func start(t *testing.T, vendor core.Vendor, options metrics.Options, rules ...config.Share) *node {
	t.Helper()
	n := &node{}
	calls := guard.NewGroup(nil)
	options.Calls = calls
	options.Plugin, options.Version = "nomad-device-acme", "1.2.3"
	options.Snapshot = func() *fingerprint.Snapshot { return n.looks.Current() }
	options.Measure = func(ctx context.Context, s *fingerprint.Snapshot) []stats.Measurement { return n.stats.Recent(ctx, s) }
	if options.Log == nil {
		options.Log = hclog.NewNullLogger()
	}
	n.endpoint = metrics.New(options)
	n.looks = fingerprint.New(vendor, calls, fingerprint.Options{
		Period: time.Minute, DriverTimeout: time.Second, Log: hclog.NewNullLogger(),
		Offer: share.NewPlan(rules, vendor, hclog.NewNullLogger()).Offer, Observe: n.endpoint.Observe, Published: n.endpoint.Published,
	})
	n.stats = stats.NewCollector(vendor, calls, stats.Options{
		Timeout: time.Second, DriverTimeout: time.Second, Observe: n.endpoint.Observe, Log: hclog.NewNullLogger(),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.looks.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for !n.looks.Current().Complete {
		<-n.looks.Current().Superseded()
	}
	return n
}

// scrape asks the endpoint for its metrics.
func (n *node) scrape(t *testing.T, accept string) (text, contentType string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	n.endpoint.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String(), w.Header().Get("Content-Type")
}

// lines returns the samples of a scrape whose names begin with a prefix.
func lines(text, prefix string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

var acme = []core.Reading{
	{Name: "Memory state", Value: core.Count(512), Limit: core.Count(1024), Unit: "MiB", Description: "Used / all memory"},
	{Name: "Load", Value: core.Float(25, core.NoUnit), Unit: "%", Description: "How busy it is"},
	{Name: "Energy consumption", Value: core.Count(7), Unit: "J", Counter: true, Description: "Energy used"},
	{Name: "ECC errors, lifetime", Value: core.Count(3), Unit: "#", Counter: true, Description: "Errors"},
	{Name: "Remap pending", Value: core.Bool(true), Description: "Whether a row is replaced at the next reset"},
	{Name: "Clock reasons", Value: core.String("heat, \"power\"\n"), Description: "What holds it down"},
	{Name: "Core voltage", Value: core.Count(900), Unit: "mV", Description: "Voltage"},
}

func TestScrape(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	d := coretest.Device("a")
	d.PCI = "0000:3b:00.0"
	h.Put("1", d)
	sick := coretest.Device("b")
	sick.Faults = []core.Fault{{Code: "lost", Severity: core.Hard, Reason: "fell off the bus", Remedy: "reboot"}}
	h.Put("2", sick)
	n := start(t, measured{h, map[string][]core.Reading{"a": acme}}, metrics.Options{})
	text, contentType := n.scrape(t, "")
	if !strings.HasPrefix(contentType, "text/plain") {
		t.Errorf("content type %q", contentType)
	}
	const a, b = `id="a",name="Acme One",pci="0000:3b:00.0",type="gpu"`, `id="b",name="Acme One",pci="",type="gpu"`
	want := []string{
		`nomad_device_clock_reasons_info{` + a + `,value="heat, \"power\"\n",vendor="acme"} 1`,
		`nomad_device_core_voltage_volts{` + a + `,vendor="acme"} 0.9`,
		`nomad_device_ecc_errors_lifetime_total{` + a + `,vendor="acme"} 3`,
		`nomad_device_energy_consumption_joules_total{` + a + `,vendor="acme"} 7`,
		`nomad_device_health_info{id="b",name="Acme One",pci="",reason="fell off the bus; reboot",type="gpu",vendor="acme"} 1`,
		`nomad_device_healthy{` + a + `,vendor="acme"} 1`,
		`nomad_device_healthy{` + b + `,vendor="acme"} 0`,
		`nomad_device_instances{` + a + `,vendor="acme"} 1`,
		`nomad_device_instances{` + b + `,vendor="acme"} 1`,
		`nomad_device_load_ratio{` + a + `,vendor="acme"} 0.25`,
		`nomad_device_memory_state_bytes{` + a + `,vendor="acme"} 5.36870912e+08`,
		`nomad_device_memory_state_limit_bytes{` + a + `,vendor="acme"} 1.073741824e+09`,
		`nomad_device_remap_pending{` + a + `,vendor="acme"} 1`,
	}
	var got []string
	for _, line := range lines(text, "nomad_device_") {
		if !strings.HasPrefix(line, "nomad_device_plugin_") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	wantOwn := []string{
		`nomad_device_plugin_info{plugin="nomad-device-acme",version="1.2.3"} 1`,
		`nomad_device_plugin_health_changes_total{id="b",name="Acme One",pci="",to="unhealthy",type="gpu",vendor="acme"} 1`,
		`nomad_device_plugin_call_duration_seconds_count{call="scan"} 1`,
		`nomad_device_plugin_call_duration_seconds_count{call="read"} 2`,
		`nomad_device_plugin_reservations_total{outcome="refused"} 0`,
		`nomad_device_plugin_calls_hung 0`,
	}
	for _, line := range wantOwn {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s in\n%s", line, text)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("against the conventions of Prometheus: %+v, %v", problems, err)
	}
	open, contentType := n.scrape(t, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(contentType, "application/openmetrics-text") || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("OpenMetrics as %q ends in %q", contentType, open[max(0, len(open)-20):])
	}
}

// What two readings cannot both be is shown as the first of them; the scrape
// stays whole.
func TestReadingsThatWouldSpoilAScrape(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	h.Put("2", coretest.Device("b"))
	one := core.Count(1)
	n := start(t, measured{h, map[string][]core.Reading{
		"a": {
			{Name: "Load", Value: one, Unit: "%", Description: "first"},
			{Name: "load", Value: core.Count(2), Unit: "%", Description: "the same name in other letters"},
			{Name: "Thing total", Value: one, Description: "a gauge"},
			{Name: "Thing", Counter: true, Value: one, Description: "a counter of the same name"},
			{Name: "…", Value: one, Description: "no letter at all"},
			{Name: "Words", Value: core.String("a\xffb"), Description: "not UTF-8: \xff"},
			{Name: "Odd", Value: one, Unit: "furlong/fortnight", Description: "a unit that is not known"},
			{Name: "Temperature celsius", Value: one, Unit: "C", Description: "the unit is there already"},
		},
		"b": {{Name: "Load", Value: one, Unit: "%", Description: "another help text"}},
	}}, metrics.Options{})
	text, _ := n.scrape(t, "")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if _, err := parser.TextToMetricFamilies(strings.NewReader(text)); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	counts := map[string]int{}
	for _, line := range lines(text, "nomad_device_") {
		name, _, _ := strings.Cut(line, "{")
		if !strings.HasPrefix(name, "nomad_device_plugin_") {
			counts[name]++
		}
	}
	want := map[string]int{
		"nomad_device_healthy": 2, "nomad_device_instances": 2, "nomad_device_load_ratio": 2, "nomad_device_thing_total": 1,
		"nomad_device_words_info": 1, "nomad_device_odd_furlong_fortnight": 1, "nomad_device_temperature_celsius": 1,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A shared device is there once.
func TestSharedDeviceIsCountedOnce(t *testing.T) {
	t.Parallel()
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	n := start(t, measured{h, map[string][]core.Reading{"a": acme}}, metrics.Options{}, config.Share{Replicas: 4})
	text, _ := n.scrape(t, "")
	for _, line := range []string{
		`nomad_device_instances{id="a",name="Acme One",pci="",type="gpu",vendor="acme"} 4`,
		`nomad_device_load_ratio{id="a",name="Acme One",pci="",type="gpu",vendor="acme"} 0.25`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if n := len(lines(text, "nomad_device_load_ratio")); n != 1 {
		t.Errorf("%d series of one device", n)
	}
}

// While the agent asks for statistics, scrapes make no call; without it they
// make one every ten seconds, however many there are.
func TestScrapesMakeNoCallsOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		h.Put("1", coretest.Device("a"))
		n := start(t, h, metrics.Options{})
		for range 60 {
			n.stats.Collect(t.Context(), n.looks.Current(), time.Second)
			for range 5 {
				n.scrape(t, "")
			}
			time.Sleep(time.Second)
		}
		if calls := h.Calls("Measure a"); calls != 60 {
			t.Errorf("%d measurements in 60 cycles of the agent with 300 scrapes, want 60", calls)
		}
		// An agent that asks once a minute is not asked for by others meanwhile.
		n.stats.Collect(t.Context(), n.looks.Current(), time.Minute)
		seldom := h.Calls("Measure a")
		for range 50 {
			n.scrape(t, "")
			time.Sleep(time.Second)
		}
		if calls := h.Calls("Measure a"); calls != seldom {
			t.Errorf("%d measurements for scrapes between two cycles of a minute", calls-seldom)
		}
		time.Sleep(3 * time.Minute)
		before := h.Calls("Measure a")
		for range 60 {
			n.scrape(t, "")
			time.Sleep(time.Second)
		}
		if calls := h.Calls("Measure a") - before; calls != 6 {
			t.Errorf("%d measurements in a minute without the agent, want 6", calls)
		}
	})
}

func TestOwnNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &coretest.Hardware{}
		h.Put("1", coretest.Device("a"))
		h.Put("2", coretest.Device("b"))
		n := start(t, h, metrics.Options{})
		release := h.Hang("2")
		n.looks.Wake()
		time.Sleep(3300 * time.Millisecond) // between two scans
		n.endpoint.Reserved(time.Millisecond, nil)
		n.endpoint.Reserved(time.Millisecond, errors.New("no"))
		n.endpoint.Observe("grant", time.Millisecond, &guard.PanicError{Value: "x"})
		text, _ := n.scrape(t, "")
		const b = `id="b",name="Acme One",pci="",to="unhealthy",type="gpu",vendor="acme"`
		for _, line := range []string{
			`nomad_device_plugin_calls_hung 1`,
			`nomad_device_plugin_health_changes_total{` + b + `} 1`,
			`nomad_device_plugin_reservations_total{outcome="granted"} 1`,
			`nomad_device_plugin_reservations_total{outcome="refused"} 1`,
			`nomad_device_plugin_call_failures_total{call="grant",reason="panic"} 1`,
		} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no line %s in\n%s", line, strings.Join(lines(text, "nomad_device_plugin_"), "\n"))
			}
		}
		// The wait for events and the hung call, and perhaps one that this scrape has
		// begun.
		if running := lines(text, "nomad_device_plugin_calls_running "); len(running) != 1 || running[0] < "nomad_device_plugin_calls_running 2" {
			t.Errorf("running calls: %v", running)
		}
		if len(lines(text, `nomad_device_plugin_call_failures_total{call="read",reason="hung"}`)) != 1 {
			t.Error("the hung reading is not counted")
		}
		release()
		h.Remove("2")
		time.Sleep(15 * time.Minute)
		text, _ = n.scrape(t, "")
		if found := lines(text, "nomad_device_plugin_health_changes_total{id=\"b\""); len(found) > 0 {
			t.Errorf("a device that was gone for long is still counted: %v", found)
		}
	})
}

// A taken port is a line of the log; when it is free the endpoint is there.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 16)
	log := hclog.New(&hclog.LoggerOptions{Output: lineWriter(said)})
	h := &coretest.Hardware{}
	h.Put("1", coretest.Device("a"))
	n := start(t, h, metrics.Options{Address: taken.Addr().String(), Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.endpoint.Run(ctx)
	}()
	if line := <-said; !strings.Contains(line, "metrics are not served") || !strings.Contains(line, taken.Addr().String()) {
		t.Errorf("the log says %q", line)
	}
	_ = taken.Close()
	if line := <-said; !strings.Contains(line, "serving metrics") {
		t.Errorf("the log says %q", line)
	}
	response, err := http.Get("http://" + taken.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !strings.Contains(string(text), "nomad_device_healthy") {
		t.Errorf("%v: %s", err, text)
	}
	cancel()
	<-ended
	if again, err := net.Listen("tcp", taken.Addr().String()); err != nil {
		t.Errorf("the port is not given back: %v", err)
	} else {
		_ = again.Close()
	}
	if len(said) > 0 {
		t.Errorf("more in the log: %q", <-said)
	}
}

type lineWriter chan<- string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

func TestMetricName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reading core.Reading
		limit   bool
		want    string
	}{
		{core.Reading{Name: "Temperature", Unit: "C", Value: core.Count(1)}, false, "nomad_device_temperature_celsius"},
		{core.Reading{Name: "Temperature", Unit: "C", Value: core.Count(1)}, true, "nomad_device_temperature_limit_celsius"},
		{core.Reading{Name: "SM  clock (max)", Unit: "MHz", Value: core.Count(1)}, false, "nomad_device_sm_clock_max_hertz"},
		{core.Reading{Name: "ECC errors", Unit: "#", Counter: true, Value: core.Count(1)}, false, "nomad_device_ecc_errors_total"},
		{core.Reading{Name: "Power state", Value: core.String("on")}, false, "nomad_device_power_state_info"},
		{core.Reading{Name: "Pending", Value: core.Bool(true)}, false, "nomad_device_pending"},
	}
	for _, test := range tests {
		if got := metrics.MetricName(test.reading, test.limit); got != test.want {
			t.Errorf("%+v: %q, want %q", test.reading, got, test.want)
		}
	}
}
