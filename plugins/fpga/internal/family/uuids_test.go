package family_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nomad-devices/nomad-devices/core/sysfs"
	"github.com/nomad-devices/nomad-devices/plugins/fpga/internal/family"
)

func TestUUIDs(t *testing.T) {
	t.Parallel()
	const bare, dashed = "d8424dc4a4a3c413f89e433683f9040b", "d8424dc4-a4a3-c413-f89e-433683f9040b"
	const zero = "00000000-0000-0000-0000-000000000000"
	for text, want := range map[string][]string{
		"":                                    nil,
		"\n":                                  nil,
		zero + "\n":                           nil,
		bare:                                  {dashed},
		bare + "\n":                           {dashed},
		strings.ToUpper(dashed) + "\n":        {dashed},
		bare + "\n" + zero + "\n" + bare:      {dashed, dashed},
		"\n" + bare + " \n\n" + bare + "\x00": {dashed, dashed},
	} {
		list, err := family.UUIDs([]byte(text))
		var got []string
		for _, u := range list {
			got = append(got, u.String())
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, -want +got\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]error{
		strings.Repeat("f", 32):               family.ErrAllOnes,
		bare + "\n" + strings.Repeat("F", 32): family.ErrAllOnes,
		bare + bare:                           family.ErrUUID,
		bare[1:]:                              family.ErrUUID,
		bare + "\nunknown":                    family.ErrUUID,
		"g" + bare[1:]:                        family.ErrUUID,
		dashed[:35] + "-":                     family.ErrUUID,
		"\xff\xfe":                            sysfs.ErrMalformed,
	} {
		if list, err := family.UUIDs([]byte(text)); len(list) != 0 || !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, want %v", text, list, err, want)
		}
	}
}

func FuzzUUIDs(f *testing.F) {
	f.Add([]byte("d8424dc4a4a3c413f89e433683f9040b\n"))
	f.Add([]byte("00000000-0000-0000-0000-000000000000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := family.UUIDs(data)
		if err != nil && len(list) != 0 {
			t.Errorf("%v beside %v", list, err)
		}
		for _, u := range list {
			again, err := family.ParseUUID(u.String())
			if u.IsZero() || again != u || err != nil {
				t.Errorf("%v reads back as %v, %v", u, again, err)
			}
		}
	})
}
