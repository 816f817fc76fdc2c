package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// seldom are the metrics that a plugin serves only when something went wrong
// that these tests do not make, with the test that makes it.
var seldom = []string{
	"nomad_device_plugin_call_failures_total", // core/metrics, TestOwnNumbers
}

// TestNothingIsAskedForThatNobodyServes runs all plugins and holds the dashboard,
// the alert rules and the page against what they serve.
func TestNothingIsAskedForThatNobodyServes(t *testing.T) {
	t.Parallel()
	all := map[string]bool{}
	for vendor := range plugins {
		t.Run(vendor, func(t *testing.T) {
			text := served(t, vendor)
			if problems, err := lint(text); err != nil || len(problems) > 0 {
				t.Errorf("against the conventions of Prometheus: %+v, %v", problems, err)
			}
			maps.Copy(all, names(text))
		})
	}
	for _, name := range seldom {
		all[name] = true
	}
	if t.Failed() || len(all) < 60 {
		t.Fatalf("%d metrics", len(all))
	}
	asked := map[string][]string{"monitoring/alerts.yaml": rules(t), "monitoring/dashboard.json": queries(t), "docs/metrics.md": {file(t, "docs/metrics.md")}}
	for where, expressions := range asked {
		for _, expression := range expressions {
			for _, name := range metric.FindAllString(expression, -1) {
				if !all[name] && !all[name+"_bucket"] && name != "nomad_device_" {
					t.Errorf("%s has %s, which no plugin serves", where, name)
				}
			}
		}
	}
	page := file(t, "docs/metrics.md")
	for name := range all {
		plain := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if strings.HasPrefix(name, "nomad_device_plugin_") && !strings.Contains(page, "`"+plain+"`") {
			t.Errorf("docs/metrics.md does not explain %s", plain)
		}
	}
}

var metric = regexp.MustCompile(`nomad_device_[a-z0-9_]*`)

// rules returns the expressions of the alert rules.
func rules(t *testing.T) []string {
	t.Helper()
	var parsed struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Expr        string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, "monitoring/alerts.yaml")), &parsed); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, g := range parsed.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" || r.Expr == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("a rule without a name, an expression, a summary or a description: %+v", r)
			}
			all = append(all, r.Expr)
		}
	}
	if len(all) < 8 {
		t.Fatalf("%d rules", len(all))
	}
	return all
}

// queries returns the queries of the dashboard.
func queries(t *testing.T) []string {
	t.Helper()
	var parsed struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	if err := json.Unmarshal([]byte(file(t, "monitoring/dashboard.json")), &parsed); err != nil {
		t.Fatal(err)
	}
	var all, variables []string
	ids := map[int]bool{}
	for _, v := range parsed.Templating.List {
		variables = append(variables, v.Name)
		if v.Definition != "" {
			all = append(all, v.Definition)
		}
	}
	for _, p := range parsed.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.W == 0 || p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its number, title, place or query is wrong", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			for _, match := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !strings.HasPrefix(match[1], "__") && !slices.Contains(variables, match[1]) {
					t.Errorf("panel %q uses the variable %s, which is not defined", p.Title, match[1])
				}
			}
			all = append(all, target.Expr)
		}
	}
	return all
}

// TestPromtool checks the rules and runs their unit tests, and checks the
// dashboard's queries as if they were rules.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("no promtool on PATH, as Debian's package prometheus has it: %v", err)
	}
	root, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var recorded []rule
	for i, query := range queries(t) {
		if !strings.HasPrefix(query, "label_values") {
			query = strings.NewReplacer("$__rate_interval", "5m").Replace(query)
			recorded = append(recorded, rule{fmt.Sprintf("dashboard:query:%d", i), query})
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": recorded}}})
	if err != nil {
		t.Fatal(err)
	}
	dashboard := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(dashboard, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}, {"check", "rules", dashboard},
	} {
		command := exec.Command(promtool, args...)
		command.Dir = filepath.Join(root, "monitoring")
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	tests := file(t, "monitoring/alerts_test.yaml")
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(file(t, "monitoring/alerts.yaml"), -1) {
		if !strings.Contains(tests, "alertname: "+alert[1]+"\n") {
			t.Errorf("%s has no test in alerts_test.yaml", alert[1])
		}
	}
}
