package config

import (
	"fmt"
	"strings"
	"time"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	// Key of the setting, dotted where it is in a block: "health.recover_after".
	Key string
	// With is the key of the other setting, in a rule about two. The problem is
	// dropped if either of them has a problem of its own, since the rule was then
	// checked against a default.
	With string
	// Given is what the configuration says, as the operator would write it.
	Given string
	// Want says what would be right: "a duration such as \"30s\"". Of an unknown
	// key it is the key that may have been meant, or empty.
	Want string
	// Unknown says that there is no such setting.
	Unknown bool
}

// String returns the problem in one line.
func (p Problem) String() string {
	if p.Unknown {
		if p.Want == "" {
			return fmt.Sprintf("%s = %s: there is no such setting", p.Key, p.Given)
		}
		return fmt.Sprintf("%s = %s: there is no such setting; did you mean %s?", p.Key, p.Given, p.Want)
	}
	return fmt.Sprintf("%s = %s: want %s", p.Key, p.Given, p.Want)
}

// Validator is a configuration struct with rules beyond the tags. It is asked
// after everything was decoded; settings that are wrong have their defaults. The
// keys of its problems count from its own struct: in a block, without the block's
// key. Validate must not touch hardware, files or the network: an error in the
// configuration keeps Nomad's agent from starting.
type Validator interface {
	Validate() []Problem
}

// Error is all that is wrong with a configuration.
type Error struct {
	Problems []Problem
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	lines := make([]string, 0, 1+len(e.Problems))
	lines = append(lines, fmt.Sprintf("configuration: %d settings are wrong", len(e.Problems)))
	for _, problem := range e.Problems {
		lines = append(lines, "  "+problem.String())
	}
	return strings.Join(lines, "\n")
}

// shortDuration returns a duration as people write it: "1m", not "1m0s".
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func quoteDuration(d time.Duration) string { return `"` + shortDuration(d) + `"` }
