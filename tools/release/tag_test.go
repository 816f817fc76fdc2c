package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a repository with what build/release/tag needs.
type repository struct {
	t   *testing.T
	dir string
}

// newRepository makes one with a changelog whose last version is 0.2.0.
func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	script, err := os.ReadFile(filepath.Join(root(t), "build", "release", "tag"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(r.dir, "build", "release"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "build", "release", "tag"), script, 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- This.\n\n## [0.1.0] - 2026-01-02\n\n- That.\n\n[Unreleased]: x\n")
	r.git("init", "--quiet", "--initial-branch=main")
	r.commit()
	return r
}

func (r repository) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GPG_FINGERPRINT=", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	output, err := r.run("git", args...)
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(output)
}

func (r repository) commit() {
	r.t.Helper()
	r.git("add", "--all")
	r.git("commit", "--quiet", "--message=x")
}

func TestTag(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.git("tag", "v0.1.0")
	r.git("tag", "v0.2.0-rc.1")
	if output, err := r.run("build/release/tag", "0.2.0"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	head := r.git("rev-parse", "HEAD")
	for _, tag := range []string{"v0.2.0", "core/v0.2.0"} {
		if got := r.git("rev-parse", tag+"^{commit}"); got != head {
			t.Errorf("%s is on %s, want the commit that is checked out, %s", tag, got, head)
		}
		if kind := r.git("cat-file", "-t", tag); kind != "tag" {
			t.Errorf("%s is a %s, want an annotated tag", tag, kind)
		}
	}
}

func TestTagRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		version string
		spoil   func(repository)
		says    string
	}{
		"no version":           {version: "v0.2.0", says: "is no version"},
		"a leading zero":       {version: "0.02.0", says: "is no version"},
		"another branch":       {spoil: func(r repository) { r.git("checkout", "--quiet", "-b", "work") }, says: "this is work"},
		"no branch":            {spoil: func(r repository) { r.git("checkout", "--quiet", "--detach") }, says: "this is no branch"},
		"a changed file":       {spoil: func(r repository) { r.write("CHANGELOG.md", "") }, says: "changes that no commit holds"},
		"a new file":           {spoil: func(r repository) { r.write("new", "") }, says: "changes that no commit holds"},
		"the tag is there":     {spoil: func(r repository) { r.git("tag", "v0.2.0") }, says: "v0.2.0 is there already"},
		"core's tag is there":  {spoil: func(r repository) { r.git("tag", "core/v0.2.0") }, says: "core/v0.2.0 is there already"},
		"a newer version":      {spoil: func(r repository) { r.git("tag", "v0.10.0") }, says: "0.2.0 is not after 0.10.0"},
		"a candidate too late": {version: "0.2.0-rc.1", spoil: func(r repository) { r.git("tag", "v0.2.0") }, says: "0.2.0-rc.1 is not after 0.2.0"},
		"no entry":             {version: "0.3.0", says: `no heading "## [0.3.0] - YYYY-MM-DD"`},
		"an empty entry": {says: "says nothing of 0.2.0", spoil: func(r repository) {
			r.write("CHANGELOG.md", "## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n[Unreleased]: x\n")
			r.commit()
		}},
		"entries left": {says: "still has entries under Unreleased", spoil: func(r repository) {
			r.write("CHANGELOG.md", "## [Unreleased]\n\n- This.\n\n## [0.2.0] - 2026-02-03\n\n- That.\n")
			r.commit()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			if test.spoil != nil {
				test.spoil(r)
			}
			version := test.version
			if version == "" {
				version = "0.2.0"
			}
			before := r.git("tag")
			output, err := r.run("build/release/tag", version)
			if err == nil || !strings.Contains(output, test.says) {
				t.Errorf("%v, %q, want a refusal that says %q", err, output, test.says)
			}
			if after := r.git("tag"); after != before {
				t.Errorf("the tags are now %q, were %q", after, before)
			}
		})
	}
}
