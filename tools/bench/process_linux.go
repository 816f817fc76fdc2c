package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns the processor time that a process has used, of all its threads
// and of those that have ended, to the nanosecond.
func cpuTime(pid int) (time.Duration, error) {
	// The clock of another process: its number inverted above three bits, of
	// which 2 means the scheduler's account (linux/posix-timers.h).
	clock := int32(^pid)<<3 | 2
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// memory is what a process occupies.
type memory struct {
	proportional, resident float64 // bytes; proportional has shared pages by parts
	threads                float64
}

// memoryOf reads the memory of a process, as in proc(5).
func memoryOf(pid int) (memory, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	rollup, err := os.ReadFile(dir + "/smaps_rollup")
	if err != nil {
		return memory{}, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return memory{}, fmt.Errorf("reading the threads of process %d: %w", pid, err)
	}
	m := memory{
		proportional: 1024 * procNumber(rollup, "Pss:"),
		resident:     1024 * procNumber(rollup, "Rss:"),
		threads:      procNumber(status, "Threads:"),
	}
	if m.proportional == 0 || m.threads == 0 {
		return memory{}, fmt.Errorf("%s does not tell the memory of the process", dir)
	}
	return m, nil
}

// procNumber returns the number after a name at the start of a line, 0 if there
// is none.
func procNumber(text []byte, name string) float64 {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) >= 2 && fields[0] == name {
			n, _ := strconv.ParseFloat(fields[1], 64)
			return n
		}
	}
	return 0
}
