package conformance

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// someStreams is how many streams are opened before the counting begins.
	someStreams = 5
	// manyStreams is how many are opened then; each should leave nothing.
	manyStreams = 100
	// spare is by how much a plugin may grow over that.
	spare = manyStreams / 5
	// spareMemory is by how much its memory may grow, in KiB.
	spareMemory = 48 << 10
)

// churn opens and cancels streams of both kinds.
func (i *instance) churn(ctx context.Context, interval time.Duration, n int) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	slots := make(chan struct{}, sideBySide)
	var running sync.WaitGroup
	for k := range n {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			if k%2 == 0 {
				t := i.fingerprint()
				t.until(ctx, i.limits.promptly, some)
				t.stop()
			} else {
				t := i.stats(interval)
				t.until(ctx, i.limits.promptly, some)
				t.stop()
			}
		})
	}
	running.Wait()
}

// checkStreamsLeaveNothing: what a stream held is free when the stream has
// ended.
func checkStreamsLeaveNothing(ctx context.Context, b *bench) error {
	if err := b.session.steady(); err != nil {
		return err
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	held := i.fingerprint() // so that the plugin keeps looking
	defer held.stop()
	held.until(ctx, b.settle, some)
	i.churn(ctx, b.session.interval, someStreams)
	if i.goroutines != nil {
		return judgeGoroutines(ctx, b, i)
	}
	return judgeProcess(ctx, b, i)
}

// judgeGoroutines counts the goroutines of a plugin in this process.
func judgeGoroutines(ctx context.Context, b *bench, i *instance) error {
	before, _ := i.goroutines()
	i.churn(ctx, b.session.interval, manyStreams)
	now, where := i.goroutines()
	for deadline := time.Now().Add(2 * time.Second); now > before+spare && time.Now().Before(deadline); now, where = i.goroutines() {
		wait(ctx, 50*time.Millisecond)
	}
	if err := b.trouble(i, nil, "C25"); err != nil {
		return err
	}
	b.note("%d goroutines before %d streams, %d after", before, manyStreams, now)
	if now > before+spare {
		return (&problems{}).with("%d goroutines before %d streams and %d after; most are in %s", before, manyStreams, now, where)
	}
	return nil
}

// judgeProcess looks at what the plugin's process holds.
func judgeProcess(ctx context.Context, b *bench, i *instance) error {
	before, err := resourcesOf(i.process.pid())
	if err != nil {
		return skip("what the process holds cannot be read: %v", err)
	}
	i.churn(ctx, b.session.interval, manyStreams)
	var p problems
	now, err := resourcesOf(i.process.pid())
	for deadline := time.Now().Add(2 * time.Second); err == nil && (now.files > before.files+spare || now.threads > before.threads+spare) && time.Now().Before(deadline); {
		wait(ctx, 100*time.Millisecond)
		now, err = resourcesOf(i.process.pid())
	}
	if trouble := b.trouble(i, nil, "C25"); trouble != nil {
		return trouble
	}
	if err != nil {
		return skip("what the process holds cannot be read: %v", err)
	}
	if now.files > before.files+spare {
		p.add("%d open files before %d streams and %d after", before.files, manyStreams, now.files)
	}
	if now.threads > before.threads+spare {
		p.add("%d threads before %d streams and %d after", before.threads, manyStreams, now.threads)
	}
	if now.memory > before.memory+spareMemory {
		p.add("%d KiB of memory before %d streams and %d KiB after", before.memory, manyStreams, now.memory)
	}
	fresh, err := b.started(ctx)
	if err != nil {
		return err
	}
	held := fresh.fingerprint()
	held.until(ctx, b.settle, some)
	fresh.churn(ctx, b.session.interval, someStreams)
	few, _ := fresh.goroutinesAtEnd()
	held.stop()
	many, where := i.goroutinesAtEnd()
	if few > 0 && many > few+spare {
		p.add("%d goroutines after %d streams and %d after %d; most are in %s", few, someStreams, many, someStreams+manyStreams, where)
	}
	b.note("after %d streams: %d open files, %d threads, %d KiB, %d goroutines", manyStreams, now.files, now.threads, now.memory, many)
	return p.err()
}

// goroutinesAtEnd ends a Go program by SIGQUIT, at which it lists its
// goroutines, and returns how many there were and where most of them were. It
// returns 0 for a program that lists none.
func (i *instance) goroutinesAtEnd() (count int, where string) {
	i.ends()
	if i.process.signal(syscall.SIGQUIT) != nil || !i.process.ended(5*time.Second) {
		return 0, ""
	}
	_, dump, found := strings.Cut(i.process.stderr.String(), "SIGQUIT")
	if !found {
		return 0, ""
	}
	places := map[string]int{}
	lines := strings.Split(dump, "\n")
	for n, line := range lines {
		if !strings.HasPrefix(line, "goroutine ") || !strings.HasSuffix(line, ":") {
			continue
		}
		count++
		if n+1 < len(lines) {
			place, _, _ := strings.Cut(lines[n+1], "(0x")
			places[place]++
		}
	}
	for place, n := range places {
		if n > places[where] {
			where = place
		}
	}
	return count, where
}

// checkStreamsApart: of several streams each ends alone.
func checkStreamsApart(ctx context.Context, b *bench) error {
	if err := b.session.steady(); err != nil {
		return err
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	const many = 5
	var fingerprints []*fingerprintTape
	var statistics []*statsTape
	for range many {
		fingerprints = append(fingerprints, i.fingerprint())
		statistics = append(statistics, i.stats(b.session.interval))
	}
	defer func() {
		for n := range many {
			fingerprints[n].stop()
			statistics[n].stop()
		}
	}()
	var p problems
	for n := range many {
		if !fingerprints[n].until(ctx, b.settle, some) {
			_, end := fingerprints[n].played()
			if err := b.trouble(i, end, ""); err != nil {
				return err
			}
			p.add("of %d fingerprint streams at once, number %d got no message", many, n+1)
		}
		if !statistics[n].until(ctx, b.settle, some) {
			_, end := statistics[n].played()
			if err := b.trouble(i, end, ""); err != nil {
				return err
			}
			p.add("of %d statistics streams at once, number %d got no message", many, n+1)
		}
	}
	if len(p) > 0 {
		return p.err()
	}
	fingerprints[0].stop()
	statistics[0].stop()
	wait(ctx, 2*b.session.interval)
	for n := 1; n < many; n++ {
		if _, end := fingerprints[n].played(); end != nil {
			if err := b.trouble(i, end, "C13"); err != nil {
				return err
			}
			p.add("when one fingerprint stream was cancelled, another ended: %v", end)
		}
		if _, end := statistics[n].played(); end != nil {
			p.add("when one statistics stream was cancelled, another ended: %v", end)
		}
	}
	return p.err()
}
