//go:build !linux

package conformance

import (
	"errors"
	"time"
)

var errOnlyLinux = errors.New("what a process holds and uses is only known on Linux")

type resources struct {
	threads, files int
	memory         int64 // resident, in KiB
}

func resourcesOf(int) (resources, error) { return resources{}, errOnlyLinux }

func processorTime(int) (time.Duration, error) { return 0, errOnlyLinux }

func childrenOf(int) []int { return nil }

func alive(int) bool { return false }
