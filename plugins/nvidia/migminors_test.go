package nvidia

import (
	"maps"
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
	got, err := parseMIGMinors([]byte(migMinors))
	if err != nil {
		t.Fatal(err)
	}
	want := map[migCap]int{
		"config":                    1,
		"monitor":                   2,
		gpuInstanceCap(0, 1):        12,
		computeInstanceCap(0, 1, 0): 13,
		computeInstanceCap(1, 7, 1): 200,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for text, says := range map[string]string{
		"config":                      "want a name and a number",
		"config 1 2":                  "have 3 words",
		"config one":                  `"one" is no minor number`,
		"config -1":                   "no minor number",
		"config 1048576":              "no minor number",
		"config 1\n\nconfig 2":        "line 3",
		strings.Repeat("x", 70_000):   "token too long",
		"gpu0/gi1/access 4294967297 ": "no minor number",
	} {
		if _, err := parseMIGMinors([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: error %v, want one that says %q", text, err, says)
		}
	}
	if got, err := parseMIGMinors(nil); err != nil || len(got) != 0 {
		t.Errorf("empty list: %v, %v", got, err)
	}
}

func FuzzParseMIGMinors(f *testing.F) {
	f.Add([]byte(migMinors))
	f.Add([]byte("config 1\nconfig 1\n"))
	f.Add([]byte("gpu0/gi1/access\t0x12"))
	f.Fuzz(func(t *testing.T, data []byte) {
		minors, err := parseMIGMinors(data)
		if err != nil && minors != nil {
			t.Error("half a list beside an error")
		}
		for name, minor := range minors {
			if name == "" || minor < 0 || minor > maxMinor {
				t.Errorf("%q = %d", name, minor)
			}
		}
	})
}
