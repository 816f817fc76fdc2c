package soak

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// goroutines ends the plugin, whose streams are closed, and another process that
// had the same streams and nothing else behind it, and returns how many
// goroutines each of them had. From outside they can be seen only so.
func (r *run) goroutines(ctx context.Context) (fresh, soaked int, err error) {
	var log log
	plugin, err := start(ctx, r.options.Plugin, r.machine, log.hear)
	if err != nil {
		return 0, 0, err
	}
	defer plugin.Close()
	for _, err := range plugin.Fingerprints(ctx) {
		if err != nil {
			return 0, 0, err
		}
		break
	}
	for _, err := range plugin.Stats(ctx, time.Second) {
		if err != nil {
			return 0, 0, err
		}
		break
	}
	if fresh, err = counted(ctx, plugin, &log); err != nil {
		return 0, 0, fmt.Errorf("counting a fresh process's goroutines: %w", err)
	}
	if soaked, err = counted(ctx, r.plugin, &r.log); err != nil {
		return 0, 0, fmt.Errorf("counting the goroutines: %w", err)
	}
	return fresh, soaked, nil
}

// counted ends a Go program by SIGQUIT and counts the goroutines that it lists.
func counted(ctx context.Context, plugin *pluginclient.Plugin, log *log) (int, error) {
	// What belonged to the streams ends a moment after them.
	if !pause(ctx, 2*time.Second) {
		return 0, context.Cause(ctx)
	}
	if err := quit(plugin.PID()); err != nil {
		return 0, err
	}
	select {
	case <-plugin.Exited():
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(patience):
		return 0, fmt.Errorf("the plugin has not ended %v after SIGQUIT", patience)
	}
	n := int(log.goroutines.Load())
	if n == 0 {
		return 0, errors.New("the plugin listed none at its end")
	}
	return n, nil
}
