package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

func TestStoreEditsOneAfterAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "scenario")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			store := Open(path) // as another program would
			for range 20 {
				err := store.Edit(func(f *File) error {
					text, _ := f.Get("n")
					n, _ := strconv.Atoi(text)
					return f.Set("n", strconv.Itoa(n+1))
				}, nil)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	f, err := Open(path).Read()
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := f.Get("n"); n != "160" {
		t.Errorf("160 edits counted to %s", n)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 { // the scenario and its lock
		t.Errorf("files left: %v", entries)
	}
}

func TestStoreFailedEditChangesNothing(t *testing.T) {
	t.Parallel()
	store := Open(filepath.Join(t.TempDir(), "scenario"))
	if _, err := store.Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Read of a missing scenario: %v", err)
	}
	if err := store.Edit(func(f *File) error { return f.Set("a", "1") }, nil); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	followed := false
	err := store.Edit(func(f *File) error {
		f.Unset("a")
		return refused
	}, func(*File) error {
		followed = true
		return nil
	})
	if !errors.Is(err, refused) || followed {
		t.Errorf("Edit = %v, followed = %t", err, followed)
	}
	f, err := store.Read()
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := f.Get("a"); a != "1" {
		t.Errorf("a = %q after a refused edit, want 1", a)
	}
}
