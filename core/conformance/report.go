package conformance

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Status is how a case ended.
type Status string

// The ways in which a case can end.
const (
	// Passed says that the plugin keeps the rule, as far as could be seen.
	Passed Status = "passed"
	// Failed says that the plugin breaks the rule.
	Failed Status = "failed"
	// Skipped says that it could not be decided.
	Skipped Status = "skipped"
)

// Result is the outcome of a case.
type Result struct {
	Case
	// Status is how it ended.
	Status Status `json:"status"`
	// Seen is what was seen: the breaches, the reason of a skip, or a remark.
	Seen []string `json:"seen,omitempty"`
	// Took is how long it took.
	Took time.Duration `json:"took_ns"`
}

// explain returns all about a case that failed, over several lines.
func (r Result) explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Case, r.Text)
	for i, line := range r.Seen {
		label := "seen:"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(&b, "    %-7s %s\n", label, line)
	}
	fmt.Fprintf(&b, "    %-7s %s\n    %-7s %s\n    %-7s %s\n", "Nomad:", r.Otherwise, "mend:", r.Mend, "source:", r.Source)
	return b.String()
}

// Report is what became of a plugin's check.
type Report struct {
	// Plugin is the target, Path its file if it is a binary.
	Plugin string `json:"plugin"`
	Path   string `json:"path,omitempty"`
	// Name and Version are what the plugin calls itself.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Started is when the check began, Took how long it lasted.
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	// Results are in the order of [Cases].
	Results []Result `json:"results"`
}

// Count returns how many cases ended so.
func (r *Report) Count(s Status) int {
	n := 0
	for _, result := range r.Results {
		if result.Status == s {
			n++
		}
	}
	return n
}

// Passed returns whether no case failed.
func (r *Report) Passed() bool { return r.Count(Failed) == 0 }

// WriteText writes the report for people: the count, all about the cases that
// failed, and why others were skipped.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	verdict := "keeps the contract"
	if !r.Passed() {
		verdict = "breaks the contract"
	}
	fmt.Fprintf(&b, "%s %s %s: %d failed, %d passed, %d skipped, in %v\n",
		cmp.Or(r.Name, r.Plugin), r.Version, verdict, r.Count(Failed), r.Count(Passed), r.Count(Skipped), r.Took.Round(100*time.Millisecond))
	for _, result := range r.Results {
		if result.Status == Failed {
			fmt.Fprintf(&b, "\nFAILED %s", result.explain())
		}
	}
	r.listSkipped(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// listSkipped lists the cases that were skipped, by the reason.
func (r *Report) listSkipped(b *strings.Builder) {
	var reasons []string
	cases := map[string][]string{}
	for _, result := range r.Results {
		if result.Status != Skipped {
			continue
		}
		reason := strings.Join(result.Seen, "; ")
		if cases[reason] == nil {
			reasons = append(reasons, reason)
		}
		cases[reason] = append(cases[reason], result.String())
	}
	for _, reason := range reasons {
		fmt.Fprintf(b, "\nskipped, because %s:\n    %s\n", reason, strings.Join(cases[reason], ", "))
	}
}

// String returns the rule and the name of the case.
func (r Result) String() string { return r.Case.String() }

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		*Report
		Failed  int `json:"failed"`
		Passed  int `json:"passed"`
		Skipped int `json:"skipped"`
	}{r, r.Count(Failed), r.Count(Passed), r.Count(Skipped)})
}

// The elements of a JUnit report, as far as continuous integration reads them.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Stamp    string      `xml:"timestamp,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitMessage `xml:"failure"`
		Skipped *junitMessage `xml:"skipped"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes the report as JUnit's XML, which continuous integration
// shows as tests.
func (r *Report) WriteJUnit(w io.Writer) error {
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
	suite := junitSuite{
		Name: "conformance of " + cmp.Or(r.Name, r.Plugin), Tests: len(r.Results), Failures: r.Count(Failed), Skipped: r.Count(Skipped),
		Time: seconds(r.Took), Stamp: r.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, result := range r.Results {
		c := junitCase{Class: "conformance." + result.Rule, Name: result.Name, Time: seconds(result.Took)}
		message := strings.Join(result.Seen, "; ")
		switch result.Status {
		case Failed:
			c.Failure = &junitMessage{Message: message, Text: result.explain()}
		case Skipped:
			c.Skipped = &junitMessage{Message: message}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
