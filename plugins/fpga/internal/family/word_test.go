package family_test

import (
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestWord(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"u250\n": "u250", "ALVEO V80 PQ": "ALVEO V80 PQ", "XFL1\x00": "XFL1", " 4.2.0 \n": "4.2.0",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
		"":                       "", "\n": "", "\x00": "", "two\nlines\n": "", "a\tb": "", "\xff\xfe": "", "naïve": "", "a\x01": "",
		strings.Repeat("x", 129): "",
	} {
		got, err := family.Word([]byte(text))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzWord(f *testing.F) {
	f.Add([]byte("ALVEO V80 PQ\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		word, err := family.Word(data)
		if (err == nil) == (word == "") || len(word) > 128 || strings.TrimSpace(word) != word || strings.ContainsFunc(word, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q: %q, %v", data, word, err)
		}
	})
}
