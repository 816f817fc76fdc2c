// Package report is what the probe task writes and its readers read.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Report is what a task got.
type Report struct {
	// UID is the user that the task ran as.
	UID int `json:"uid"`
	// Env are the variables that were asked for.
	Env map[string]string `json:"env"`
	// Nodes are the device nodes that were asked for.
	Nodes []Node `json:"nodes"`
	// Files are the other files that were asked for and are there.
	Files []string `json:"files,omitempty"`
}

// Node is a device node as the task sees it.
type Node struct {
	Path  string `json:"path"`
	Type  string `json:"type"` // "c" or "b"
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
	Mode  string `json:"mode"` // "rw-rw-rw-"
	// Allowed says that the task may open the node for reading and writing.
	Allowed bool   `json:"allowed"`
	Error   string `json:"error,omitempty"`
}

// Parse reads the report out of a task's output.
func Parse(output string) (Report, error) {
	for line := range strings.Lines(output) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var r Report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return Report{}, fmt.Errorf("reading the probe's report: %w", err)
		}
		return r, nil
	}
	return Report{}, errors.New("the task wrote no report")
}
