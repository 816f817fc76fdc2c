package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

// DefaultWatch is how long a quiet plugin is watched.
const DefaultWatch = 3 * time.Second

// Options say how a plugin is checked. The zero value runs the short cases with
// the plugin's default configuration.
type Options struct {
	// Config is the plugin's configuration, as the content of its config block:
	// blocks are maps.
	Config map[string]any
	// Encode turns a configuration into what SetConfig takes, in the way of
	// Nomad's plugin loader. nil packs the configuration with the defaults of
	// the schema and does not check it.
	Encode func(schema *hclspec.Spec, config map[string]any) ([]byte, error)
	// Hardware is what the plugin drives; nil means that it cannot be broken.
	Hardware Hardware
	// PlainNodes says that plain files may stand in for device nodes.
	PlainNodes bool
	// Long adds the cases that take minutes.
	Long bool
	// Run, if not nil, chooses the cases whose "C12/first-message" matches.
	Run *regexp.Regexp
	// Skip, if not nil, leaves out the cases that match.
	Skip *regexp.Regexp
	// Watch is how long a quiet plugin is watched; 0 means [DefaultWatch].
	Watch time.Duration
	// Progress, if not nil, is told each result as it is known, one at a time.
	Progress func(Result)

	limits limits
	alone  bool // no two cases at once
}

// Run checks a plugin in a test. Each case is a subtest.
func Run(t *testing.T, target Target, options Options) {
	t.Helper()
	report, err := Check(t.Context(), target, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		t.Run(r.Case.String(), func(t *testing.T) {
			switch r.Status {
			case Failed:
				t.Error(r.explain())
			case Skipped:
				t.Skip(strings.Join(r.Seen, "; "))
			default:
				t.Log(strings.Join(r.Seen, "; "))
			}
		})
	}
}

// Check checks a plugin. The error says why nothing could be checked: the plugin
// does not start, or its configuration is not right. What is wrong with a plugin
// that starts is in the report.
func Check(ctx context.Context, target Target, options Options) (*Report, error) {
	if options.Encode == nil {
		options.Encode = encode
	}
	if options.Watch <= 0 {
		options.Watch = DefaultWatch
	}
	if options.limits == (limits{}) {
		options.limits = usual
	}
	s := &suite{
		target: target, options: options, settings: maps.Clone(options.Config),
		session: &session{}, faults: newTrials(), results: map[string]Result{},
	}
	if s.settings == nil {
		s.settings = map[string]any{}
	}
	start := time.Now()
	if options.Hardware != nil {
		if err := options.Hardware.Repair(); err != nil {
			return nil, fmt.Errorf("repairing the hardware: %w", err)
		}
	}
	lead := s.bench()
	err := s.session.lead(ctx, lead)
	lead.close()
	if err != nil {
		return nil, err
	}
	s.run(ctx)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	report := &Report{Plugin: target.Label(), Started: start, Took: time.Since(start)}
	if b, ok := target.(Binary); ok {
		report.Path = b.Path
	}
	if info := s.session.info; info != nil {
		report.Name, report.Version = info.Name, info.PluginVersion
	}
	for _, c := range table {
		if r, ok := s.results[c.String()]; ok {
			report.Results = append(report.Results, r)
		}
	}
	return report, nil
}

// suite is one run of the cases.
type suite struct {
	target   Target
	options  Options
	settings map[string]any
	session  *session
	troubles troubles
	faults   *trials

	mu      sync.Mutex
	results map[string]Result
}

func (s *suite) bench() *bench {
	return &bench{
		target: s.target, options: s.options, settings: s.settings, session: s.session,
		troubles: &s.troubles, trials: s.faults, limits: s.options.limits,
	}
}

// sideBySide is how many cases run at once. Most of them wait.
const sideBySide = 4

// run runs the cases: those that look at quiet hardware side by side, then those
// that break it one after the other, then those that judge what the others saw.
func (s *suite) run(ctx context.Context) {
	var quiet, loud, last []Case
	for _, c := range table {
		switch {
		case !s.chosen(c):
		case c.last:
			last = append(last, c)
		case c.Needs.Hardware:
			loud = append(loud, c)
		default:
			quiet = append(quiet, c)
		}
	}
	many := sideBySide
	if s.options.alone {
		many = 1
	}
	slots := make(chan struct{}, many)
	var running sync.WaitGroup
	for _, c := range quiet {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			s.runCase(ctx, c)
		})
	}
	running.Wait()
	for _, c := range slices.Concat(loud, last) {
		s.runCase(ctx, c)
	}
}

func (s *suite) chosen(c Case) bool {
	if s.options.Run != nil && !s.options.Run.MatchString(c.String()) {
		return false
	}
	return s.options.Skip == nil || !s.options.Skip.MatchString(c.String())
}

func (s *suite) runCase(ctx context.Context, c Case) {
	if ctx.Err() != nil {
		return
	}
	start := time.Now()
	b := s.bench()
	err := s.undecidable(c)
	if err == nil {
		err = c.check(ctx, b)
	}
	b.close()
	r := Result{Case: c, Status: Passed, Took: time.Since(start)}
	if err != nil {
		r.Status = Failed
		if _, ok := errors.AsType[skipped](err); ok {
			r.Status = Skipped
		}
		r.Seen = linesOf(err)
	} else {
		r.Seen = b.notes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[c.String()] = r
	if s.options.Progress != nil {
		s.options.Progress(r)
	}
}

// undecidable returns why a case cannot run here, or nil.
func (s *suite) undecidable(c Case) error {
	_, binary := s.target.(Binary)
	switch {
	case c.Long && !s.options.Long:
		return skip("it takes minutes; ask for the long cases")
	case c.Needs.Binary && !binary:
		return skip("it needs a binary, and the plugin runs in process")
	case c.Needs.Hardware && s.options.Hardware == nil:
		return skip("it needs hardware that can be broken, such as a simulator's")
	case c.Needs.Hardware:
		return s.session.unready()
	default:
		return nil
	}
}

// mostLines is how much of what a case saw is told.
const mostLines = 12

// linesOf returns what an error says, line by line, each once.
func linesOf(err error) []string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimRight(line, "\n"); line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if more := len(lines) - mostLines; more > 1 {
		lines = append(lines[:mostLines], fmt.Sprintf("and %d more", more))
	}
	return lines
}
