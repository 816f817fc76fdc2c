package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// resources is what a process holds.
type resources struct {
	threads, files int
	memory         int64 // resident, in KiB
}

// resourcesOf reads what a process holds (proc(5): status and fd).
func resourcesOf(pid int) (r resources, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return r, err
	}
	r.files = len(files)
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB"))
		switch key {
		case "Threads":
			r.threads, err = strconv.Atoi(value)
		case "VmRSS":
			r.memory, err = strconv.ParseInt(value, 10, 64)
		}
		if err != nil {
			return r, fmt.Errorf("%s/status: %w", dir, err)
		}
	}
	return r, nil
}

// processorTime returns how much of a processor a process has used, all its
// threads together, to a hundredth of a second (proc(5): stat).
func processorTime(pid int) (time.Duration, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields)+2)
	}
	var ticks time.Duration
	for _, field := range fields[utime : stime+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += time.Duration(n)
	}
	return ticks * (time.Second / 100), nil // USER_HZ
}

// statOf returns the fields of a process's stat from the third on: what comes
// before it, the command's name, may hold anything.
func statOf(pid int) ([]string, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])), nil
}

// childrenOf returns the processes that a process has started.
func childrenOf(pid int) []int {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	var children []int
	for _, path := range processes {
		child, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		const parent = 4 - 3
		// One without fields has ended meanwhile.
		if fields, _ := statOf(child); len(fields) > parent && fields[parent] == strconv.Itoa(pid) {
			children = append(children, child)
		}
	}
	return children
}

// alive returns whether a process is there and not merely unburied.
func alive(pid int) bool {
	fields, err := statOf(pid)
	return err == nil && len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
}
