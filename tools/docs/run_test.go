package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// place is where the blocks of one page run, one after the other as its reader
// would: an own directory with the built programs in .bin and on PATH, and an
// environment in which nothing leads to an agent or a driver of this machine.
type place struct {
	programs
	dir   string
	tools string // a directory that comes first on PATH
	env   []string
	// agent is a Nomad agent with the NVIDIA plugin, if the page needs one.
	agent *agent.Agent
	// replace is what differs between the page and this place, such as a port.
	replace []string
}

// made are the targets of make that a place has from the start. The gate makes
// them with make; here they were built already.
const made = `#!/bin/sh
for target; do
  case $target in
  build | plugins | devctl) ;;
  *) echo "make $target is not to be run here" >&2; exit 1 ;;
  esac
done
`

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{programs: built(t), dir: t.TempDir(), tools: t.TempDir()}
	for _, err := range []error{
		os.WriteFile(filepath.Join(p.tools, "make"), []byte(made), 0o755),
		os.Symlink(p.programs.dir, filepath.Join(p.dir, ".bin")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return regexp.MustCompile(`^(NOMAD|CUDA|NVIDIA|ROCR|AMD)_|^PATH=`).MatchString(entry)
	})
	p.env = append(p.env, "PATH="+strings.Join([]string{p.tools, p.programs.dir, os.Getenv("PATH")}, ":"))
	return p
}

// patience is how long a block may take on a busy machine.
const patience = 2 * time.Minute

// run runs a script and returns what it prints, on both outputs.
func (p *place) run(ctx context.Context, script, shell string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	args := []string{"-e", "-c", strings.NewReplacer(p.replace...).Replace(script)}
	if shell == "bash" {
		args = append([]string{"-o", "pipefail"}, args...)
	}
	cmd := exec.CommandContext(ctx, shell, args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it was not done after %s", patience)
	}
	return output.String(), err
}

// TestBlocks runs the blocks that can be run on any machine, and sees that the
// table has all others, with the reason why they are not run.
func TestBlocks(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range pages(t) {
		shown := slices.DeleteFunc(slices.Clone(p.blocks), func(b block) bool { return b.language == "" || !isShell(b) })
		seen[p.path] = true
		if test, ok := elsewhere[p.path]; ok {
			source, err := os.ReadFile(filepath.Join(root(t), test))
			if err != nil || !strings.Contains(string(source), filepath.Base(p.path)) {
				t.Errorf("the blocks of %s are said to be run by %s, which does not name the page (%v)", p.path, test, err)
			}
			continue
		}
		if len(shown) == 0 && len(table[p.path]) == 0 {
			continue
		}
		t.Run(p.path, func(t *testing.T) {
			t.Parallel()
			runPage(t, p.path, shown)
		})
	}
	for path := range table {
		if !seen[path] {
			t.Errorf("the table has blocks of %s, which is no page", path)
		}
	}
}

func runPage(t *testing.T, path string, shown []block) {
	t.Helper()
	entries := table[path]
	if len(entries) != len(shown) {
		t.Errorf("%s has %d blocks for a shell, and the table in blocks_test.go %d", path, len(shown), len(entries))
	}
	var here *place
	for i, b := range shown[:min(len(shown), len(entries))] {
		entry := entries[i]
		if entry.begins != firstLine(b) {
			t.Errorf("%s begins with %q, and in the table with %q", b.name(), firstLine(b), entry.begins)
			continue
		}
		if entry.parsed != "" {
			continue // TestEveryCommand has parsed it
		}
		if here == nil {
			here = newPlace(t)
		}
		if entry.before != nil {
			entry.before(t, here)
		}
		if entry.agent && here.agent == nil {
			startAgent(t, here)
		}
		t.Run(strconv.Itoa(b.line), func(t *testing.T) { here.runBlock(t, b, entry) })
	}
}

func (p *place) runBlock(t *testing.T, b block, entry shown) {
	t.Helper()
	if entry.agent && p.agent == nil {
		t.Skipf("this machine cannot run a Nomad agent, it needs %v", agent.Requirements())
	}
	shell := "sh"
	if b.language == "bash" {
		shell = "bash"
	}
	output, err := p.run(t.Context(), script(b)+entry.then, shell)
	if err != nil {
		t.Errorf("%s: %v\n%s", b.name(), err, output)
	}
	for _, text := range entry.prints {
		if !strings.Contains(output, text) {
			t.Errorf("%s: it does not print %q but:\n%s", b.name(), text, output)
		}
	}
}

// TestPlace sees that a script that fails is found to fail.
func TestPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, wrong := range []string{"false\ntrue", "make demo", "nomad-device-intel", "devctl inspect nothing"} {
		if output, err := p.run(t.Context(), wrong, "sh"); err == nil {
			t.Errorf("%q was run without an error: %s", wrong, output)
		}
	}
	if output, err := p.run(t.Context(), "make build\n.bin/devctl version", "sh"); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}
