package doctor

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cache makes a cache of the dynamic linker with libraries and their files, in
// turn.
func cache(entries ...string) []byte {
	const header, entry = 48, 24
	table := make([]byte, header+len(entries)/2*entry)
	copy(table, "glibc-ld.so.cache1.1")
	binary.NativeEndian.PutUint32(table[20:], uint32(len(entries)/2))
	for i, text := range entries {
		binary.NativeEndian.PutUint32(table[header+i/2*entry+4+i%2*4:], uint32(len(table)))
		table = append(table, text+"\x00"...)
	}
	return table
}

func TestCached(t *testing.T) {
	t.Parallel()
	two := cache("libc.so.6", "/lib/libc.so.6", managementLibrary, "/opt/a/"+managementLibrary, managementLibrary, "/opt/b/"+managementLibrary)
	for name, test := range map[string]struct {
		cache []byte
		want  []string
	}{
		"two":           {two, []string{"/opt/a/" + managementLibrary, "/opt/b/" + managementLibrary}},
		"an older part": {append([]byte("ld.so-1.7.0\x00 and a table"), two...), []string{"/opt/a/" + managementLibrary, "/opt/b/" + managementLibrary}},
		"others only":   {cache("libc.so.6", "/lib/libc.so.6"), nil},
		"empty":         {nil, nil},
		"cut off":       {two[:60], nil},
	} {
		if diff := cmp.Diff(test.want, cached(test.cache, managementLibrary)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func FuzzCached(f *testing.F) {
	f.Add(cache(managementLibrary, "/lib/"+managementLibrary))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, file := range cached(b, managementLibrary) {
			if len(file) > len(b) {
				t.Errorf("a file of %d bytes in a cache of %d", len(file), len(b))
			}
		}
	})
}
