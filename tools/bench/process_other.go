//go:build !linux

package bench

import (
	"errors"
	"time"
)

var errLinux = errors.New("processes are measured on Linux only")

type memory struct{ proportional, resident, threads float64 }

func cpuTime(int) (time.Duration, error) { return 0, errLinux }

func memoryOf(int) (memory, error) { return memory{}, errLinux }
