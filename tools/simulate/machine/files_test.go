package machine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]string{
		"":           {"ABSENT", "ABSENT", "ABSENT"},
		Empty:        {"", "nonsense", "UNREADABLE"},
		Unreadable:   {"UNREADABLE", "UNREADABLE", "UNREADABLE"},
		"1 2":        {"1 2\n", "nonsense", "UNREADABLE"},
		`a\xffb\x\x`: {"a\xffb\\x\\x\n", "nonsense", "UNREADABLE"},
	} {
		for i, f := range []Files{{}, {Garbage: true}, {Unreadable: true}} {
			f.Tree = &tree.Tree{}
			f.Put("/file", text)
			root := t.TempDir()
			if err := f.Tree.Sync(root); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(root, "file"))
			got := string(content)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				got = "ABSENT"
			case err != nil:
				got = "UNREADABLE"
			case got == string(Garbage("/other/file")):
				got = "nonsense"
			}
			if got != want[i] {
				t.Errorf("%q with %+v: %q, want %q", text, f, got, want[i])
			}
		}
	}
}
