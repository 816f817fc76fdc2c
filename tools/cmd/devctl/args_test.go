package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLikeNomad(t *testing.T) {
	t.Parallel()
	given := []string{"inspect", "-json", "--stats", "-h", "-", "-timeout=3s", "-5", "./plugin", "--", "-json"}
	want := []string{"inspect", "--json", "--stats", "-h", "-", "--timeout=3s", "-5", "./plugin", "--", "-json"}
	if diff := cmp.Diff(want, likeNomad(given)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if given[1] != "-json" {
		t.Error("the caller's arguments were changed")
	}
}
