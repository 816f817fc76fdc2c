package smi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

type heard struct {
	Kind Kind
	Text string
}

func TestLines(t *testing.T) {
	t.Parallel()
	var got []heard
	var rest []byte
	for _, read := range []string{"1 3e8:train\n2 1f:2\n3 7", " ring timeout\n", "garbage line\n\n0 x\n4 7\n", "4"} {
		rest = lines(rest, []byte(read), func(k Kind, text string) { got = append(got, heard{k, text}) })
	}
	want := []heard{{MemoryFault, "3e8:train"}, {Throttled, "1f:2"}, {ResetBegins, "7 ring timeout"}, {ResetEnds, "7"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if string(rest) != "4" {
		t.Errorf("what is left: %q", rest)
	}
	if rest := lines(nil, make([]byte, maxRest+1), func(Kind, string) {}); rest != nil {
		t.Errorf("a line without an end is kept: %d bytes", len(rest))
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("3 7 x\n4 7\n"), 3)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		if cut < 0 || cut > len(data) || len(data) > maxRest {
			t.Skip()
		}
		var whole, parts []heard
		lines(nil, data, func(k Kind, text string) { whole = append(whole, heard{k, text}) })
		rest := lines(nil, data[:cut:cut], func(k Kind, text string) { parts = append(parts, heard{k, text}) })
		lines(rest, data[cut:], func(k Kind, text string) { parts = append(parts, heard{k, text}) })
		if diff := cmp.Diff(whole, parts); diff != "" {
			t.Errorf("read in two parts, -whole +parts:\n%s", diff)
		}
	})
}
