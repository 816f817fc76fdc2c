package gpumetrics

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSizes cuts files everywhere, lets headers lie about their size, and adds to
// their end.
func TestSizes(t *testing.T) {
	t.Parallel()
	for name, s := range structures(t) {
		revision, partition, ok := revisionOf(name)
		if !ok {
			continue
		}
		decode := decoderOf(partition)
		data := s.blob(revision)
		for n := range data {
			if _, err := decode(data[:n]); err == nil || errors.Is(err, ErrRevision) {
				t.Errorf("%s: %d of %d bytes: %v", name, n, s.size, err)
			}
			lie := slices.Clone(data)
			binary.LittleEndian.PutUint16(lie, uint16(n))
			if _, err := decode(lie); err == nil || errors.Is(err, ErrRevision) {
				t.Errorf("%s: a size of %d in the header, not %d: %v", name, n, s.size, err)
			}
		}
		whole, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		padded, err := decode(append(data, make([]byte, 100)...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(known(whole), known(padded)); diff != "" {
			t.Errorf("%s: what follows the structure is read (-without +with):\n%s", name, diff)
		}
		longer := append(slices.Clone(data), make([]byte, 8)...)
		binary.LittleEndian.PutUint16(longer, uint16(len(longer)))
		if _, err := decode(longer); err != nil {
			t.Errorf("%s: a structure that grew at its end: %v", name, err)
		}
	}
}

func TestErrorsSayWhatWasFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		data    []byte
		says    string
		unknown bool
	}{
		{"nothing", nil, "gpu_metrics: 0 bytes", false},
		{"half a header", []byte{4, 0, 1}, "gpu_metrics: 3 bytes", false},
		{"zeros", make([]byte, 120), "revision 0.0 and a size of 0 bytes", false},
		{"the header alone", []byte{120, 0, 1, 3}, "gpu_metrics 1.3: the header gives a size of 120 bytes, and there are 4", false},
		{"another revision's size", append([]byte{8, 0, 1, 3}, 0, 0, 0, 0), "gpu_metrics 1.3: the header gives a size of 8 bytes, and this revision has 120", false},
		{"ones", slices.Repeat([]byte{0xff}, 120), "unknown revision 255.255", true},
		{"a later content", []byte{4, 0, 1, 10}, "unknown revision 1.10, of 4 bytes", true},
		{"a later content of APUs", []byte{4, 0, 2, 5}, "unknown revision 2.5", true},
		{"a later format", []byte{4, 0, 4, 0}, "unknown revision 4.0", true},
	} {
		m, err := Decode(test.data)
		if err == nil || !strings.Contains(err.Error(), test.says) || errors.Is(err, ErrRevision) != test.unknown {
			t.Errorf("%s: error %v, want one that says %q", test.name, err, test.says)
		}
		if len(known(m)) > 0 || m.Revision != (Revision{}) {
			t.Errorf("%s: metrics beside an error", test.name)
		}
	}
	if _, err := DecodePartition([]byte{4, 0, 1, 9}); !errors.Is(err, ErrRevision) || !strings.Contains(err.Error(), "xcp_metrics: unknown revision 1.9") {
		t.Errorf("the other file's revision: %v", err)
	}
}
