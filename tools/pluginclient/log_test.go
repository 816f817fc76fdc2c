package pluginclient

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestParseLogLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"@level":"warn","@message":"it is late","@module":"clock","hour":25}`: "[WARN] it is late: hour=25",
		`{"@level":"warn"}`: `{"@level":"warn"}`,
		`panic: no`:         "panic: no",
		`{`:                 "{",
		``:                  "",
	} {
		if got := parseLogLine([]byte(text)).String(); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func FuzzParseLogLine(f *testing.F) {
	f.Add([]byte(`{"@level":"info","@message":"m","@module":"x","a":{"b":[1,null]}}`))
	f.Add([]byte(`{"@message":7}`))
	f.Add([]byte("panic: \xff"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l := parseLogLine(line)
		if l.Level == hclog.NoLevel && l.Fields == nil && l.Message != string(line) {
			t.Errorf("%q became %q", line, l.Message)
		}
		for key := range l.Fields {
			if strings.HasPrefix(key, "@") {
				t.Errorf("%q has the field %q", line, key)
			}
		}
		_ = l.String()
	})
}
