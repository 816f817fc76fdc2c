package sysfs

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// step is what one read(2) answers.
type step struct {
	text string
	err  error
}

func TestDrain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		steps []step
		limit int
		want  string
		err   error
	}{
		{name: "empty", limit: 10},
		{name: "one read", steps: []step{{text: "abc"}}, limit: 10, want: "abc"},
		{name: "pieces", steps: []step{{text: "ab"}, {text: "c"}}, limit: 10, want: "abc"},
		{name: "as much as allowed", steps: []step{{text: "ab"}, {text: "c"}}, limit: 3, want: "abc"},
		{name: "more than allowed", steps: []step{{text: "ab"}, {text: "c"}}, limit: 2, err: ErrTooLarge},
		{name: "nothing allowed", limit: 0},
		{name: "interrupted", steps: []step{{err: syscall.EINTR}, {text: "ab"}, {err: syscall.EINTR}, {text: "c"}}, limit: 10, want: "abc"},
		{name: "would block", steps: []step{{err: syscall.EAGAIN}}, limit: 10, err: syscall.EAGAIN},
		{name: "fails half-way", steps: []step{{text: "ab"}, {err: syscall.EIO}}, limit: 10, err: syscall.EIO},
		{name: "longer than a page", steps: []step{{text: strings.Repeat("x", 4096)}, {text: "y"}}, limit: 1 << 16, want: strings.Repeat("x", 4096) + "y"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rest := test.steps
			got, err := drain(nil, func(p []byte) (int, error) {
				if len(rest) == 0 {
					return 0, nil
				}
				this := rest[0]
				rest = rest[1:]
				if len(p) < len(this.text) {
					t.Fatalf("a buffer of %d bytes for %d", len(p), len(this.text))
				}
				return copy(p, this.text), this.err
			}, test.limit)
			if !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if string(got) != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDrainEndsAnEndlessFile(t *testing.T) {
	t.Parallel()
	calls := 0
	_, err := drain(nil, func(p []byte) (int, error) {
		calls++
		return len(p), nil
	}, MaxFile)
	if !errors.Is(err, ErrTooLarge) || calls > 64 {
		t.Errorf("error %v after %d reads", err, calls)
	}
}

// A file that has nothing to give yet answers at once, where os.File.Read would
// wait for it.
func TestRawReadDoesNotWait(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = r.Close()
		_ = w.Close()
	})
	if _, err := rawRead(r, make([]byte, 8)); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("error %v, want EAGAIN", err)
	}
	if _, err := io.WriteString(w, "abc"); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8)
	if n, err := rawRead(r, p); err != nil || string(p[:n]) != "abc" {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestReadDirLimit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(root, strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := New(root)
	if names, err := host.readDir("/", 5); err != nil || len(names) != 5 {
		t.Errorf("5 entries under a limit of 5: %v, %v", names, err)
	}
	if _, err := host.readDir("/", 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("5 entries under a limit of 4: error %v", err)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	const bad = "bad"
	tests := []struct{ text, signed, unsigned, hex string }{
		{"0\n", "0", "0", "0"},
		{"10", "10", "10", "16"},
		{"0x10", "16", "16", "16"},
		{"0X1f\n", "31", "31", "31"},
		{"1f", bad, bad, "31"},
		{"-1\n", "-1", bad, bad},
		{"-0x10", "-16", bad, bad},
		{"\x00 7 \x00", "7", "7", "7"},
		{"9223372036854775807", "9223372036854775807", "9223372036854775807", bad},
		{"18446744073709551615", bad, "18446744073709551615", bad},
		{"0xffffffffffffffff", bad, "18446744073709551615", "18446744073709551615"},
		{"ffffffffffffffff", bad, bad, "18446744073709551615"},
		{"", bad, bad, bad},
		{"\n", bad, bad, bad},
		{"0x", bad, bad, bad},
		{"--1", bad, bad, bad},
		{"-+1", bad, bad, bad},
		{"0x-1", bad, bad, bad},
		{"0x+1", bad, bad, bad},
		{"1 2", bad, bad, bad},
		{"1_000", bad, bad, bad},
		{"Unknown", bad, bad, bad},
		{"1.5", bad, bad, bad},
	}
	show := func(n any, err error) string {
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v is not ErrMalformed", err)
			}
			return bad
		}
		switch n := n.(type) {
		case int64:
			return strconv.FormatInt(n, 10)
		default:
			return strconv.FormatUint(n.(uint64), 10)
		}
	}
	for _, test := range tests {
		signed, err := Int([]byte(test.text))
		if got := show(signed, err); got != test.signed {
			t.Errorf("Int(%q) = %s, want %s", test.text, got, test.signed)
		}
		unsigned, err := Uint([]byte(test.text))
		if got := show(unsigned, err); got != test.unsigned {
			t.Errorf("Uint(%q) = %s, want %s", test.text, got, test.unsigned)
		}
		hex, err := Hex([]byte(test.text))
		if got := show(hex, err); got != test.hex {
			t.Errorf("Hex(%q) = %s, want %s", test.text, got, test.hex)
		}
	}
}

// Whatever a file holds, a number that is read is the number that was written,
// and an error fits a line.
func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"0", "-1\n", "0x10", "ffff", "", "\xff", "99999999999999999999", strings.Repeat("1", 200)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		n, err := Int(data)
		if err == nil {
			if again, err := Int([]byte(strconv.FormatInt(n, 10))); err != nil || again != n {
				t.Errorf("Int(%q) = %d, and then %d, %v", data, n, again, err)
			}
		} else if len(err.Error()) > 300 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if u, err := Uint(data); err == nil && n >= 0 {
			if signed, err := Int(data); err == nil && uint64(signed) != u {
				t.Errorf("Int(%q) = %d and Uint = %d", data, signed, u)
			}
		}
		if _, err := Text(data); err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("Text(%q): %v", data, err)
		}
		_, _ = Hex(data)
		if !bytes.Equal(before, data) {
			t.Error("the data was changed")
		}
	})
}

func TestDrainPage(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("x", page)
	for name, test := range map[string]struct {
		reads []string
		limit int
		want  string
		calls int
		err   error
	}{
		"nothing":         {[]string{""}, 10, "", 1, nil},
		"one read":        {[]string{"12\n", "never"}, 10, "12\n", 1, nil},
		"a page and more": {[]string{full, "y", ""}, MaxFile, full + "y", 3, nil},
		"too much":        {[]string{"12345"}, 4, "", 1, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			got, err := drainPage(func(p []byte) (int, error) {
				calls++
				if calls == 1 && name == "one read" {
					return 0, syscall.EINTR
				}
				next := test.reads[0]
				test.reads = test.reads[1:]
				return copy(p, next), nil
			}, test.limit)
			if name == "one read" {
				calls-- // the one that was interrupted
			}
			if string(got) != test.want || calls != test.calls || !errors.Is(err, test.err) {
				t.Errorf("%d bytes after %d reads, %v; want %d after %d, %v", len(got), calls, err, len(test.want), test.calls, test.err)
			}
		})
	}
	if _, err := drainPage(func([]byte) (int, error) { return 0, syscall.EIO }, 10); !errors.Is(err, syscall.EIO) {
		t.Errorf("error %v", err)
	}
}
