package soak

import (
	"strings"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// samples makes a report with memory that f gives, in MiB.
func samples(n int, f func(i int) float64) Report {
	r := Report{Plugin: "acme"}
	for i := range n {
		r.Samples = append(r.Samples, Sample{
			At:    time.Duration(i) * time.Second,
			Usage: Usage{Memory: f(i) * (1 << 20), Threads: 12, Files: 9},
			Lines: 10, Messages: 3,
		})
	}
	return r
}

// withGoroutines is a report of a flat process.
func withGoroutines(fresh, soaked int) Report {
	r := samples(60, func(int) float64 { return 40 })
	r.Fresh, r.Soaked = fresh, soaked
	return r
}

func TestGrown(t *testing.T) {
	t.Parallel()
	noise := []float64{0, 3, 1, 6, 2, 0, 5}
	for name, test := range map[string]struct {
		report Report
		want   string
	}{
		"flat":              {samples(60, func(int) float64 { return 40 }), ""},
		"noise":             {samples(60, func(i int) float64 { return 40 + noise[i%len(noise)] }), ""},
		"one peak":          {samples(60, func(i int) float64 { return 40 + float64(i/59)*500 }), ""},
		"a leak":            {samples(60, func(i int) float64 { return 40 + float64(i) }), "resident memory grew from 49.5 to 89.5 MiB"},
		"a leak with noise": {samples(60, func(i int) float64 { return 40 + float64(i) + noise[i%len(noise)] }), "resident memory"},
		"a slow leak":       {samples(6000, func(i int) float64 { return 40 + float64(i)/200 }), "resident memory"},
		"goroutines left":   {withGoroutines(12, 40), "goroutines grew from 12.0 to 40.0"},
		"goroutines":        {withGoroutines(12, 20), ""},
		"nothing seen":      {samples(5, func(int) float64 { return 40 }), "say nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.report.Grown()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	r := samples(30, func(i int) float64 { return 10 * float64(i) })
	var log log
	for _, message := range []string{"a", "b", "b"} {
		log.hear(pluginclient.LogLine{Message: message})
	}
	r.Often = log.often()
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 × b\n       1 × a\n", "resident memory MiB", "GROWS", "threads", "flat", "log lines per minute"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, b.String())
		}
	}
}
