package top

import (
	"cmp"
	"slices"
	"strings"
)

// Column is what devices can be sorted by.
type Column int

// The columns, in their order on the screen.
const (
	ByDevice Column = iota
	ByName
	ByHealth
	ByLoad
	ByMemory
	ByHeat
	ByPower
	ByHolder
	columns
)

// columnNames are the columns' names as the -sort flag has them.
var columnNames = [columns]string{"device", "name", "health", "load", "memory", "heat", "power", "holder"}

// String returns the column's name.
func (c Column) String() string { return columnNames[c] }

// ColumnNames returns the names of all columns.
func ColumnNames() []string { return slices.Clone(columnNames[:]) }

// ColumnNamed finds a column by its name.
func ColumnNamed(name string) (Column, bool) {
	i := slices.Index(columnNames[:], name)
	return Column(max(i, 0)), i >= 0
}

// gauge returns which gauge a column shows, if it shows one.
func (c Column) gauge() (Kind, bool) {
	if c < ByLoad || c > ByPower {
		return 0, false
	}
	return Kind(c - ByLoad), true
}

// item is a device with the source that told of it.
type item struct {
	Device
	source string
}

// order sorts devices by a column: names from A to Z, the unhealthy first, and
// the highest values first; those without a value come last either way.
func order(items []item, by Column, reverse bool) {
	slices.SortStableFunc(items, func(a, b item) int {
		if missing := cmp.Compare(rank(&a, by), rank(&b, by)); missing != 0 {
			return missing
		}
		c := compare(&a, &b, by)
		if reverse {
			c = -c
		}
		return cmp.Or(c, compare(&a, &b, ByDevice))
	})
}

// rank has devices without what is sorted by behind the others.
func rank(d *item, by Column) int {
	k, gauge := by.gauge()
	if gauge && !d.Gauges[k].Known() || by == ByHolder && len(d.Holders) == 0 {
		return 1
	}
	return 0
}

func compare(a, b *item, by Column) int {
	if k, ok := by.gauge(); ok {
		x, y := a.Gauges[k], b.Gauges[k]
		// Different devices have different limits: 60 of 80 GiB is fuller than 70 of 192.
		p, known := fullness(k, x)
		q, both := fullness(k, y)
		if known && both && k != Heat {
			return cmp.Compare(q, p)
		}
		return cmp.Compare(y.Value, x.Value)
	}
	switch by {
	case ByName:
		return cmp.Compare(a.Name, b.Name)
	case ByHealth:
		return cmp.Compare(b2i(a.Healthy), b2i(b.Healthy))
	case ByHolder:
		if len(a.Holders) == 0 || len(b.Holders) == 0 {
			return 0
		}
		x, y := a.Holders[0], b.Holders[0]
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Job, y.Job), cmp.Compare(x.Task, y.Task))
	default:
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Type, b.Type),
			cmp.Compare(a.Name, b.Name), cmp.Compare(a.PCI, b.PCI), cmp.Compare(a.ID, b.ID), cmp.Compare(a.source, b.source))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// matches reports whether a device has every word of a filter in what is told of
// it, in any case.
func matches(d *item, filter string) bool {
	words := strings.Fields(strings.ToLower(filter))
	if len(words) == 0 {
		return true
	}
	told := []string{d.source, d.Vendor, d.Type, d.Name, d.ID, d.PCI, d.HealthText, "healthy"}
	if !d.Healthy {
		told[len(told)-1] = "unhealthy"
	}
	told = append(told, d.Replicas...)
	for _, h := range d.Holders {
		told = append(told, h.Namespace, h.Job, h.Group, h.Task, h.Alloc)
	}
	text := strings.ToLower(strings.Join(told, "\n"))
	return !slices.ContainsFunc(words, func(word string) bool {
		if word == "healthy" { // is part of "unhealthy"
			return !d.Healthy
		}
		return !strings.Contains(text, word)
	})
}
