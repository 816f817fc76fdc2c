package plugin

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestOrphan: a process without a fingerprint stream ends itself after a minute,
// and never while one is open.
func TestOrphan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exits := 0
		l := newLifetime(hclog.NewNullLogger(), func(int) { exits++ })
		l.watchOrphan()
		time.Sleep(50 * time.Second)
		first, second := l.opened(), l.opened()
		time.Sleep(time.Hour)
		first()
		time.Sleep(time.Hour)
		second()
		time.Sleep(50 * time.Second)
		third := l.opened()
		time.Sleep(time.Hour)
		synctest.Wait()
		if exits != 0 {
			t.Fatal("the process ended while somebody listened")
		}
		third()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if exits != 1 {
			t.Errorf("%d exits a minute after the last stream closed, want one", exits)
		}
	})
}

// TestRestart: a process that only a fresh one can follow ends itself, but never
// so young that this becomes a loop.
func TestRestart(t *testing.T) {
	t.Parallel()
	for age, wait := range map[time.Duration]time.Duration{0: youngest, 4 * time.Second: youngest - 4*time.Second, time.Hour: 0} {
		synctest.Test(t, func(t *testing.T) {
			code := -1
			l := newLifetime(hclog.NewNullLogger(), func(c int) { code = c })
			time.Sleep(age)
			start := time.Now()
			l.restart(errors.New("the driver is another one"))
			if code != 1 || time.Since(start) != wait {
				t.Errorf("at age %v: exit %d after %v, want 1 after %v", age, code, time.Since(start), wait)
			}
		})
	}
}

// TestCrashes: the third early death in a row makes the next process wait, a
// little at first and never more than a minute.
func TestCrashes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	var pauses []time.Duration
	for range 12 {
		pause, _ := newCrashes(dir, "acme", 1).begin(now)
		pauses = append(pauses, pause)
		now = now.Add(pause + time.Second) // and it dies
	}
	for i, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if pauses[i] != want*time.Second {
			t.Errorf("start %d waits %v, want %v", i, pauses[i], want*time.Second)
		}
	}
	if pause, _ := newCrashes(dir, "acme", 2).begin(now); pause != 0 {
		t.Error("the deaths under one agent count against another")
	}
	if pause, _ := newCrashes(dir, "acme", 1).begin(now.Add(time.Hour)); pause != 0 {
		t.Error("deaths count for ever")
	}
	newCrashes(dir, "acme", 1).clean()
	if pause, deaths := newCrashes(dir, "acme", 1).begin(now); pause != 0 || deaths != 0 {
		t.Error("ending in order does not forget")
	}
}

func TestCrashesWithoutAPlaceToRemember(t *testing.T) {
	t.Parallel()
	var none *crashes
	none.clean()
	if pause, _ := none.begin(time.Now()); pause != 0 {
		t.Error("no memory, but a pause")
	}
	// Somebody else's file in the place of the directory.
	dir := t.TempDir()
	c := newCrashes(dir, "acme", 1)
	if err := os.WriteFile(c.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if pause, _ := c.begin(time.Now()); pause != 0 {
			t.Error("no memory, but a pause")
		}
	}
	// A memory that is garbage.
	c = newCrashes(dir, "other", 1)
	if err := c.private(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file, []byte(`["x"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if pause, deaths := c.begin(time.Now()); pause != 0 || deaths != 0 {
		t.Error("garbage counts as deaths")
	}
	if info, err := os.Stat(filepath.Dir(c.file)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is not private: %v %v", info, err)
	}
}
