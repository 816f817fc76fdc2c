package core

import (
	"context"
	"sync"
)

// WatchAll runs several watches side by side, for a [Watcher] with several sources
// of events. It returns when all have returned: when one fails the others' contexts
// end, and the error is that of the first that failed. A watch that returns nil has
// nothing to offer, and ends none of the others.
func WatchAll(ctx context.Context, watches ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var once sync.Once
	var first error
	for _, watch := range watches {
		running.Go(func() {
			if err := watch(ctx); err != nil {
				once.Do(func() { first = err })
				cancel()
			}
		})
	}
	running.Wait()
	return first
}
