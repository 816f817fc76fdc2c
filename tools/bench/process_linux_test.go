package bench

import (
	"os"
	"testing"
	"time"
)

func TestOwnProcess(t *testing.T) {
	t.Parallel()
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < 20*time.Millisecond; {
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("processor time %v before and %v after work, error %v", before, after, err)
	}
	m, err := memoryOf(os.Getpid())
	if err != nil || m.proportional <= 0 || m.proportional > m.resident || m.threads < 1 {
		t.Errorf("memory %+v, error %v", m, err)
	}
	if _, err := memoryOf(1 << 30); err == nil {
		t.Error("a process that does not exist has memory")
	}
	if _, err := cpuTime(1 << 27); err == nil {
		t.Error("a process that does not exist has used the processor")
	}
}
