// Package guard makes calls that may never return.
//
// A driver call has no context: if the hardware hangs, the call hangs with it,
// and so does whoever waits for it. A [Group] gives each card a lane. A call
// runs on its lane on a goroutine of its own under a deadline; when it outlives
// the deadline the caller goes on, and the lane stays taken until the call
// returns. Nobody else is sent after it, so a hung card costs one goroutine and
// one thread, however long it hangs.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// ErrHung says that a call did not return before its deadline. It may still be
// running.
var ErrHung = errors.New("the driver does not answer")

// PanicError says that a call panicked. The panic was caught.
type PanicError struct {
	// Value is what was passed to panic.
	Value any
	// Stack is the stack of the panic.
	Stack []byte
}

// Error returns the value of the panic in one line.
func (e *PanicError) Error() string { return fmt.Sprintf("the driver call panicked: %v", e.Value) }

// Group makes calls on named lanes. Its methods may be used concurrently.
type Group struct {
	// released is called, without a lock held, with the lane of a call that
	// returned after its deadline.
	released func(lane string)

	mu    sync.Mutex
	lanes map[string]*lane
}

// lane is taken by the one call that runs on it.
type lane struct {
	free     chan struct{} // closed when the call has returned
	deadline time.Time
}

// hung returns whether the call on the lane is past its deadline.
func (l *lane) hung() bool { return !time.Now().Before(l.deadline) }

// NewGroup returns a Group. released, if not nil, is told the lane of each call
// that returns after its deadline, so that somebody can look again.
func NewGroup(released func(lane string)) *Group {
	return &Group{released: released, lanes: map[string]*lane{}}
}

// Hung returns whether a call on the lane is past its deadline.
func (g *Group) Hung(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.lanes[name]
	return l != nil && l.hung()
}

// AnyRunning returns whether any call is running, hung or not.
func (g *Group) AnyRunning() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.lanes) > 0
}

// Pending returns how many calls are running, and how many of these are past
// their deadline.
func (g *Group) Pending() (running, hung int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lanes {
		if l.hung() {
			hung++
		}
	}
	return len(g.lanes), hung
}

// Call runs call on a lane of g and waits for it, at most for timeout. While
// another call is on the lane it waits for its turn, within the same timeout;
// if that other call hangs already it does not wait at all.
//
// The error is the call's own, a [*PanicError], the cause of ctx, or one that
// wraps [ErrHung]. The context that call gets ends with the timeout; a call that
// can look at it should.
func Call[T any](ctx context.Context, g *Group, name string, timeout time.Duration, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrHung)
	var zero T
	l, err := g.take(ctx, name, timeout)
	if err != nil {
		cancel()
		return zero, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = &PanicError{Value: p, Stack: debug.Stack()}
			}
			g.give(name, l)
			done <- r
		}()
		r.value, r.err = call(ctx)
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select { // the call may have looked at its context and returned with it
	case r := <-done:
		return r.value, r.err
	default:
	}
	return zero, context.Cause(ctx)
}

// take waits until the lane is free and takes it.
func (g *Group) take(ctx context.Context, name string, timeout time.Duration) (*lane, error) {
	for {
		g.mu.Lock()
		busy := g.lanes[name]
		if busy == nil {
			l := &lane{free: make(chan struct{}), deadline: time.Now().Add(timeout)}
			g.lanes[name] = l
			g.mu.Unlock()
			return l, nil
		}
		g.mu.Unlock()
		if busy.hung() {
			return nil, fmt.Errorf("an earlier call has not returned: %w", ErrHung)
		}
		overdue := time.NewTimer(time.Until(busy.deadline))
		select {
		case <-busy.free:
		case <-overdue.C:
		case <-ctx.Done():
		}
		overdue.Stop()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// give frees the lane and tells of a call that came back late.
func (g *Group) give(name string, l *lane) {
	g.mu.Lock()
	delete(g.lanes, name)
	g.mu.Unlock()
	close(l.free)
	if l.hung() && g.released != nil {
		g.released(name)
	}
}
