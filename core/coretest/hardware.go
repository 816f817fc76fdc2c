// Package coretest provides hardware that tests can change, break and hang while
// a plugin drives it.
package coretest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/nomad-devices/nomad-devices/core"
)

// Hardware is a [core.Vendor] and [core.Watcher] over cards that a test holds in
// its hand. The zero value is a machine without cards. Its methods may be used
// concurrently.
type Hardware struct {
	mu       sync.Mutex
	cards    map[string]*card
	notes    []core.Note
	failure  error
	hang     chan struct{}
	calls    map[string]int
	watchers map[chan core.Event]struct{}
	closed   int
}

// card is what the hardware shows of one card.
type card struct {
	devices []core.Device
	err     error
	hang    chan struct{}
	panics  bool
}

// Device returns a healthy device that names itself.
func Device(id string) core.Device {
	return core.Device{
		ID:    id,
		Group: core.Group{Vendor: "acme", Type: "gpu", Name: "Acme One"},
		Attributes: map[string]core.Value{
			"memory": core.Int(1024, core.MiB),
			"model":  core.String("one"),
		},
	}
}

// Node is the path of the device node that [Hardware.Grant] hands out for a
// device.
func Node(id string) string { return "/dev/acme/" + id }

func (h *Hardware) card(key string) *card {
	if h.cards == nil {
		h.cards = map[string]*card{}
	}
	c := h.cards[key]
	if c == nil {
		c = &card{}
		h.cards[key] = c
	}
	return c
}

// Put makes a card show the devices.
func (h *Hardware) Put(key string, devices ...core.Device) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.card(key)
	c.devices, c.err = devices, nil
}

// Remove takes a card away.
func (h *Hardware) Remove(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.cards, key)
}

// Fail makes every call that concerns a card return the error; nil mends it.
func (h *Hardware) Fail(key string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.card(key).err = err
}

// Panic makes every call that concerns a card panic.
func (h *Hardware) Panic(key string, panics bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.card(key).panics = panics
}

// Hang makes every call that concerns a card hang, deaf to its context, until
// the function that it returns is called.
func (h *Hardware) Hang(key string) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.card(key)
	hang := make(chan struct{})
	c.hang = hang
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if c.hang == hang {
			c.hang = nil
			close(hang)
		}
	}
}

// HangDiscover makes Discover hang until the function that it returns is called.
func (h *Hardware) HangDiscover() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	hang := make(chan struct{})
	h.hang = hang
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hang = nil
		close(hang)
	}
}

// FailDiscover makes Discover return the error; nil mends it.
func (h *Hardware) FailDiscover(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = err
}

// Note makes Discover return the notes.
func (h *Hardware) Note(notes ...core.Note) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes = notes
}

// Tell sends an event to whoever watches, and returns whether anybody does.
func (h *Hardware) Tell(e core.Event) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w <- e
	}
	return len(h.watchers) > 0
}

// Calls returns how often the vendor's method was called: "Discover", "Read
// card", "Measure id", "Grant id", "Watch".
func (h *Hardware) Calls(what string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[what]
}

// Closed returns how often the hardware was given back.
func (h *Hardware) Closed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed
}

func (h *Hardware) count(format string, args ...any) {
	if h.calls == nil {
		h.calls = map[string]int{}
	}
	h.calls[fmt.Sprintf(format, args...)]++
}

// Discover implements [core.Vendor]. It lists the cards in a new order each
// time.
func (h *Hardware) Discover(context.Context) (core.Inventory, error) {
	h.mu.Lock()
	h.count("Discover")
	hang, failure := h.hang, h.failure
	keys := slices.Sorted(maps.Keys(h.cards))
	notes := slices.Clone(h.notes)
	h.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if failure != nil {
		return core.Inventory{}, failure
	}
	inventory := core.Inventory{Notes: notes}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, key := range keys {
		inventory.Probes = append(inventory.Probes, core.Probe{Key: key, Read: func(context.Context) ([]core.Device, error) {
			return h.call("Read "+key, key)
		}})
	}
	return inventory, nil
}

// call counts a call that concerns a card, and lets happen what the test asked
// for.
func (h *Hardware) call(what, key string) ([]core.Device, error) {
	h.mu.Lock()
	h.count("%s", what)
	var c card
	if known := h.cards[key]; known != nil {
		c = *known
	}
	h.mu.Unlock()
	if c.hang != nil {
		<-c.hang
	}
	if c.panics {
		panic("the test asked for it")
	}
	if c.err != nil {
		return nil, c.err
	}
	return slices.Clone(c.devices), nil
}

// cardOf returns the key of the card that shows a device.
func (h *Hardware) cardOf(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, c := range h.cards {
		if slices.ContainsFunc(c.devices, func(d core.Device) bool { return d.ID == id }) {
			return key
		}
	}
	return ""
}

// Measure implements [core.Vendor]: every device has a load and a heat.
func (h *Hardware) Measure(_ context.Context, d core.Device) ([]core.Reading, error) {
	if _, err := h.call("Measure "+d.ID, h.cardOf(d.ID)); err != nil {
		return nil, err
	}
	return []core.Reading{
		{Name: "Load", Value: core.Count(50), Limit: core.Count(100), Unit: "%", Description: "How busy the device is"},
		{Name: "Heat", Value: core.Float(40.5, core.NoUnit), Unit: "C", Description: "How warm the device is"},
	}, nil
}

// Grant implements [core.Vendor]: every device has a node and a variable of its
// own, and adds itself to ACME_VISIBLE_DEVICES.
func (h *Hardware) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count("Grant %s", d.ID)
	return core.Grant{
		Lists: map[string][]string{"ACME_VISIBLE_DEVICES": {d.ID}},
		Nodes: []core.Node{{Path: Node(d.ID), Permissions: "rw"}},
	}, nil
}

// Watch implements [core.Watcher]; see [Hardware.Tell].
func (h *Hardware) Watch(ctx context.Context, _ []core.Device, emit func(core.Event)) error {
	told := make(chan core.Event, 1024)
	h.mu.Lock()
	h.count("Watch")
	if h.watchers == nil {
		h.watchers = map[chan core.Event]struct{}{}
	}
	h.watchers[told] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.watchers, told)
	}()
	for {
		select {
		case e := <-told:
			emit(e)
		case <-ctx.Done():
			return nil
		}
	}
}

// Close implements [core.Closer].
func (h *Hardware) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed++
	return nil
}
