package uevent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nomad-devices/nomad-devices/core"
)

const (
	// quiet is how long nothing must happen for a burst of events to be over. A
	// driver that binds tells of one device after the other for some seconds.
	quiet = 500 * time.Millisecond
	// longest is how long a burst can put off the next look.
	longest = 5 * time.Second
)

// Watch makes looks of the uevents that are relevant, for a vendor's
// [core.Watcher]: one at once when it begins and at the first event after some
// peace, and one when a burst of events is over, or goes on for long. relevant is
// not asked about events that were lost, and is called on one goroutine.
//
// It returns nil if this host has no uevents to offer, so that looking goes on by
// period alone. Else it goes on until ctx ends or reading fails.
func Watch(ctx context.Context, relevant func(Event) bool, emit func(core.Event)) error {
	return watch(ctx, Listen, relevant, emit)
}

func watch(ctx context.Context, listen func(context.Context, func(Event)) error, relevant func(Event) bool, emit func(core.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := make(chan struct{}, 1)
	var looking sync.WaitGroup
	looking.Go(func() { look(ctx, heard, func() { emit(core.Event{Look: true}) }) })
	defer looking.Wait()
	defer cancel()
	err := listen(ctx, func(e Event) {
		if !e.Lost && !relevant(e) {
			return
		}
		select {
		case heard <- struct{}{}:
		default: // one that was not noticed yet stands for both
		}
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// look calls act for what is heard: at once after some peace, and again when a
// burst is over.
func look(ctx context.Context, heard <-chan struct{}, act func()) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-heard:
		}
		act()
		for burst(ctx, heard) {
			act()
		}
	}
}

// burst waits for the end of a burst, or for as long as it may put off a look. It
// reports whether anything was heard meanwhile.
func burst(ctx context.Context, heard <-chan struct{}) (more bool) {
	begun := time.Now()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-heard:
			more = true
			timer.Reset(min(quiet, longest-time.Since(begun)))
		case <-timer.C:
			return more
		}
	}
}
