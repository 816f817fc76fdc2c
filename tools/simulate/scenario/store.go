package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Store is a scenario in a file that several programs read and edit at a time.
// Readers see the text before or after an edit, never half of it. A Store is
// safe for concurrent use, also by other processes.
type Store struct {
	path string
}

// Open names the file of a store. The file need not exist yet; its directory
// must.
func Open(path string) *Store {
	return &Store{path: path}
}

// Read gives the scenario as it is now.
func (s *Store) Read() (*File, error) {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the scenario: %w", err)
	}
	f, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	return f, nil
}

// Edit changes the scenario. A missing file is an empty scenario. When change
// returns an error nothing is written. After a write, and while the store is
// still locked, then is called with the scenario (nil: nothing to do): what has
// to follow the scenario, like a file tree, is never overtaken by another edit.
func (s *Store) Edit(change, then func(*File) error) (err error) {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	f, err := s.Read()
	if errors.Is(err, os.ErrNotExist) {
		f, err = &File{}, nil
	}
	if err != nil {
		return err
	}
	before := f.Bytes()
	if err := change(f); err != nil {
		return err
	}
	if after := f.Bytes(); !bytes.Equal(before, after) {
		if err := writeFile(s.path, after); err != nil {
			return fmt.Errorf("cannot write the scenario: %w", err)
		}
	}
	if then == nil {
		return nil
	}
	return then(f)
}

// lock takes the lock file beside the scenario. The scenario itself cannot
// carry the lock, because each write puts a new file in its place.
func (s *Store) lock() (func() error, error) {
	name := filepath.Join(filepath.Dir(s.path), "."+filepath.Base(s.path)+".lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the scenario: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock the scenario with %s: %w", name, err), f.Close())
	}
	return f.Close, nil
}

func writeFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
