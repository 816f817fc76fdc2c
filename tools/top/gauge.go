package top

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// Kind is what a gauge shows.
type Kind int

// The gauges, in the order of the columns.
const (
	Load Kind = iota
	Memory
	Heat
	Power
	kinds
)

// String returns the kind's word.
func (k Kind) String() string { return gauges[k].name }

// Gauge is one measured value.
type Gauge struct {
	// Stat is the name of the statistic that it was taken from; "" means that
	// the device has none.
	Stat string
	// Value is in the kind's unit, and so is Limit, which is 0 if nobody tells it.
	Value, Limit float64
}

// Known reports whether there is a value.
func (g Gauge) Known() bool { return g.Stat != "" }

// Gauges are a device's, by kind.
type Gauges [kinds]Gauge

// None reports whether the device has no gauge at all.
func (g *Gauges) None() bool {
	return !slices.ContainsFunc(g[:], Gauge.Known)
}

// gauges says which statistic is which gauge. Device plugins name their
// statistics as they like, so there is no rule that holds for all: first come
// the names that plugins are known to use, the best one first, then the unit
// together with a word of the name.
var gauges = [kinds]struct {
	name string
	// unit is the one that values are turned into, limit the one to go by if the
	// statistic tells none.
	unit  string
	limit float64
	// stats are names, compared without regard to case.
	stats []string
	// words are what the name of an unknown statistic has, with one of the units.
	words []string
	// units are how many of unit one of them is.
	units map[string]float64
}{
	Load: {
		name: "load", unit: "%", limit: 100,
		stats: []string{"GPU utilization", "Graphics activity", "SM activity"},
		words: []string{"utilization", "utilisation", "load", "busy", "activity"},
		units: map[string]float64{"%": 1, "percent": 1},
	},
	Memory: {
		name: "memory", unit: "MiB",
		stats: []string{"Memory state", "Memory of processes"},
		words: []string{"memory"},
		units: map[string]float64{
			"b": 1.0 / (1 << 20), "kib": 1.0 / (1 << 10), "mib": 1, "gib": 1 << 10, "tib": 1 << 20,
			"kb": 1e3 / (1 << 20), "mb": 1e6 / (1 << 20), "gb": 1e9 / (1 << 20), "tb": 1e12 / (1 << 20),
		},
	},
	Heat: {
		name: "heat", unit: "C",
		stats: []string{"Temperature", "Parent temperature"},
		words: []string{"temperature", "temp"},
		units: map[string]float64{"c": 1, "°c": 1, "celsius": 1},
	},
	Power: {
		name: "power", unit: "W",
		stats: []string{"Power usage", "Power", "Parent power usage"},
		words: []string{"power"},
		units: map[string]float64{"w": 1, "watt": 1, "watts": 1, "mw": 1e-3, "kw": 1e3},
	},
}

// Unit returns the unit of the kind's values.
func (k Kind) Unit() string { return gauges[k].unit }

// GaugesOf finds the gauges among a device's statistics. Only where no name is
// known it goes by units and words: a plugin that calls its statistics by known
// names has no others for what it does not measure.
func GaugesOf(stats *structs.StatObject) Gauges {
	flat := map[string]*structs.StatValue{}
	flatten(flat, "", stats)
	names := slices.Sorted(maps.Keys(flat))
	var found Gauges
	for _, look := range []func(Kind, []string, map[string]*structs.StatValue) Gauge{byName, byWord} {
		for k := range found {
			found[k] = look(Kind(k), names, flat)
		}
		if !found.None() {
			break
		}
	}
	return found
}

// flatten puts the statistics of nested objects beside the others.
func flatten(into map[string]*structs.StatValue, prefix string, stats *structs.StatObject) {
	if stats == nil {
		return
	}
	for name, value := range stats.Attributes {
		if value != nil {
			into[prefix+name] = value
		}
	}
	for name, nested := range stats.Nested {
		flatten(into, prefix+name+" / ", nested)
	}
}

func byName(k Kind, names []string, stats map[string]*structs.StatValue) Gauge {
	for _, wanted := range gauges[k].stats {
		for _, name := range names {
			if !strings.EqualFold(name, wanted) {
				continue
			}
			if g, ok := reading(k, name, stats[name]); ok {
				return g
			}
		}
	}
	return Gauge{}
}

func byWord(k Kind, names []string, stats map[string]*structs.StatValue) Gauge {
	for _, name := range names {
		has := func(word string) bool { return strings.Contains(strings.ToLower(name), word) }
		if !slices.ContainsFunc(gauges[k].words, has) {
			continue
		}
		// An amount of memory alone may be anything; out of a total it is what is used.
		if g, ok := reading(k, name, stats[name]); ok && (k != Memory || g.Limit > 0) {
			return g
		}
	}
	return Gauge{}
}

// reading takes a statistic as a gauge, if it is a number with a unit of the kind.
func reading(k Kind, name string, s *structs.StatValue) (Gauge, bool) {
	scale, ok := gauges[k].units[strings.ToLower(s.Unit)]
	if !ok {
		return Gauge{}, false
	}
	g := Gauge{Stat: name}
	switch {
	case s.FloatNumeratorVal != nil:
		g.Value = *s.FloatNumeratorVal
	case s.IntNumeratorVal != nil:
		g.Value = float64(*s.IntNumeratorVal)
	default:
		return Gauge{}, false
	}
	switch {
	case s.FloatDenominatorVal != nil:
		g.Limit = *s.FloatDenominatorVal
	case s.IntDenominatorVal != nil:
		g.Limit = float64(*s.IntDenominatorVal)
	case gauges[k].limit > 0:
		g.Limit = gauges[k].limit / scale
	}
	g.Value, g.Limit = g.Value*scale, max(g.Limit*scale, 0)
	return g, true
}
