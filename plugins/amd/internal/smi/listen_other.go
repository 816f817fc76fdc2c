//go:build !linux

package smi

import (
	"context"
	"errors"
)

// Listen is for systems without the driver.
func Listen(context.Context, string, []uint32, func(Event)) error { return errors.ErrUnsupported }
