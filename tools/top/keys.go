package top

import (
	"slices"
	"time"
)

// Action is what a key asks of the program around the screen.
type Action int

// The actions.
const (
	// Nothing is left to do.
	Nothing Action = iota
	// Quit ends the view.
	Quit
	// Suspend gives the terminal back for a while.
	Suspend
	// ChangeInterval makes [Screen.Interval] hold.
	ChangeInterval
)

// intervals are what "+" and "-" choose among.
var intervals = []time.Duration{
	200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// keyHelp is the help's text.
var keyHelp = [][2]string{
	{"s  right", "sort by the next column"},
	{"S  left", "sort by the column before"},
	{"r", "reverse the order"},
	{"/", "filter: devices with all the words typed, in any case; enter keeps it, esc drops it"},
	{"esc", "drop the filter"},
	{"p  space", "pause, and go on"},
	{"+  -", "measure more or less often"},
	{"up  down", "scroll; also k and j, page up and page down, home and end"},
	{"?  h", "this help, and back"},
	{"q  ctrl+c", "quit"},
}

// Press takes a key: its name, such as "q" or "ctrl+c", and the text that it
// types, if any.
func (s *Screen) Press(name, text string) Action {
	if name == "ctrl+c" {
		return Quit
	}
	if name == "ctrl+z" {
		return Suspend
	}
	if s.typing {
		s.typed(name, text)
		return Nothing
	}
	switch name {
	case "q":
		return Quit
	case "?", "h":
		s.help = !s.help
	case "esc":
		if !s.help {
			s.options.Filter = ""
		}
		s.help = false
	case "s", "right":
		s.sortBy(s.options.Sort + 1)
	case "S", "left":
		s.sortBy(s.options.Sort - 1)
	case "r":
		s.options.Reverse = !s.options.Reverse
	case "/":
		s.typing, s.before, s.help = true, s.options.Filter, false
	case "p", "space":
		if s.paused {
			s.resume()
		} else {
			s.paused = true
		}
	case "+", "=":
		return s.pace(-1)
	case "-":
		return s.pace(1)
	default:
		s.scroll(name)
	}
	return Nothing
}

// typed takes a key while the filter is typed.
func (s *Screen) typed(name, text string) {
	filter := []rune(s.options.Filter)
	switch name {
	case "enter":
		s.typing = false
	case "esc":
		s.typing, s.options.Filter = false, s.before
	case "backspace":
		s.options.Filter = string(filter[:max(len(filter)-1, 0)])
	case "ctrl+u":
		s.options.Filter = ""
	default:
		s.options.Filter += text
	}
	s.top = 0
}

// sortBy sorts by the column, going round at the ends. A column that is not
// there is passed over.
func (s *Screen) sortBy(c Column) {
	there := columns
	if !s.options.Holders {
		there = ByHolder
	}
	s.options.Sort = (c + there) % there
	s.top = 0
}

// pace goes to the next interval, shorter or longer, if there is one.
func (s *Screen) pace(by int) Action {
	at, exact := slices.BinarySearch(intervals, s.options.Interval)
	if by > 0 && !exact {
		by = 0 // the one found is the next longer one
	}
	if at+by < 0 || at+by >= len(intervals) {
		return Nothing
	}
	s.options.Interval = intervals[at+by]
	return ChangeInterval
}

// scroll moves the devices. How far they can be moved is known when they are
// drawn.
func (s *Screen) scroll(name string) {
	page := max(s.height-5, 1)
	switch name {
	case "up", "k":
		s.top--
	case "down", "j":
		s.top++
	case "pgup":
		s.top -= page
	case "pgdown":
		s.top += page
	case "home":
		s.top = 0
	case "end":
		s.top = 1 << 30
	}
	s.top = max(s.top, 0)
}
