package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// signWithNewKey is what a shell runs before it makes the snapshot that is signed:
// it makes a key for nothing else. $KEYS is where that is kept.
const signWithNewKey = `
mkdir -m 700 "$KEYS"
export GNUPGHOME="$KEYS"
gpg --batch --quiet --passphrase '' --quick-generate-key 'A release that is a test <test@example.com>' ed25519 sign never
export GPG_FINGERPRINT=$(gpg --batch --list-keys --with-colons | awk -F: '$1 == "fpr" { print $10; exit }')
`

// TestSnapshotSignature verifies a release as docs/releasing.md tells its users to.
func TestSnapshotSignature(t *testing.T) {
	s := snapshots(t)
	sums := s.file("nomad-devices_VERSION_SHA256SUMS")
	for _, cmd := range []*exec.Cmd{
		exec.CommandContext(t.Context(), "gpg", "--batch", "--verify", sums+".sig", sums),
		exec.CommandContext(t.Context(), "sha256sum", "--check", "--ignore-missing", "--strict", filepath.Base(sums)),
	} {
		cmd.Dir, cmd.Env = s.dist, append(os.Environ(), "GNUPGHOME="+keys())
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%q: %v\n%s", cmd.Args, err, output)
		}
	}
	// The other one was made where no key is.
	another, err := second()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(another.file("nomad-devices_VERSION_SHA256SUMS.sig")); !os.IsNotExist(err) {
		t.Errorf("without a key there is a signature, %v", err)
	}
}

// keys is where the key of the test is kept.
func keys() string { return filepath.Join(workDir, "keys") }

// stopKeys ends what gpg leaves running for the key.
func stopKeys() {
	if _, err := os.Stat(keys()); err != nil {
		return
	}
	stop := exec.Command("gpgconf", "--kill", "all")
	stop.Env = append(os.Environ(), "GNUPGHOME="+keys())
	_ = stop.Run() // it ends by itself when its directory is gone
}
