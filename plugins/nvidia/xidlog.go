package nvidia

import (
	"sync"

	"github.com/nomad-devices/nomad-devices/plugins/nvidia/internal/nvml"
)

// xidLog counts the XIDs of a card for its statistics. The goroutine that waits
// for events writes it while others read.
type xidLog struct {
	mu       sync.Mutex
	watching bool
	seen     uint64 // all XIDs of the card
	places   map[instance]xidCount
}

// instance is a part of a card: a GPU instance and a compute instance in it,
// each of which can be nvml.AnyInstance.
type instance struct{ gi, ci uint32 }

// wholeGPU is where an XID belongs that is not of one instance.
var wholeGPU = instance{nvml.AnyInstance, nvml.AnyInstance}

// covers reports whether something that happened at i concerns other.
func (i instance) covers(other instance) bool {
	return (i.gi == nvml.AnyInstance || i.gi == other.gi) && (i.ci == nvml.AnyInstance || i.ci == other.ci)
}

// xidCount is the XIDs of one place.
type xidCount struct {
	count, last uint64
	seen        uint64 // the card's total when last happened
}

// watch says that the card's events are waited for, so that no XID means none.
func (l *xidLog) watch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watching = true
}

func (l *xidLog) add(at instance, code uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.places == nil {
		l.places = make(map[instance]xidCount)
	}
	l.seen++
	c := l.places[at]
	l.places[at] = xidCount{count: c.count + 1, last: code, seen: l.seen}
}

// of returns how many XIDs concerned a part of the card and which was the last.
// known is false if nobody waits for them.
func (l *xidLog) of(part instance) (count, last uint64, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var newest uint64
	for at, c := range l.places {
		if part != wholeGPU && !at.covers(part) {
			continue
		}
		count += c.count
		if c.seen > newest {
			newest, last = c.seen, c.last
		}
	}
	return count, last, l.watching
}
