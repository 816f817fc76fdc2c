package machine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/tools/simulate/scenario"
)

func TestKinds(t *testing.T) {
	t.Parallel()
	f, err := scenario.Parse([]byte("card.*.a = all\ncard.*.b = all\ncard.*.c = all\nkind.big.a = big\nkind.big.b = big\nkind.big.d = unsupported\n" +
		"card.*.d = all\ncard.0.serial = A0\ncard.0.kind = big\ncard.0.a = own\ncard.1.serial = A1\n"))
	check(t, err)
	v := abacus().View(f)
	var got []string
	for _, key := range []string{"a", "b", "c", "d"} {
		got = append(got, v.Card(0, key), v.Card(1, key))
	}
	if diff := cmp.Diff([]string{"own", "all", "big", "all", "all", "all", "", "all"}, got); diff != "" {
		t.Errorf("values of both cards (-want +got):\n%s", diff)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "4096": 4096, "0x10": 16, "3 KiB": 3072, "2 MiB": 2 << 20, "80 GiB": 80 << 30} {
		if got, ok := Bytes(text); got != want || !ok {
			t.Errorf("Bytes(%q) = %d, %t, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "many", "2 MB", "9999999999999 GiB"} {
		if got, ok := Bytes(text); ok {
			t.Errorf("Bytes(%q) = %d, want none", text, got)
		}
	}
}

func TestScaled(t *testing.T) {
	t.Parallel()
	f, err := scenario.Parse([]byte(twoCards + "card.0.height = 45.5\ncard.1.height = tall\n"))
	if err != nil {
		t.Fatal(err)
	}
	v := abacus().View(f)
	for n, want := range map[int]string{0: "45500", 1: "tall", 7: ""} {
		if got := v.Scaled(n, "height", 1000); got != want {
			t.Errorf("card %d: %q, want %q", n, got, want)
		}
	}
}
