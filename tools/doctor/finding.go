package doctor

import (
	"fmt"
	"strings"
)

// Severity says how much a finding matters.
type Severity int

const (
	// OK is a check that found nothing wrong.
	OK Severity = iota
	// Note is worth knowing and keeps no device away.
	Note
	// Warning may keep a device away, or will some day.
	Warning
	// Problem keeps a device away.
	Problem
)

var severities = [...]string{OK: "ok", Note: "note", Warning: "warning", Problem: "problem"}

// String returns the severity in a word.
func (s Severity) String() string { return severities[s] }

// MarshalText writes the severity in a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity that [Severity.MarshalText] wrote.
func (s *Severity) UnmarshalText(text []byte) error { return unmarshal(s, severities[:], text) }

// Link is a link of the chain from the hardware to the job, in the order in
// which they are looked at.
type Link int

// The links of the chain.
const (
	Hardware Link = iota
	Nodes
	Library
	Binary
	Configuration
	Plugin
	Devices
	Agent
	Job
)

var links = [...]string{
	Hardware: "hardware and driver", Nodes: "device nodes", Library: "library", Binary: "plugin binary",
	Configuration: "agent configuration", Plugin: "plugin", Devices: "devices", Agent: "agent", Job: "job",
}

// String returns the name of the link.
func (l Link) String() string { return links[l] }

// MarshalText writes the name of the link.
func (l Link) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a link that [Link.MarshalText] wrote.
func (l *Link) UnmarshalText(text []byte) error { return unmarshal(l, links[:], text) }

func unmarshal[T ~int](into *T, names []string, text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*into = T(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// Kind is something that can be found. A word in braces, as in "modprobe
// {module}", stands for what a finding fills in.
type Kind struct {
	// Code names the kind. It stays the same from release to release.
	Code string
	// Link is where it is found.
	Link Link
	// Severity says how much it matters.
	Severity Severity
	// What is so.
	What string
	// Why it matters; empty if nothing is wrong.
	Why string
	// Mend is the command or the lines of configuration that mend it; empty if
	// nothing is wrong.
	Mend string
}

// Finding is something that was found.
type Finding struct {
	// Code is that of the finding's [Kind].
	Code string `json:"code"`
	// Severity says how much it matters.
	Severity Severity `json:"severity"`
	// Link is where it was found.
	Link Link `json:"link"`
	// Subject is what it is about: a device, a file, a block of the
	// configuration.
	Subject string `json:"subject"`
	// What is so.
	What string `json:"what"`
	// Details are further lines to What, such as those of a log.
	Details []string `json:"details,omitempty"`
	// Why it matters; empty if nothing is wrong.
	Why string `json:"why,omitempty"`
	// Mend is the command or the lines of configuration that mend it; empty if
	// nothing is wrong.
	Mend string `json:"mend,omitempty"`
}

// Report is all that was found.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Count returns how many findings have a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// values fill in the words in braces of a [Kind].
type values map[string]string

// find adds a finding. Details go below what is so.
func (r *Report) find(k *Kind, subject string, v values, details ...string) {
	pairs := make([]string, 0, 2*len(v))
	for name, value := range v {
		pairs = append(pairs, "{"+name+"}", value)
	}
	fill := strings.NewReplacer(pairs...)
	r.Findings = append(r.Findings, Finding{
		Code: k.Code, Severity: k.Severity, Link: k.Link, Subject: subject,
		What: fill.Replace(k.What), Details: details, Why: fill.Replace(k.Why), Mend: fill.Replace(k.Mend),
	})
}
