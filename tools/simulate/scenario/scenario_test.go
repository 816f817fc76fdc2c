package scenario

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = `# A machine

driver.version = 580.65.06
gpu.*.name=H100   # all of them
  gpu.0.temperature =  41	# degrees
gpu.0.empty =
gpu.0.temperature = 42
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGet(t *testing.T) {
	t.Parallel()
	f := parse(t, sample)
	for key, want := range map[string]string{
		"driver.version": "580.65.06", "gpu.*.name": "H100", "gpu.0.temperature": "42", "gpu.0.empty": "",
	} {
		if got, ok := f.Get(key); !ok || got != want {
			t.Errorf("Get(%q) = %q, %t, want %q", key, got, ok, want)
		}
	}
	if got, ok := f.Get("gpu.1.name"); ok {
		t.Errorf("Get of a key that is not there = %q", got)
	}
	if got := f.Comment(); got != "A machine" {
		t.Errorf("Comment() = %q, want %q", got, "A machine")
	}
}

func TestEditsKeepTheRest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edit func(f *File) error
		want string
	}{
		"nothing": {func(*File) error { return nil }, sample},
		"set": {
			func(f *File) error { return f.Set("gpu.*.name", "A100 80GB") },
			"# A machine\n\ndriver.version = 580.65.06\ngpu.*.name=A100 80GB   # all of them\n  gpu.0.temperature =  41	# degrees\ngpu.0.empty =\ngpu.0.temperature = 42\n",
		},
		"the last of two": {
			func(f *File) error { return f.Set("gpu.0.temperature", "50") },
			"# A machine\n\ndriver.version = 580.65.06\ngpu.*.name=H100   # all of them\n  gpu.0.temperature =  41	# degrees\ngpu.0.empty =\ngpu.0.temperature = 50\n",
		},
		"a new key": {
			func(f *File) error { return f.Set("gpu.1.lost", " true ") },
			sample + "gpu.1.lost = true\n",
		},
		"unset both": {
			func(f *File) error {
				if !f.Unset("gpu.0.temperature") {
					return errors.New("Unset found nothing")
				}
				return nil
			},
			"# A machine\n\ndriver.version = 580.65.06\ngpu.*.name=H100   # all of them\ngpu.0.empty =\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, sample)
			if err := tt.edit(f); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(f.Bytes())); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{"a = 1\nnonsense\n": 2, "= 1": 1, "a b = 1": 1, "# x\n\na = 1\rb\n": 3} {
		_, err := Parse([]byte(text))
		if e, ok := errors.AsType[*SyntaxError](err); !ok || e.Line != line {
			t.Errorf("Parse(%q) = %v, want a syntax error in line %d", text, err, line)
		}
	}
	f := &File{}
	for _, pair := range [][2]string{{"", "x"}, {"a b", "x"}, {"a=b", "x"}, {"a", "x\ny"}, {"a", "1 # 2"}, {"a", "# 2"}} {
		if err := f.Set(pair[0], pair[1]); err == nil {
			t.Errorf("Set(%q, %q) is accepted", pair[0], pair[1])
		}
	}
	if len(f.Bytes()) != 0 {
		t.Errorf("a refused Set has changed the text: %q", f.Bytes())
	}
}

// FuzzParse checks that what Parse reads comes back unchanged, and that an edit
// gives a text that reads as edited.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sample), "gpu.0.temperature", "99")
	f.Add([]byte("a=#\n\n"), "a", "")
	f.Add([]byte("a = b = c # d # e"), "b", "x=y")
	f.Fuzz(func(t *testing.T, text []byte, key, value string) {
		file, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(file.Bytes())
		if err != nil {
			t.Fatalf("the text of a parsed file cannot be parsed: %v", err)
		}
		if diff := cmp.Diff(values(file), values(again)); diff != "" {
			t.Fatalf("values after a second reading (-first +second):\n%s", diff)
		}
		if err := file.Set(key, value); err != nil {
			return
		}
		if again, err = Parse(file.Bytes()); err != nil {
			t.Fatalf("after Set(%q, %q): %v", key, value, err)
		}
		if diff := cmp.Diff(values(file), values(again)); diff != "" {
			t.Fatalf("after Set(%q, %q) (-set +read):\n%s", key, value, diff)
		}
	})
}

func values(f *File) [][2]string {
	var all [][2]string
	for key, value := range f.All() {
		all = append(all, [2]string{key, value})
	}
	return all
}
