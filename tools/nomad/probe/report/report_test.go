package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("some driver talks first\n" + `{"uid":7,"env":{"A":"b"},"nodes":[{"path":"/dev/x","type":"c","major":1,"minor":3,"mode":"rw-rw-rw-","allowed":true}]}` + "\nand last\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Report{UID: 7, Env: map[string]string{"A": "b"}, Nodes: []Node{
		{Path: "/dev/x", Type: "c", Major: 1, Minor: 3, Mode: "rw-rw-rw-", Allowed: true},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "nothing\n", "{broken\n"} {
		if r, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v", text, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("{\"uid\":1}\n")
	f.Add("x\n{}\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = Parse(text) })
}
