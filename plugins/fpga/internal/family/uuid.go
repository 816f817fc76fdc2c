package family

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/nomad-devices/nomad-devices/core"
	"github.com/nomad-devices/nomad-devices/core/sysfs"
)

// UUID is the identity of a shell, an interface or an accelerator function.
type UUID [16]byte

var (
	// ErrUUID says that a text is not a UUID.
	ErrUUID = errors.New("not a UUID")
	// ErrAllOnes says that a register answered with all bits set: the card has
	// fallen off the bus.
	ErrAllOnes = errors.New("all bits are set, as if the card had fallen off the bus")
)

// ParseUUID reads 32 hexadecimal digits in either case, with or without dashes.
func ParseUUID(text string) (UUID, error) {
	var u UUID
	digits := text
	if len(digits) == 36 && digits[8] == '-' && digits[13] == '-' && digits[18] == '-' && digits[23] == '-' {
		digits = strings.ReplaceAll(digits, "-", "")
	}
	if len(digits) != 2*len(u) {
		return UUID{}, fmt.Errorf("%w: %.40q does not have 32 hexadecimal digits", ErrUUID, text)
	}
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("%w: %.40q is not hexadecimal", ErrUUID, text)
	}
	return u, nil
}

// String returns the form that is published, lower case with dashes: 32 digits
// alone can read as a number in a job's constraint.
func (u UUID) String() string {
	d := hex.EncodeToString(u[:])
	return d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]
}

// IsZero reports whether all bits are clear, which no UUID is: there is none.
func (u UUID) IsZero() bool { return u == UUID{} }

// allOnes is what a card that fell off the bus shows.
var allOnes = UUID{
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
}

// ReadUUID reads the UUID in a file. All bits set is unknown, with [ErrAllOnes].
func ReadUUID(host *sysfs.FS, path string) Fact[UUID] {
	return Read(host, path, func(data []byte) (UUID, error) {
		text, err := sysfs.Text(data)
		if err != nil {
			return UUID{}, err
		}
		u, err := ParseUUID(text)
		if err == nil && u == allOnes {
			err = ErrAllOnes
		}
		return u, err
	})
}

// UUIDs is the parser of a file with one UUID a line. One with all bits clear
// stands for none and is left out; one with all bits set is [ErrAllOnes]. A file
// without any is an empty list.
func UUIDs(data []byte) ([]UUID, error) {
	text, err := sysfs.Text(data)
	if err != nil {
		return nil, err
	}
	var list []UUID
	for _, line := range Lines(text) {
		u, err := ParseUUID(strings.TrimSpace(line))
		switch {
		case err != nil:
			return nil, err
		case u == allOnes:
			return nil, ErrAllOnes
		case !u.IsZero():
			list = append(list, u)
		}
	}
	return list, nil
}

// UUIDAttribute is [Attribute] for a UUID.
func UUIDAttribute(f Fact[UUID]) core.Value {
	return Attribute(f, func(u UUID) core.Value { return core.String(u.String()) })
}
