package metrics

import (
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
)

// units are the units of readings as Prometheus writes them, in base units
// (prometheus.io/docs/practices/naming): the suffix, and by what a value is
// multiplied.
var units = map[string]struct {
	suffix string
	factor float64
}{
	"":      {"", 1},
	"#":     {"", 1},
	"%":     {"ratio", 0.01},
	"B":     {"bytes", 1},
	"KiB":   {"bytes", 1 << 10},
	"MiB":   {"bytes", 1 << 20},
	"GiB":   {"bytes", 1 << 30},
	"kB":    {"bytes", 1e3},
	"MB":    {"bytes", 1e6},
	"GB":    {"bytes", 1e9},
	"B/s":   {"bytes_per_second", 1},
	"KiB/s": {"bytes_per_second", 1 << 10},
	"MiB/s": {"bytes_per_second", 1 << 20},
	"GiB/s": {"bytes_per_second", 1 << 30},
	"kB/s":  {"bytes_per_second", 1e3},
	"MB/s":  {"bytes_per_second", 1e6},
	"GB/s":  {"bytes_per_second", 1e9},
	"Hz":    {"hertz", 1},
	"MHz":   {"hertz", 1e6},
	"GHz":   {"hertz", 1e9},
	"mW":    {"watts", 1e-3},
	"W":     {"watts", 1},
	"kW":    {"watts", 1e3},
	"mJ":    {"joules", 1e-3},
	"J":     {"joules", 1},
	"mV":    {"volts", 1e-3},
	"V":     {"volts", 1},
	"mA":    {"amperes", 1e-3},
	"A":     {"amperes", 1},
	"C":     {"celsius", 1},
	"s":     {"seconds", 1},
	"ms":    {"seconds", 1e-3},
	"us":    {"seconds", 1e-6},
	"ns":    {"seconds", 1e-9},
}

// limitWord stands in the name of the metric that says what another is out of.
const limitWord = "limit"

// metricName returns the name of a reading's metric: its own name in the letters
// that Prometheus allows, the unit, and "total" for a counter.
func metricName(r core.Reading, limit bool) string {
	words := []string{strings.TrimSuffix(prefix, "_"), slug(r.Name)}
	if limit {
		words = append(words, limitWord)
	}
	if suffix := unitOf(r.Unit).suffix; suffix != "" && !strings.HasSuffix(words[1], "_"+suffix) {
		words = append(words, suffix)
	}
	switch {
	case limit:
	case r.Counter && r.Value.Numeric():
		words = append(words, "total")
	case !r.Value.Numeric() && r.Value.Kind() != core.KindBool:
		words = append(words, "info")
	}
	return strings.Join(words, "_")
}

// unitOf returns how a unit is written; one that is not known stands as it is.
func unitOf(unit string) (u struct {
	suffix string
	factor float64
},
) {
	u, ok := units[unit]
	if !ok {
		u.suffix, u.factor = slug(unit), 1
	}
	return u
}

// slug returns a text in lower case with an underscore for each run of what is
// not a letter or a digit of ASCII.
func slug(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(text) {
		if r < 'a' || r > 'z' {
			if r < '0' || r > '9' {
				gap = b.Len() > 0
				continue
			}
		}
		if gap {
			b.WriteByte('_')
			gap = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
