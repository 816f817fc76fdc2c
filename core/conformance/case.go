package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Case checks one rule.
type Case struct {
	// Rule is the rule's number, such as "C12". A rule may have several cases.
	Rule string `json:"rule"`
	// Name tells the cases apart: "first-message".
	Name string `json:"name"`
	// Text says what a plugin must do.
	Text string `json:"text"`
	// Otherwise says what Nomad does to a plugin that does not.
	Otherwise string `json:"otherwise"`
	// Source says where that can be read in Nomad v1.11.3 ("client/..."), in
	// go-plugin v1.7.0 ("go-plugin/..."), that it was observed, or that the
	// rule is stricter than Nomad ("policy").
	Source string `json:"source"`
	// Mend says what to change in a plugin that fails.
	Mend string `json:"mend"`
	// Long says that the case takes minutes and runs only on request.
	Long bool `json:"long,omitempty"`
	// Needs says what the case cannot run without.
	Needs Needs `json:"needs,omitzero"`

	check func(context.Context, *bench) error
	// last says that the case judges what the others saw.
	last bool
}

// String returns the rule and the name: "C12/first-message".
func (c Case) String() string { return c.Rule + "/" + c.Name }

// Needs is what a case cannot run without.
type Needs struct {
	// Binary says that the plugin must be a process of its own.
	Binary bool `json:"binary,omitempty"`
	// Hardware says that the caller must lend its [Hardware].
	Hardware bool `json:"hardware,omitempty"`
}

// String says in words what is needed; "" is nothing.
func (n Needs) String() string {
	var needs []string
	if n.Binary {
		needs = append(needs, "a binary")
	}
	if n.Hardware {
		needs = append(needs, "hardware that can be broken")
	}
	return strings.Join(needs, ", ")
}

// Cases returns all cases in the order in which they are reported: those first
// whose breach hurts an agent most.
func Cases() []Case { return append([]Case(nil), table...) }

// skipped is the error of a case that cannot be decided.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

func skip(format string, args ...any) error { return skipped{fmt.Sprintf(format, args...)} }

// problems gathers what a case has seen.
type problems []error

func (p *problems) add(format string, args ...any) {
	*p = append(*p, fmt.Errorf(format, args...))
}

func (p problems) err() error { return errors.Join(p...) }

// with adds a problem and returns all.
func (p *problems) with(format string, args ...any) error {
	p.add(format, args...)
	return p.err()
}
