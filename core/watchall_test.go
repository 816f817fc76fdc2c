package core_test

import (
	"context"
	"errors"
	"testing"

	"github.com/nomad-devices/nomad-devices/core"
)

func TestWatchAll(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")
	waits := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	nothing := func(context.Context) error { return nil }
	fails := func(context.Context) error { return failure }
	if err := core.WatchAll(t.Context(), waits, nothing, fails); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the one that failed", err)
	}
	if err := core.WatchAll(t.Context(), nothing, nothing); err != nil {
		t.Errorf("with nothing to offer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan struct{})
	go func() {
		<-began
		cancel()
	}()
	err := core.WatchAll(ctx, nothing, func(ctx context.Context) error {
		close(began)
		return waits(ctx)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a source without anything to offer ended the other: %v", err)
	}
}
