package amd

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

func TestParseErrorCounts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]errorCounts{
		"ue: 1\nce: 2\n":             {uncorrected: 1, corrected: 2, hasCorrected: true},
		"ue: 1\nce: 2\nde: 3\n":      {1, 2, 3, true, true},
		"ue:7":                       {uncorrected: 7},
		"ce: x\nue: 1\nother: 5\n":   {uncorrected: 1},
		"ue: 281474976710655\nce: 1": {uncorrected: 1<<48 - 1, corrected: 1, hasCorrected: true},
	} {
		if got, err := parseErrorCounts([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"": sysfs.ErrMalformed, "ce: 1\n": sysfs.ErrMalformed, "ue: -1\n": sysfs.ErrMalformed, "ue: 18446744073709551615\n": sysfs.ErrMalformed,
		"Query currently inaccessible\n": errInReset,
	} {
		if got, err := parseErrorCounts([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %+v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseBadPages(t *testing.T) {
	t.Parallel()
	const list = "0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : P\n0x00000003 : 0x00001000 : F\n"
	for text, want := range map[string]badPages{
		"": {}, "\n": {}, list: {1, 1, 1}, list + "0x0000": {1, 1, 1}, "x\n" + list + list: {2, 2, 2},
	} {
		if got, err := parseBadPages([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"what?", "0x1 : 0x1000 : Q\n", strings.Repeat("x", maxBadPages)} {
		if got, err := parseBadPages([]byte(text)); !errors.Is(err, sysfs.ErrMalformed) {
			t.Errorf("%.20q: %+v, %v", text, got, err)
		}
	}
}

func TestParseAER(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"Undefined 0\nTLP 3\nTOTAL_ERR_FATAL 3\n": 3, "TOTAL_ERR_COR 0": 0, "TOTAL_ERR_NONFATAL  7\n": 7,
	} {
		if got, err := parseAER([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "TLP 3\n", "TOTAL_ERR_FATAL\n", "TOTAL_ERR_FATAL -1\n", "TOTAL_ERR_FATAL 99999999999999999999\n"} {
		if got, err := parseAER([]byte(text)); !errors.Is(err, sysfs.ErrMalformed) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestParseLevels(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0: 500Mhz\n1: 2100Mhz *\n": 2100, "S: 19Mhz *\n0: 615Mhz\n1: 800Mhz\n": 800, "0: 1200 MHz": 1200, "x\n0: 3Mhz": 3,
	} {
		if got, err := parseLevels([]byte(text)); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0: 0Mhz\n", "0: 500\n", "0: -5Mhz\n", "0: 99999999999Mhz\n"} {
		if got, err := parseLevels([]byte(text)); !errors.Is(err, sysfs.ErrMalformed) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func FuzzErrorCounts(f *testing.F) {
	f.Add([]byte("ue: 1\nce: 2\nde: 3\n"))
	f.Add([]byte("Query currently inaccessible\n"))
	f.Add([]byte("ue: 18446744073709551615\n\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		counts, err := parseErrorCounts(data)
		if err != nil && counts != (errorCounts{}) {
			t.Errorf("%+v beside %v", counts, err)
		}
		const blocks = 64 // more than there are
		if most := uint64(math.MaxInt64 / blocks); counts.uncorrected > most || counts.corrected > most || counts.deferred > most {
			t.Errorf("%+v: the sum of all blocks would not be a number", counts)
		}
		if !counts.hasCorrected && counts.corrected > 0 || !counts.hasDeferred && counts.deferred > 0 {
			t.Errorf("%+v", counts)
		}
	})
}

func FuzzBadPages(f *testing.F) {
	f.Add([]byte("0x00000001 : 0x00001000 : R\n0x00000002 : 0x00001000 : P\n"))
	f.Add([]byte(":::\n: : F"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pages, err := parseBadPages(data)
		n := pages.retired + pages.pending + pages.unreserved
		if most := strings.Count(string(data), "\n") + 1; n > most || err != nil && n > 0 {
			t.Errorf("%+v, %v of %d lines", pages, err, most)
		}
	})
}

func FuzzAER(f *testing.F) {
	f.Add([]byte("TLP 3\nTOTAL_ERR_FATAL 3\n"))
	f.Add([]byte("TOTAL_ERR_"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := parseAER(data); n < 0 || err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

func FuzzLevels(f *testing.F) {
	f.Add([]byte("0: 500Mhz\n1: 2100Mhz *\n"))
	f.Add([]byte(":mhz\n::: *mhz"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if mhz, err := parseLevels(data); (err == nil) != (mhz > 0) || mhz > math.MaxInt32 {
			t.Errorf("%d, %v", mhz, err)
		}
	})
}
