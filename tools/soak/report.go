package soak

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Sample is what was seen of the process at a time.
type Sample struct {
	At time.Duration // since the first trouble
	Usage
	Lines    float64 // of its log, per minute
	Messages float64 // of its fingerprint stream, per minute
}

// String words the sample for people.
func (s Sample) String() string {
	return fmt.Sprintf("%8s  %v, %.0f log lines and %.0f messages a minute", s.At.Round(time.Second), s.Usage, s.Lines, s.Messages)
}

// Report is what a soak has shown.
type Report struct {
	Plugin  string
	Samples []Sample
	// Often are the messages that the log held most of.
	Often []Often
	// Fresh and Soaked are how many goroutines a process has that was just
	// started, and this one at its end.
	Fresh, Soaked int
}

// Trend compares the medians of the first and the last third of the samples, or
// of goroutines a process that was just started with this one at its end.
type Trend struct {
	Name        string
	Unit        string
	First, Last float64
	// Most is the highest sample, and Bound what Last may be.
	Most, Bound float64
}

// Grows reports whether the last median is beyond what noise explains.
func (t Trend) Grows() bool { return t.Last > t.Bound }

// quantity is something that must not grow: by a share of what it was, and by
// what comes and goes.
type quantity struct {
	name, unit string
	of         func(Sample) float64
	share      float64
	slack      float64
}

var quantities = []quantity{
	{"resident memory", "MiB", func(s Sample) float64 { return s.Memory / (1 << 20) }, 0.15, 8},
	{"threads", "", func(s Sample) float64 { return s.Threads }, 0.2, 4},
	{"open files", "", func(s Sample) float64 { return s.Files }, 0.2, 4},
	{"log lines", "per minute", func(s Sample) float64 { return s.Lines }, 1, 200},
	{"messages", "per minute", func(s Sample) float64 { return s.Messages }, 1, 60},
}

// spareGoroutines is how many more a process may have that has lived: of those
// that end a while after what they were for.
const spareGoroutines = 20

// fewest is the number of samples of which a third says something.
const fewest = 9

// Trends returns the trend of each quantity. With fewer than nine samples there
// is none.
func (r Report) Trends() []Trend {
	if len(r.Samples) < fewest {
		return nil
	}
	third := len(r.Samples) / 3
	trends := make([]Trend, 0, len(quantities))
	for _, q := range quantities {
		values := make([]float64, len(r.Samples))
		for i, s := range r.Samples {
			values[i] = q.of(s)
		}
		first := median(values[:third])
		trends = append(trends, Trend{
			Name: q.name, Unit: q.unit, First: first, Last: median(values[len(values)-third:]),
			Most: slices.Max(values), Bound: first + first*q.share + q.slack,
		})
	}
	if r.Soaked > 0 {
		trends = append(trends, Trend{
			Name: "goroutines", Unit: "(fresh process, this one)", First: float64(r.Fresh), Last: float64(r.Soaked),
			Most: float64(max(r.Fresh, r.Soaked)), Bound: float64(r.Fresh + spareGoroutines),
		})
	}
	return trends
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Grown returns an error that names what grew, nil if nothing did.
func (r Report) Grown() error {
	trends := r.Trends()
	if trends == nil {
		return fmt.Errorf("%d samples say nothing about growth: soak for longer", len(r.Samples))
	}
	var errs []error
	for _, t := range trends {
		if t.Grows() {
			errs = append(errs, fmt.Errorf("%s grew from %.1f to %.1f %s; noise explains no more than %.1f",
				t.Name, t.First, t.Last, t.Unit, t.Bound))
		}
	}
	return errors.Join(errs...)
}

// Write writes the trends as a table.
func (r Report) Write(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%s\tfirst third\tlast third\tmost\tmay be\t\t\n", r.Plugin)
	for _, t := range r.Trends() {
		verdict := "flat"
		if t.Grows() {
			verdict = "GROWS"
		}
		name := strings.TrimSpace(t.Name + " " + t.Unit)
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%.1f\t%.1f\t%s\t\n", name, t.First, t.Last, t.Most, t.Bound, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "most often in the log:")
	for _, o := range r.Often {
		fmt.Fprintf(w, "%8d × %s\n", o.Times, o.Message)
	}
	return nil
}
