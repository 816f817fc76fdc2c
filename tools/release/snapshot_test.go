package release

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

var withSnapshot = flag.Bool("snapshot", false, "build two releases of the commit that is checked out, and test them")

// snapshot is a release that was made for the tests.
type snapshot struct {
	dist, version, commit string
	// clone is the repository that it was made in, and work is a place for what
	// is unpacked.
	clone, work string
}

// architectures are what releases are built for, by Go's names, with the names of
// RPM.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// file returns the path of a file in dist. In its name VERSION stands for the
// version.
func (s snapshot) file(name string) string {
	return filepath.Join(s.dist, strings.ReplaceAll(name, "VERSION", s.version))
}

// archive returns the path of a program's archive.
func (s snapshot) archive(program, arch string) string {
	return s.file(program + "_VERSION_linux_" + arch + ".zip")
}

// deb and rpm return the paths of a program's packages. Their versions are written
// so that a release is after its candidates.
func (s snapshot) deb(program, arch string) string {
	return filepath.Join(s.dist, products[program]+"_"+strings.Replace(s.version, "-", "~", 1)+"_"+arch+".deb")
}

func (s snapshot) rpm(program, arch string) string {
	return filepath.Join(s.dist, products[program]+"-"+strings.Replace(s.version, "-", "~", 1)+"-1."+architectures[arch]+".rpm")
}

// program unpacks a program from its archive and returns its path.
func (s snapshot) program(t *testing.T, name, arch string) string {
	t.Helper()
	dir := filepath.Join(s.work, arch, name)
	if _, err := os.Stat(dir); err != nil {
		unzip(t, s.archive(name, arch), dir)
	}
	return filepath.Join(dir, name)
}

// workDir is where the snapshots are. TestMain removes it.
var workDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		flag.Parse()
		var err error
		// The path is short, since sockets will be below it.
		if workDir, err = os.MkdirTemp("", "release-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			stopKeys()
			_ = os.RemoveAll(workDir)
		}()
		return m.Run()
	}())
}

// first and second make a snapshot each, in clones of their own. The first is
// signed. The second is made under other circumstances: another directory, another time zone, other
// permissions of files, and nothing that was compiled before.
var (
	first = sync.OnceValues(func() (snapshot, error) {
		return makeSnapshot(filepath.Join(workDir, "one"), "umask 022\n"+signWithNewKey)
	})
	second = sync.OnceValues(func() (snapshot, error) {
		return makeSnapshot(filepath.Join(workDir, "another", "place"), "umask 077; export TZ=Pacific/Auckland GOCACHE="+filepath.Join(workDir, "cache"))
	})
)

// head returns the commit that was checked out when the tests began. Somebody may go
// on committing.
var head = sync.OnceValues(func() (string, error) {
	root, err := agent.RepositoryRoot()
	if err != nil {
		return "", err
	}
	commit, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("asking git for the commit: %w", err)
	}
	return strings.TrimSpace(string(commit)), nil
})

// snapshots returns the snapshot to test.
func snapshots(t *testing.T) snapshot {
	t.Helper()
	if !*withSnapshot {
		t.Skip("this builds a release, which takes minutes: use -snapshot, or make release-test")
	}
	s, err := first()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func makeSnapshot(dir, circumstances string) (snapshot, error) {
	s := snapshot{clone: dir, dist: filepath.Join(dir, "dist"), work: dir + ".work"}
	root, err := agent.RepositoryRoot()
	if err != nil {
		return s, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return s, err
	}
	if s.commit, err = head(); err != nil {
		return s, err
	}
	script := "set -e\n" + circumstances + `
git clone --quiet "$ROOT" "$DIR"
git -C "$DIR" checkout --quiet --detach "$COMMIT"
# A clone's files are newer than the tools, which are not built again for that.
make -C "$DIR" -o "$BIN/goreleaser" -o "$BIN/syft" snapshot BIN="$BIN"`
	build := exec.CommandContext(context.Background(), "sh", "-c", script)
	build.Env = append(os.Environ(), "ROOT="+root, "DIR="+dir, "COMMIT="+s.commit, "BIN="+cmp.Or(os.Getenv("BIN"), filepath.Join(root, ".bin")), "GPG_FINGERPRINT=", "KEYS="+keys())
	if output, err := build.CombinedOutput(); err != nil {
		return s, fmt.Errorf("making a snapshot in %s: %w\n%s", dir, err, output)
	}
	sums, err := filepath.Glob(filepath.Join(s.dist, "nomad-devices_*_SHA256SUMS"))
	if err != nil || len(sums) != 1 {
		return s, fmt.Errorf("want one file of checksums, got %q, %w", sums, err)
	}
	s.version = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(sums[0]), "nomad-devices_"), "_SHA256SUMS")
	return s, nil
}

// run runs a program and returns what it wrote.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

// need fails a test that has to run programs which are not there. A release that
// was only half tested is not tested.
func need(t *testing.T, programs map[string]string) {
	t.Helper()
	for name, pkg := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Errorf("there is no %s: install %s", name, pkg)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
