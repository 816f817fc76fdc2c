package top

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Options are how a screen starts.
type Options struct {
	// Sort and Reverse are the order of the devices.
	Sort    Column
	Reverse bool
	// Filter chooses among them: all words of it must be in what is told of a device.
	Filter string
	// Interval is the time between two measurements.
	Interval time.Duration
	// Palette colours the text.
	Palette Palette
	// Holders says that the sources know who holds the devices.
	Holders bool
}

// Screen is what is shown and how. It is not for several goroutines.
type Screen struct {
	options       Options
	width, height int

	reports map[string]Report
	// later are the reports that came while the screen is paused.
	later   map[string]Report
	history map[key]*history

	paused, help bool
	// typing says that keys go into the filter; before is what it was.
	typing bool
	before string
	// top is the first line of the devices that is shown.
	top int
}

// NewScreen returns a screen that knows of no device yet. What sources there are
// to wait for, it is told by their first reports.
func NewScreen(options Options) *Screen {
	return &Screen{
		options: options, width: 80, height: 24,
		reports: map[string]Report{}, later: map[string]Report{}, history: map[key]*history{},
	}
}

// Resize tells the screen its size in cells.
func (s *Screen) Resize(width, height int) { s.width, s.height = width, height }

// Interval returns the time between two measurements that was chosen.
func (s *Screen) Interval() time.Duration { return s.options.Interval }

// Take takes a report. A screen that is paused shows it later.
func (s *Screen) Take(r Report) {
	if s.paused {
		s.later[r.Source] = r
		return
	}
	r.Devices = Fold(r.Devices)
	s.reports[r.Source] = r
	there := map[key]bool{}
	for i := range r.Devices {
		d := &r.Devices[i]
		k := d.key(r.Source)
		there[k] = true
		if s.history[k] == nil {
			s.history[k] = &history{}
		}
		s.history[k].add(d)
	}
	// A source in trouble may have its devices back soon.
	if r.Trouble == "" {
		maps.DeleteFunc(s.history, func(k key, _ *history) bool { return k.source == r.Source && !there[k] })
	}
}

func (s *Screen) resume() {
	s.paused = false
	for _, source := range slices.Sorted(maps.Keys(s.later)) {
		s.Take(s.later[source])
	}
	clear(s.later)
}

// items returns the devices to show, in their order, and how many there are and
// are unhealthy in all.
func (s *Screen) items() (shown []item, all, unhealthy int) {
	for _, source := range slices.Sorted(maps.Keys(s.reports)) {
		for _, d := range s.reports[source].Devices {
			all++
			if !d.Healthy {
				unhealthy++
			}
			if i := (item{d, source}); matches(&i, s.options.Filter) {
				shown = append(shown, i)
			}
		}
	}
	order(shown, s.options.Sort, s.options.Reverse)
	return shown, all, unhealthy
}

// Devices yields the devices that are shown with the names of their sources, in
// their order.
func (s *Screen) Devices() iter.Seq2[string, Device] {
	shown, _, _ := s.items()
	return func(yield func(string, Device) bool) {
		for _, i := range shown {
			if !yield(i.source, i.Device) {
				return
			}
		}
	}
}

// Reports returns the last report of each source, by name.
func (s *Screen) Reports() []Report {
	var all []Report
	for _, source := range slices.Sorted(maps.Keys(s.reports)) {
		all = append(all, s.reports[source])
	}
	return all
}
