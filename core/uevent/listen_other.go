//go:build !linux

package uevent

import (
	"context"
	"errors"
	"fmt"
)

// Listen returns an error that is [errors.ErrUnsupported]: only Linux has uevents.
func Listen(context.Context, func(Event)) error {
	return fmt.Errorf("uevents: %w", errors.ErrUnsupported)
}
