package soak

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// Often is a message and how often the log held it.
type Often struct {
	Message string
	Times   int
}

// log counts what a plugin logs.
type log struct {
	lines      atomic.Int64
	goroutines atomic.Int64 // that it lists when it ends by SIGQUIT

	mu    sync.Mutex
	times map[string]int // by message
}

func (l *log) hear(line pluginclient.LogLine) {
	l.lines.Add(1)
	if strings.HasPrefix(line.Message, "goroutine ") && strings.HasSuffix(line.Message, ":") {
		l.goroutines.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times == nil {
		l.times = map[string]int{}
	}
	l.times[line.Message]++
}

// often returns the messages that there were most of.
func (l *log) often() []Often {
	const most = 5
	l.mu.Lock()
	defer l.mu.Unlock()
	messages := slices.SortedFunc(maps.Keys(l.times), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.times[b], l.times[a]), cmp.Compare(a, b))
	})
	var all []Often
	for _, m := range messages[:min(len(messages), most)] {
		all = append(all, Often{m, l.times[m]})
	}
	return all
}
