package soak

import (
	"os"
	"testing"
)

func TestUsageOf(t *testing.T) {
	t.Parallel()
	u, err := UsageOf(os.Getpid())
	if err != nil || u.Memory < 1<<20 || u.Threads < 1 || u.Files < 3 {
		t.Errorf("this process holds %v, %v", u, err)
	}
	if u, err := UsageOf(1 << 30); err == nil {
		t.Errorf("a process that is not there holds %v", u)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Name:\tx\nVmRSS:\t  12 kB\nThreads:\t3\n")
	f.Add("VmRSS: -1 kB\nThreads:\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseStatus(text)
		if err == nil && (u.Memory <= 0 || u.Threads <= 0) {
			t.Errorf("%q is %v", text, u)
		}
	})
}
