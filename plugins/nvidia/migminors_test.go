package nvidia

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const migMinors = `config 1
monitor 2
gpu0/gi1/access 12
gpu0/gi1/ci0/access 13
gpu1/gi7/ci1/access 200
`

func TestParseMIGMinors(t *testing.T) {
	t.Parallel()
	got, err := parseMIGMinors([]byte(migMinors), gpuInstanceCap(0, 1), computeInstanceCap(0, 1, 0), computeInstanceCap(1, 7, 1), gpuInstanceCap(1, 7))
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{12, 13, 200, -1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for text, says := range map[string]string{
		"config":                      "is not a name and a number",
		"config 1 2":                  `"1 2" is no minor number`,
		"config one":                  `"one" is no minor number`,
		"config -1":                   "no minor number",
		"config 1048576":              "no minor number",
		"config 1\n\nconfig 2":        "line 3",
		strings.Repeat("x", 70_000):   "line 1",
		"gpu0/gi1/access 4294967297 ": "no minor number",
	} {
		if _, err := parseMIGMinors([]byte(text), "config"); err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 500 {
			t.Errorf("%.40q: error %v, want one that says %q", text, err, says)
		}
	}
	if got, err := parseMIGMinors(nil, "config"); err != nil || !slices.Equal(got, []int{-1}) {
		t.Errorf("empty list: %v, %v", got, err)
	}
}

func FuzzParseMIGMinors(f *testing.F) {
	f.Add([]byte(migMinors), "config")
	f.Add([]byte("config 1\nconfig 1\n"), "config")
	f.Add([]byte("gpu0/gi1/access\t0x12"), "gpu0/gi1/access")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		minors, err := parseMIGMinors(data, migCap(name), "monitor")
		switch {
		case err != nil && minors != nil:
			t.Error("half a list beside an error")
		case err == nil && len(minors) != 2:
			t.Errorf("%d minor numbers of two capabilities", len(minors))
		}
		for _, minor := range minors {
			if minor < -1 || minor > maxMinor {
				t.Errorf("minor number %d", minor)
			}
		}
	})
}

func BenchmarkParseMIGMinors(b *testing.B) {
	var list bytes.Buffer
	for gpu := range 32 {
		for gi := range 15 {
			for ci := range 8 {
				fmt.Fprintf(&list, "%s %d\n", computeInstanceCap(gpu, gi, ci), gpu*1000+gi*10+ci)
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseMIGMinors(list.Bytes(), gpuInstanceCap(31, 14), computeInstanceCap(31, 14, 7)); err != nil {
			b.Fatal(err)
		}
	}
}
