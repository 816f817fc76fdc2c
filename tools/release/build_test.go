package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bare copies build/release/build into a directory of its own and returns a command
// that finds no programs but the named ones.
func bare(t *testing.T, programs []string, args ...string) *exec.Cmd {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(root(t), "build", "release", "build"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, bin := filepath.Join(dir, "build", "release", "build"), filepath.Join(dir, "bin")
	for _, d := range []string{filepath.Dir(path), bin} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, script, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range programs {
		target, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + bin}
	return cmd
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	cmd := bare(t, []string{"dirname", "git"}, "snapshot")
	cmd.Env = append(cmd.Env, "GPG_FINGERPRINT=0123")
	output, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("it builds without a compiler: %s", output)
	}
	for _, want := range []string{
		"\n  go (golang)\n", "\n  gpg (gnupg)\n", "\n  x86_64-linux-gnu-gcc (gcc)\n", "\n  aarch64-linux-gnu-gcc (gcc-aarch64-linux-gnu)\n",
		"\n  goreleaser (make release-tools builds it)\n", "\n  syft (make release-tools builds it)\n",
		"\n  stdlib.h for x86_64-linux-gnu-gcc (libc6-dev)\n", "\n  stdlib.h for aarch64-linux-gnu-gcc (libc6-dev-arm64-cross)\n",
	} {
		if !strings.Contains(string(output), want) {
			t.Errorf("it does not say %q but\n%s", want, output)
		}
	}
	if strings.Contains(string(output), "\n  git (") {
		t.Errorf("git is there, and it says\n%s", output)
	}
}

func TestBuildUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"publish"}} {
		output, err := bare(t, []string{"dirname"}, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(output), "snapshot|rebuild|release") {
			t.Errorf("build %q: %v, %s", args, err, output)
		}
	}
}
