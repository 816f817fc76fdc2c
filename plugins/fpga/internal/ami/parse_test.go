package ami

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/config"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := config.Check(Config{}); err != nil {
		t.Error(err)
	}
}

func TestParseFirmware(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"3.0.0 +0 *0\n": "3.0.0", "2.3.1 +12 *1": "2.3.1", "3.0.0": "3.0.0",
		"": "", "-1.-1.-1 +0 *0": "", "3.0": "", "three": "", "3.0.0 +0": "", "3.0.0\n4.0.0": "",
	} {
		if got, err := parseFirmware([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"32GB": 32768, "32 GB\n": 32768, "64gb\x00": 65536,
		"": 0, "N/A\n": 0, "32": 0, "GB": 0, "0GB": 0, "-1GB": 0, "99999999GB": 0, "1.5GB": 0, "32GiB": 0,
	} {
		if got, err := parseMemory([]byte(text)); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseTable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]row{
		"2\nc1:00.0 1 7\nC2:00.0 2 8\n": {{"c1:00.0", 1, 7}, {"c2:00.0", 2, 8}},
		"0\n":                           nil,
		"":                              nil,
		"c1:00.0 1 7":                   {{"c1:00.0", 1, 7}},
	} {
		got, err := parseTable([]byte(text))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" || err != nil {
			t.Errorf("%q: %v, -want +got\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"1\nc1:00.0 1", "1\nc1:00.0 x 7", "1\nc1:00.0 1 -7", "1\nc1 1 7", "1\n2\n", "\xff", "1\nc1:00.0 1 7 9"} {
		if got, err := parseTable([]byte(text)); len(got) != 0 || err == nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzParsers(f *testing.F) {
	for _, seed := range []string{"3.0.0 +0 *0\n", "32GB", "N/A", "2\nc1:00.0 1 7\nc2:00.0 2 8\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if version, err := parseFirmware(data); (err == nil) == (version == "") {
			t.Errorf("version %q, %v", version, err)
		}
		if n, err := parseMemory(data); err == nil && (n < 1024 || n > maxMemory*1024) {
			t.Errorf("memory %d", n)
		}
		rows, err := parseTable(data)
		for _, r := range rows {
			if err != nil || len(r.address) != len("c1:00.0") || r.minor < 0 || r.hwmon < 0 {
				t.Errorf("row %+v, %v", r, err)
			}
		}
	})
}
