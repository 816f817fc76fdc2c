package family

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// State says what reading a file came to.
type State uint8

const (
	// Unknown is a fact that exists and could not be read this time: EBUSY,
	// ENODATA, EINVAL, EACCES, an empty file, garbage.
	Unknown State = iota
	// None is a fact that does not exist (ENOENT).
	None
	// Known is a fact with a value.
	Known
)

// Fact is what reading one file brought. Its zero value is unknown.
type Fact[T any] struct {
	// Value is set if State is Known.
	Value T
	State State
	// Err says why there is no value.
	Err error
}

// Is returns a fact with a value.
func Is[T any](v T) Fact[T] { return Fact[T]{Value: v, State: Known} }

// Failed returns the fact that an error leaves: none if it says that there is no
// such file, else unknown.
func Failed[T any](err error) Fact[T] {
	if sysfs.IsAbsent(err) {
		return Fact[T]{State: None, Err: err}
	}
	return Fact[T]{Err: err}
}

// Known reports whether there is a value.
func (f Fact[T]) Known() bool { return f.State == Known }

// Read reads a file with a parser such as [sysfs.Uint].
func Read[T any](host *sysfs.FS, path string, parse func([]byte) (T, error)) Fact[T] {
	data, err := host.Read(path)
	if err != nil {
		return Failed[T](err)
	}
	value, err := parse(data)
	if err != nil {
		return Fact[T]{Err: fmt.Errorf("read %s: %w", path, err)}
	}
	return Is(value)
}

// maxText is longer than any text that a driver shows for people.
const maxText = 1 << 10

// ReadText reads a text. An empty one, and one that is no text for people by its
// length, is unknown.
func ReadText(host *sysfs.FS, path string) Fact[string] {
	return Read(host, path, func(data []byte) (string, error) {
		text, err := sysfs.Text(data)
		switch {
		case err == nil && text == "":
			err = errEmpty
		case len(text) > maxText:
			err = errLong
		}
		return text, err
	})
}

var (
	errEmpty = errors.New("the file is empty")
	errLong  = errors.New("the file is longer than it can be")
)

// ReadUint reads a whole number, decimal or with 0x.
func ReadUint(host *sysfs.FS, path string) Fact[uint64] { return Read(host, path, sysfs.Uint) }

// ReadInt reads a whole number that may be negative.
func ReadInt(host *sysfs.FS, path string) Fact[int64] { return Read(host, path, sysfs.Int) }

// Attribute returns the value of an attribute: that of a known fact, no value
// for one that does not exist, and [core.Unknown] for one that could not be read.
func Attribute[T any](f Fact[T], value func(T) core.Value) core.Value {
	switch f.State {
	case Known:
		return value(f.Value)
	case None:
		return core.Value{}
	default:
		return core.Unknown()
	}
}

// versions are the texts that Nomad's operator "version" can compare.
var versions = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)*$`)

// Version returns the value of a version text. One that Nomad cannot compare as
// a version is a plain text.
func Version(text string) core.Value {
	if versions.MatchString(text) {
		return core.Version(text)
	}
	return core.String(text)
}

// Hex returns a number as the text that registers go out as: bit 63 is in use,
// and a whole number of Nomad has a sign.
func Hex(n uint64) core.Value { return core.String(fmt.Sprintf("%#x", n)) }

// Lines splits the text of a file with one entry a line, without empty ones.
// Device tree strings are lists as well, with NUL between them.
func Lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == 0 })
}

// maxWord is longer than any name, version or serial number of a card.
const maxWord = 128

// Word is the parser of a name, a version or a serial number: one short line of
// printable ASCII characters, which may hold blanks. What else is in such a file
// is garbage. An empty file is an error as well.
func Word(data []byte) (string, error) {
	text, err := sysfs.Text(data)
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errEmpty
	case len(text) > maxWord || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", fmt.Errorf("%w: %.40q is no name", sysfs.ErrMalformed, text)
	default:
		return text, nil
	}
}

// ReadWord reads a file with a [Word].
func ReadWord(host *sysfs.FS, path string) Fact[string] { return Read(host, path, Word) }
