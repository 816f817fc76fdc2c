package nvidia

import (
	"strings"
	"testing"
)

const meminfo = `MemTotal:       125513716 kB
MemFree:          921044 kB
MemAvailable:   98303272 kB
Buffers:          480612 kB
HugePages_Total:       0
`

func TestParseMeminfo(t *testing.T) {
	t.Parallel()
	got, err := parseMeminfo([]byte(meminfo))
	if err != nil {
		t.Fatal(err)
	}
	if want := (systemMemory{125513716 << 10, 98303272 << 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.used() != (125513716-98303272)<<10 {
		t.Errorf("used %d", got.used())
	}
	if (systemMemory{total: 1, available: 2}).used() != 0 {
		t.Error("more available than there is: used must not wrap around")
	}
	for text, says := range map[string]string{
		"":                               "no MemTotal",
		"MemTotal: 5 kB\n":               "no MemAvailable",
		"MemTotal: 5\nMemAvailable: 5":   "no size in kB",
		"MemTotal: -5 kB":                "no size in kB",
		"MemTotal: 18014398509481985 kB": "no size in kB",
	} {
		if _, err := parseMeminfo([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v, want one that says %q", text, err, says)
		}
	}
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add([]byte(meminfo))
	f.Add([]byte("MemTotal: 1 kB\nMemAvailable: 2 kB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMeminfo(data)
		if err != nil && m != (systemMemory{}) {
			t.Error("a value beside an error")
		}
		if m.used() > m.total {
			t.Errorf("used %d of %d", m.used(), m.total)
		}
	})
}
