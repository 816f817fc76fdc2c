package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkCheapStart: a process that is only asked who it is leaves the hardware
// alone.
func checkCheapStart(ctx context.Context, b *bench) error {
	counter, ok := b.options.Hardware.(HardwareWithCalls)
	if !ok {
		return skip("the hardware does not count its calls")
	}
	before, err := counter.Calls()
	if err != nil {
		return err
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	wait(ctx, b.options.Watch/3)
	i.close()
	now, err := counter.Calls()
	if err != nil {
		return err
	}
	if now != before {
		return (&problems{}).with("%d calls into the driver before any stream was opened", now-before)
	}
	return nil
}

// checkReadings: what the hardware measures is no attribute.
func checkReadings(ctx context.Context, b *bench) error {
	vary, ok := b.options.Hardware.(HardwareWithReadings)
	if !ok {
		return skip("the hardware's readings cannot be changed")
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	t := i.fingerprint()
	defer t.stop()
	if _, err := b.settledLike(ctx, t); err != nil {
		return err
	}
	for step := range 3 {
		if err := vary.Vary(step); err != nil {
			return err
		}
		wait(ctx, max(b.options.Watch/3, b.promptly))
	}
	moments, end := t.played()
	if err := b.trouble(i, end, "C17"); err != nil {
		return err
	}
	return judgeVolatile(moments)
}

// checkRelaunch: a plugin that crashed on broken hardware is configured and
// answers like any other.
func checkRelaunch(ctx context.Context, b *bench) error {
	if err := b.options.Hardware.BreakAll(Fail); err != nil {
		return skip("the hardware cannot be broken in this way: %v", err)
	}
	defer func() { _ = b.options.Hardware.Repair() }()
	var p problems
	for n := range 3 {
		i, err := b.launch(ctx)
		if err != nil {
			return p.with("launch %d: %w", n+1, err)
		}
		if err := b.configure(ctx, i); err != nil {
			return p.with("launch %d: SetConfig: %w", n+1, err)
		}
		t := i.fingerprint()
		t.until(ctx, b.answer, some)
		moments, end := t.played()
		i.crash()
		t.stop()
		if err := judgeFirst(b, i, moments, end); err != nil {
			return fmt.Errorf("launch %d: %w", n+1, err)
		}
	}
	return nil
}

// checkEveryFault: no fault that the hardware can have does more than it must.
func checkEveryFault(ctx context.Context, b *bench) error {
	more, ok := b.options.Hardware.(HardwareWithFaults)
	if !ok {
		return skip("the hardware has no faults of its own")
	}
	var p problems
	for _, fault := range more.Faults() {
		r, err := b.trials.get(ctx, b, trial{fault: fault})
		if _, ok := errors.AsType[skipped](err); ok {
			continue
		}
		if err != nil {
			return fmt.Errorf("the fault %s: %w", fault, err)
		}
		for _, end := range r.endings() {
			p.add("when %v: %v", r.trial, end)
		}
		for _, id := range r.others {
			if _, d := find(r.during, id); d == nil || !d.Healthy {
				p.add("when %v the device %s, which is on another, is gone or unhealthy", r.trial, id)
			}
		}
	}
	return p.err()
}

// mostFlaps is how many messages hardware that comes and goes may cause.
const mostFlaps = 20

// checkFlapping: hardware that comes and goes does not make a message each time.
func checkFlapping(ctx context.Context, b *bench) error {
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	t := i.fingerprint()
	defer t.stop()
	groups, err := b.settledLike(ctx, t)
	if err != nil {
		return err
	}
	victim := healthyOf(groups)
	if len(victim) == 0 {
		return skip("no device is healthy")
	}
	before, _ := t.played()
	defer func() { _ = b.options.Hardware.Repair() }()
	for end := time.Now().Add(longWatch * b.options.Watch); time.Now().Before(end) && ctx.Err() == nil; {
		if _, err := b.options.Hardware.Break(victim[0], Remove); err != nil {
			return skip("the hardware cannot be broken in this way: %v", err)
		}
		wait(ctx, 50*time.Millisecond)
		if err := b.options.Hardware.Repair(); err != nil {
			return err
		}
		wait(ctx, 50*time.Millisecond)
	}
	moments, end := t.played()
	if err := b.trouble(i, end, "C17"); err != nil {
		return err
	}
	sent := len(moments) - len(before)
	b.note("%d messages", sent)
	if sent > mostFlaps {
		return (&problems{}).with("%d messages while a device came and went for %v; want at most %d", sent, longWatch*b.options.Watch, mostFlaps)
	}
	return nil
}
