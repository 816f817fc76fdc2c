package reservation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/coretest"
	"github.com/nomad-devices/nomad-devices/core/guard"
	"github.com/nomad-devices/nomad-devices/core/reservation"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// preparing is hardware that is prepared as the test says.
type preparing struct {
	*coretest.Hardware
	timeout time.Duration
	prepare func(ctx context.Context, id string) error

	mu    sync.Mutex
	calls []string // "prepare a", "grant a", in order
}

func (p *preparing) note(what, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, what+" "+id)
}

// Preparation implements [core.Preparer]: the device "plain" needs none.
func (p *preparing) Preparation(d core.Device) time.Duration {
	if d.ID == "plain" {
		return 0
	}
	return p.timeout
}

func (p *preparing) Prepare(ctx context.Context, d core.Device) error {
	p.note("prepare", d.ID)
	return p.prepare(ctx, d.ID)
}

func (p *preparing) Grant(_ context.Context, d core.Device) (core.Grant, error) {
	p.note("grant", d.ID)
	return core.Grant{}, nil
}

// told gathers events.
type told struct {
	mu     sync.Mutex
	events []string
}

func (t *told) tell(e core.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.Join(e.Devices, ",")
	if e.Fault != nil {
		text += fmt.Sprintf(": %s, %s: %s", e.Fault.Code, e.Fault.Severity, e.Fault.Reason)
	}
	if !e.Look {
		text += ", no look"
	}
	t.events = append(t.events, text)
	slices.Sort(t.events)
}

// board is two cards: "x" with the devices a and b, "y" with the device c and
// the device plain.
func board() *coretest.Hardware {
	h := &coretest.Hardware{}
	h.Put("x", coretest.Device("a"), coretest.Device("b"))
	h.Put("y", coretest.Device("c"), coretest.Device("plain"))
	return h
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	broken := &core.Fault{Code: "no-image", Severity: core.Soft, Reason: "there is no image"}
	for name, test := range map[string]struct {
		ids    []string
		errs   map[string]error
		calls  []string // sorted
		events []string
		says   []string // in the error; none if there is none
	}{
		"nothing to prepare": {ids: []string{"plain"}, calls: []string{"grant plain"}},
		"all": {
			ids:    []string{"c", "b", "a", "plain"},
			calls:  []string{"grant a", "grant b", "grant c", "grant plain", "prepare a", "prepare b", "prepare c"},
			events: []string{"a", "b", "c"},
		},
		"an error": {
			ids: []string{"a", "b", "c"}, errs: map[string]error{"a": errors.New("the card is warm")},
			calls:  []string{"prepare a", "prepare c"}, // b is on the same card
			events: []string{"a: prepare-failed, hard: it could not be made ready for a task: the card is warm", "c"},
			says:   []string{"device a could not be made ready", "the card is warm"},
		},
		"a fault": {
			ids: []string{"b", "c"}, errs: map[string]error{"b": fmt.Errorf("board: %w", broken)},
			calls:  []string{"prepare b", "prepare c"},
			events: []string{"b: no-image, soft: there is no image", "c"},
			says:   []string{"device b", "there is no image"},
		},
		"an unhealthy or unknown device": {ids: []string{"a", "nobody"}, says: []string{`"nobody" is not known`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := board()
			vendor := &preparing{Hardware: h, timeout: time.Minute, prepare: func(_ context.Context, id string) error { return test.errs[id] }}
			var heard told
			_, err := reservation.Assemble(t.Context(), vendor, snapshot(t, h), test.ids, reservation.Options{
				Host: sysfs.New(t.TempDir()), Calls: guard.NewGroup(nil), Timeout: time.Second, Tell: heard.tell,
			})
			if (err != nil) != (test.says != nil) {
				t.Errorf("error %v", err)
			}
			for _, want := range test.says {
				if !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if grant := slices.IndexFunc(vendor.calls, func(c string) bool { return strings.HasPrefix(c, "grant") }); grant >= 0 {
				for _, late := range vendor.calls[grant:] {
					if strings.HasPrefix(late, "prepare") {
						t.Errorf("%q came after a grant: %q", late, vendor.calls)
					}
				}
			}
			slices.Sort(vendor.calls)
			if diff := cmp.Diff(test.calls, vendor.calls); diff != "" {
				t.Errorf("calls, -want +got\n%s", diff)
			}
			if diff := cmp.Diff(test.events, heard.events); diff != "" {
				t.Errorf("events, -want +got\n%s", diff)
			}
		})
	}
}

// Of one card, one device is prepared at a time, whoever asks; a preparation
// that hangs costs its own card, and the card can be looked at meanwhile.
func TestPrepareTakesTurnsAndMayHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := board()
		release := make(chan struct{})
		var mu sync.Mutex
		running := map[string]int{}
		vendor := &preparing{Hardware: h, timeout: 10 * time.Second, prepare: func(_ context.Context, id string) error {
			card := "x"
			if id == "c" {
				card = "y"
			}
			mu.Lock()
			if running[card]++; running[card] > 1 {
				t.Errorf("%s is prepared while another device of its card is", id)
			}
			mu.Unlock()
			if id == "b" {
				<-release
			} else {
				time.Sleep(time.Second)
			}
			mu.Lock()
			running[card]--
			mu.Unlock()
			return nil
		}}
		s := snapshot(t, h)
		var heard told
		options := reservation.Options{Host: sysfs.New(t.TempDir()), Calls: guard.NewGroup(nil), Timeout: time.Second, Tell: heard.tell}
		if got := reservation.Preparation(vendor, s, []string{"a", "b", "c", "plain", "nobody"}); got != 20*time.Second {
			t.Errorf("the preparation can take %v, want 20s for two devices of one card", got)
		}
		start := time.Now()
		var wait sync.WaitGroup
		for _, ids := range [][]string{{"a", "c"}, {"a"}, {"c"}} {
			wait.Go(func() {
				if _, err := reservation.Assemble(t.Context(), vendor, s, ids, options); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("two turns of a second on each card took %v", took)
		}
		_, err := reservation.Assemble(t.Context(), vendor, s, []string{"b"}, options)
		if !errors.Is(err, guard.ErrHung) {
			t.Errorf("a preparation that hangs: %v", err)
		}
		if !slices.ContainsFunc(heard.events, func(e string) bool { return strings.HasPrefix(e, "b: prepare-failed, hard") }) {
			t.Errorf("events %q", heard.events)
		}
		if _, err := reservation.Assemble(t.Context(), vendor, s, []string{"a"}, options); !errors.Is(err, guard.ErrHung) {
			t.Errorf("the next device of that card: %v", err)
		}
		close(release)
		synctest.Wait()
		if _, err := reservation.Assemble(t.Context(), vendor, s, []string{"a"}, options); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	})
}
