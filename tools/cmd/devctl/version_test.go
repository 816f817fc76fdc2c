package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"--version"}, {"-version"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("devctl %s ends with %d and says %q", args, code, &stderr)
		}
		if want := "devctl 0.0.0-dev (commit unknown, go"; !strings.HasPrefix(stdout.String(), want) || strings.Count(stdout.String(), "\n") != 1 {
			t.Errorf("devctl %s prints %q, want one line that begins with %q", args, &stdout, want)
		}
	}
}
