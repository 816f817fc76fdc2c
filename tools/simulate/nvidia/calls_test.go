package nvidia

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "gb10")
	calls, err := m.Calls()
	check(t, err)
	if len(calls) != 0 {
		t.Errorf("calls before a driver was loaded: %v", calls)
	}
	check(t, m.ResetCalls())
	var file []byte
	for i, name := range []string{"nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetName"} {
		record := make([]byte, callRecordSize)
		copy(record, name)
		binary.NativeEndian.PutUint64(record[callNameSize:], uint64(i)*7)
		file = append(file, record...)
	}
	check(t, os.WriteFile(filepath.Join(m.Dir(), callsName), append(file, "torn"...), 0o644))
	calls, err = m.Calls()
	check(t, err)
	if diff := cmp.Diff(map[string]uint64{"nvmlShutdown": 7, "nvmlDeviceGetName": 14}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	check(t, m.ResetCalls())
	calls, err = m.Calls()
	check(t, err)
	if len(calls) != 0 {
		t.Errorf("calls after the reset: %v", calls)
	}
}
