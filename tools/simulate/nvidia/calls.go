package nvidia

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// The records of the counters file; the C side is driver/counters.c.
const (
	callNameSize   = 56
	callRecordSize = callNameSize + 8
)

// Calls gives how often each function of the driver was called, by all programs
// together, since the start of the machine or ResetCalls. Functions that were
// never called are not in it. Programs may run meanwhile.
func (m *Machine) Calls() (map[string]uint64, error) {
	data, err := os.ReadFile(filepath.Join(m.Dir(), callsName))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]uint64{}, nil // no program has loaded the driver yet
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the call counters: %w", err)
	}
	calls := make(map[string]uint64)
	for ; len(data) >= callRecordSize; data = data[callRecordSize:] {
		name, _, _ := bytes.Cut(data[:callNameSize], []byte{0})
		if n := binary.NativeEndian.Uint64(data[callNameSize:callRecordSize]); n > 0 {
			calls[string(name)] = n
		}
	}
	return calls, nil
}

// ResetCalls sets all counters to 0. Calls of programs that run meanwhile count
// from there on; one that happens at the same moment may be lost.
func (m *Machine) ResetCalls() (err error) {
	f, err := os.OpenFile(filepath.Join(m.Dir(), callsName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot reset the call counters: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot reset the call counters: %w", err)
	}
	var zero [8]byte
	for at := int64(callNameSize); at+8 <= info.Size(); at += callRecordSize {
		if _, err := f.WriteAt(zero[:], at); err != nil {
			return fmt.Errorf("cannot reset the call counters: %w", err)
		}
	}
	return nil
}
