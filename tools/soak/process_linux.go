package soak

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// UsageOf reads what a process holds (proc(5): status and fd).
func UsageOf(pid int) (Usage, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return Usage{}, fmt.Errorf("counting the files of process %d: %w", pid, err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Usage{}, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	u, err := parseStatus(string(status))
	u.Files = float64(len(files))
	if err != nil {
		return u, fmt.Errorf("%s/status: %w", dir, err)
	}
	return u, nil
}

// quit makes a Go program list its goroutines and end.
func quit(pid int) error { return syscall.Kill(pid, syscall.SIGQUIT) }

// parseStatus reads "Name: number [kB]" lines. A process that has ended has
// none about its memory.
func parseStatus(text string) (Usage, error) {
	var u Usage
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		words := strings.Fields(value)
		if len(words) == 0 {
			continue
		}
		n, err := strconv.ParseUint(words[0], 10, 48)
		switch {
		case name == "VmRSS" && err == nil:
			u.Memory = float64(n) * 1024
		case name == "Threads" && err == nil:
			u.Threads = float64(n)
		}
	}
	if u.Memory == 0 || u.Threads == 0 {
		return u, errors.New("it does not tell memory and threads; the process has ended")
	}
	return u, nil
}
