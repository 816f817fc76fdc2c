package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/structs"
)

// valid checks what Nomad's own validation lets through and what hurts it all
// the same: numbers that are none, bytes that are no text, IDs that read as
// numbers, a count that does not fit.
func valid(groups []*device.DeviceGroup) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	for _, g := range groups {
		name := g.Vendor + "/" + g.Type + "/" + g.Name
		if seen[name] {
			wrong("the group %s comes twice", name)
		}
		seen[name] = true
		if err := text(name); err != nil {
			wrong("group %q: %w", name, err)
		}
		healthy := int64(0)
		for _, d := range g.Devices {
			if seen[d.ID] {
				wrong("the device %s comes twice", d.ID)
			}
			seen[d.ID] = true
			if err := text(d.ID); err != nil || strings.ContainsAny(d.ID, ", \t") || structs.ParseAttribute(d.ID).String == nil {
				wrong("the ID %q is none that Nomad could use (%w)", d.ID, err)
			}
			if err := text(d.HealthDesc); err != nil {
				wrong("the reason %q: %w", d.HealthDesc, err)
			}
			if d.Healthy {
				healthy++
			}
		}
		for key, a := range g.Attributes {
			switch {
			case a.Float != nil && !finite(*a.Float):
				wrong("%s: the attribute %s is %v", name, key, *a.Float)
			case a.String != nil:
				if err := text(*a.String); err != nil || *a.String == "" {
					wrong("%s: the attribute %s is %q (%w)", name, key, *a.String, err)
				}
			}
		}
		if a := g.Attributes["healthy_count"]; a == nil || a.Int == nil || *a.Int != healthy {
			wrong("%s: healthy_count is %v and there are %d healthy devices", name, a, healthy)
		}
	}
	return errors.Join(errs...)
}

// text refuses what is no text to a person or to Nomad.
func text(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("it is not valid UTF-8")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("it has control bytes")
	}
	return nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// validStats checks what would make Nomad's CLI or API fail.
func validStats(groups []*device.DeviceGroupStats) error {
	var errs []error
	for _, g := range groups {
		for id, d := range g.InstanceStats {
			switch {
			case d == nil || d.Summary == nil || d.Stats == nil:
				errs = append(errs, fmt.Errorf("the statistics of %s have a nil in them", id))
				continue
			case d.Timestamp.IsZero():
				errs = append(errs, fmt.Errorf("the statistics of %s have no time", id))
			}
			for name, v := range d.Stats.Attributes {
				errs = append(errs, validValue(id, name, v))
			}
			errs = append(errs, validValue(id, "the summary", d.Summary))
		}
	}
	return errors.Join(errs...)
}

func validValue(id, name string, v *structs.StatValue) error {
	if v == nil {
		return fmt.Errorf("%s: %s is nil", id, name)
	}
	for _, f := range []*float64{v.FloatNumeratorVal, v.FloatDenominatorVal} {
		if f != nil && !finite(*f) {
			return fmt.Errorf("%s: %s is %v", id, name, *f)
		}
	}
	if v.StringVal != nil {
		if err := text(*v.StringVal); err != nil {
			return fmt.Errorf("%s: %s is %q: %w", id, name, *v.StringVal, err)
		}
	}
	return nil
}

// measured is one statistics message: each device's values by ID.
type measured map[string]*device.DeviceStats

// has reports whether a device was measured at all: it has more than a text
// that says why not.
func (m measured) has(id string) bool {
	d := m[id]
	return d != nil && d.Stats != nil && d.Stats.Attributes["Temperature"] != nil
}

// statistics reads messages at an interval until enough says so. It checks each,
// and that none is missing.
func (s *stand) statistics(interval time.Duration, what string, enough func(measured) bool) measured {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var last measured
	for groups, err := range s.plugin.Stats(ctx, interval) {
		if err != nil {
			s.t.Fatalf("statistics: %v", err)
		}
		if err := validStats(groups); err != nil {
			s.t.Fatal(err)
		}
		last = measured{}
		for _, g := range groups {
			maps.Copy(last, g.InstanceStats)
		}
		if enough(last) {
			return last
		}
	}
	s.t.Fatalf("waited %v for statistics with %s; the last are %v", patience, what, last)
	return nil
}

// measures checks that statistics of the GPUs with these numbers arrive.
func (s *stand) measures(numbers ...int) {
	s.t.Helper()
	s.statistics(500*time.Millisecond, fmt.Sprintf("values for the GPUs %v", numbers), func(m measured) bool {
		for _, n := range numbers {
			if !m.has(s.uuid(n)) {
				return false
			}
		}
		return true
	})
}
