package conformance

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/plugins/device"
)

// tape records a stream.
type tape[M any] struct {
	opened time.Time
	rule   string // that the plugin breaks when it ends the stream
	cancel context.CancelFunc
	reader sync.WaitGroup

	mu      sync.Mutex
	moments []moment[M]
	end     *ending       // nil while the stream is open
	changed chan struct{} // closed when something was recorded
	frozen  bool
}

// moment is a message and when it came, counted from the stream's opening.
type moment[M any] struct {
	at      time.Duration
	message M
}

// ending is how the plugin ended a stream: with an error or in order.
type ending struct {
	rule string
	at   time.Duration
	err  error // nil: in order
}

func (e *ending) String() string {
	if e.err == nil {
		return "the plugin closed the stream " + after(e.at)
	}
	return "the stream ended with an error " + after(e.at) + ": " + e.err.Error()
}

func after(d time.Duration) string { return "after " + round(d).String() }

// round leaves of a duration what people want to know.
func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

// record opens a stream and reads it until [tape.stop].
func record[M any](rule string, open func(context.Context) (<-chan M, error), errorOf func(M) error) *tape[M] {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tape[M]{opened: time.Now(), rule: rule, cancel: cancel, changed: make(chan struct{})}
	t.reader.Go(func() {
		messages, err := open(ctx)
		if err != nil {
			t.ended(ctx, err)
			return
		}
		// Nomad's client sends its last message without looking whether
		// somebody listens, so the channel is read to its end.
		for m := range messages {
			if err := errorOf(m); err != nil {
				t.ended(ctx, err)
				continue
			}
			t.add(m)
		}
		t.ended(ctx, nil)
	})
	return t
}

func (t *tape[M]) add(m M) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.frozen {
		t.moments = append(t.moments, moment[M]{time.Since(t.opened), m})
		t.tell()
	}
}

// tell wakes those who wait. The lock must be held.
func (t *tape[M]) tell() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// ended notes the first end of the stream that was not asked for.
func (t *tape[M]) ended(ctx context.Context, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil && ctx.Err() == nil && !t.frozen {
		t.end = &ending{t.rule, time.Since(t.opened), plainError(err)}
		t.tell()
	}
}

// freeze ends the recording: what happens later is not the plugin's doing.
func (t *tape[M]) freeze() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.frozen = true
}

// stop cancels the stream and waits for its end.
func (t *tape[M]) stop() {
	t.cancel()
	t.reader.Wait()
}

// played returns what was recorded so far.
func (t *tape[M]) played() ([]moment[M], *ending) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clip(t.moments), t.end
}

// last returns the newest message.
func (t *tape[M]) last() (m moment[M], ok bool) {
	moments, _ := t.played()
	if len(moments) == 0 {
		return m, false
	}
	return moments[len(moments)-1], true
}

// until waits until enough is recorded, the stream ends, or the time is over.
// It returns whether it was enough.
func (t *tape[M]) until(ctx context.Context, limit time.Duration, enough func([]moment[M]) bool) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		moments, end := t.played()
		if enough(moments) {
			return true
		}
		if end != nil {
			return false
		}
		select {
		case <-changed:
		case <-timeout.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

type (
	fingerprintTape = tape[*device.FingerprintResponse]
	statsTape       = tape[*device.StatsResponse]
)

func (i *instance) fingerprint() *fingerprintTape {
	return record("C13", i.Fingerprint, func(m *device.FingerprintResponse) error { return m.Error })
}

func (i *instance) stats(interval time.Duration) *statsTape {
	return record("C59", func(ctx context.Context) (<-chan *device.StatsResponse, error) {
		return i.Stats(ctx, interval)
	}, func(m *device.StatsResponse) error { return m.Error })
}

// some returns whether there is at least one message.
func some[M any](moments []moment[M]) bool { return len(moments) > 0 }

// withDevices returns whether the newest message shows a device.
func withDevices(moments []moment[*device.FingerprintResponse]) bool {
	return len(moments) > 0 && len(idsOf(moments[len(moments)-1].message.Devices)) > 0
}
