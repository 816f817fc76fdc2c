package tree

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchange swaps two entries of one file system in a single step, or, where the
// file system cannot do that, puts a in the place of b.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return supplant(a, b)
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}
