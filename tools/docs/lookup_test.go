package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// known are the commands of a system, and those of vendors and tools that the
// pages name. What they are given is theirs to know.
var known = strings.Fields(`
	apk apt-get cat cd chmod chown command cp curl cut diff dnf dmesg echo env export find fuser getfacl gpg grep head
	id install jq journalctl kill ldd less ln ls lsmod lspci mkdir mktemp modprobe mv paste printf ps pwd readlink rm
	sed set sha256sum sleep sort stat sudo sysctl systemctl tail tee test touch tr true udevadm uname unset unzip usermod wait
	dpkg rpm git gofumpt docker promtool bash sh [
	amd-smi nvidia-ctk nvidia-modprobe nvidia-smi rocminfo rocm-smi xbmgmt xbutil`)

// lookup knows the commands of this project and of Nomad, and their flags.
type lookup struct {
	programs
	root     string
	makefile string

	mu    sync.Mutex
	helps map[string][]byte
}

func newLookup(t *testing.T) *lookup {
	t.Helper()
	l := &lookup{programs: built(t), root: root(t), helps: map[string][]byte{}}
	makefile, err := os.ReadFile(filepath.Join(l.root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	l.makefile = string(makefile)
	return l
}

// command says what is wrong with a command; nil means that there is one.
func (l *lookup) command(call words) error {
	name := call[0]
	switch {
	case name == "devctl" || name == ".bin/devctl":
		return l.devctlCommand(call[1:])
	case name == "nomad":
		return l.nomadCommand(call[1:])
	case name == "make":
		return l.makeCommand(call[1:])
	case name == "go":
		return l.goCommand(call[1:])
	case strings.HasPrefix(name, ".bin/"), strings.HasPrefix(name, "./nomad-device-"), strings.HasPrefix(name, "nomad-device-"), strings.Contains(name, "?"):
		return nil
	case strings.Contains(name, "/"):
		if _, err := os.Stat(filepath.Join(l.root, name)); err != nil {
			return errors.New("there is no such file in the repository")
		}
		return nil
	case !slices.Contains(known, name):
		return fmt.Errorf("the command %q is not known to this test: if it is right, add it to the list", name)
	}
	return nil
}

// help returns what a program says when it is asked for help.
func (l *lookup) help(program string, args ...string) []byte {
	key := strings.Join(append([]string{program}, args...), " ")
	l.mu.Lock()
	defer l.mu.Unlock()
	text, ok := l.helps[key]
	if !ok {
		// Nomad's groups of commands print their help and fail.
		text, _ = exec.CommandContext(context.Background(), program, args...).CombinedOutput()
		l.helps[key] = text
	}
	return text
}

func (l *lookup) devctlCommand(args words) error {
	path := args
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") {
			path = args[:i]
			break
		}
	}
	// The help of a name that is no command is that of its parent.
	var command []string
	for _, name := range path {
		help := l.help(l.devctl, append(slices.Clone(command), name, "--help")...)
		if !regexp.MustCompile(`(?m)^  devctl ` + regexp.QuoteMeta(strings.Join(append(slices.Clone(command), name), " ")) + `( |$)`).Match(help) {
			break
		}
		command = append(command, name)
	}
	if len(command) == 0 && len(path) > 0 {
		return fmt.Errorf("devctl has no command %q", path[0])
	}
	if slices.Equal(command, []string{"simulate"}) && len(path) > 1 {
		return fmt.Errorf("devctl simulate has no command %q", path[1])
	}
	return checkFlags(args, flagsIn(l.help(l.devctl, append(command, "--help")...)))
}

func (l *lookup) nomadCommand(args words) error {
	var command []string
	for _, name := range args {
		if strings.HasPrefix(name, "-") {
			break
		}
		help := l.help(l.nomad.Path, append(slices.Clone(command), name, "-help")...)
		if !strings.HasPrefix(string(help), "Usage: nomad "+strings.Join(append(slices.Clone(command), name), " ")) {
			break
		}
		command = append(command, name)
	}
	if len(command) == 0 {
		if len(args) > 0 && strings.HasPrefix(args[0], "-") {
			return nil
		}
		return errors.New("Nomad has no such command")
	}
	help := l.help(l.nomad.Path, append(command, "-help")...)
	if strings.Contains(string(help), " <subcommand> ") && len(args) > len(command) {
		return fmt.Errorf("nomad %s has no command %q", strings.Join(command, " "), args[len(command)])
	}
	return checkFlags(args, flagsIn(help))
}

func (l *lookup) makeCommand(args words) error {
	for _, arg := range args {
		name, _, variable := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, "-"):
		case variable && !regexp.MustCompile(`\$[({]{1,2}`+name+`\b`).MatchString(l.makefile):
			return fmt.Errorf("the Makefile has no use for %q", name)
		case !variable && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(arg)+`:`).MatchString(l.makefile):
			return fmt.Errorf("there is no target %q", arg)
		}
	}
	return nil
}

// goCommand looks whether the packages are there that a go command is about.
func (l *lookup) goCommand(args words) error {
	for _, arg := range args {
		dir, isPath := strings.CutPrefix(arg, "./")
		if !isPath {
			continue
		}
		dir = strings.TrimSuffix(strings.TrimSuffix(dir, "..."), "/")
		// Pages of modules name packages below the module, others from the root.
		found := false
		for _, module := range []string{".", "core", "tools", "plugins/amd", "plugins/fpga", "plugins/nvidia"} {
			if _, err := os.Stat(filepath.Join(l.root, module, dir)); err == nil {
				found = true
			}
		}
		if !found && !strings.Contains(dir, "nomad-device-acme") && dir != "cmd/simulate" {
			return fmt.Errorf("there is no package %q", arg)
		}
	}
	return nil
}

// TestLookup sees that what does not exist is not found.
func TestLookup(t *testing.T) {
	t.Parallel()
	l := newLookup(t)
	for _, right := range []words{
		{"devctl", "inspect", "x", "--stats"},
		{"devctl", "simulate", "start", "8xh100", "--dir", "x"},
		{"devctl", "check", "x", "-json"},
		{"nomad", "node", "status", "-self", "-verbose"},
		{"nomad", "node", "drain", "-enable", "-self", "-yes"},
		{"nomad", "operator", "api", "/v1/nodes"},
		{"make", "-s", "bench", "JSON=1"},
		{"go", "test", "./plugins/amd"},
		{"build/release/tag", "X.Y.Z"},
	} {
		if err := l.command(right); err != nil {
			t.Errorf("%s: %v", strings.Join(right, " "), err)
		}
	}
	for _, wrong := range []words{
		{"devctl", "inspekt"},
		{"devctl", "inspect", "x", "--stat"},
		{"devctl", "simulate", "begin"},
		{"nomad", "node", "statuses"},
		{"nomad", "node", "status", "-json2"},
		{"nomad", "nodes"},
		{"make", "demos"},
		{"make", "bench", "PEERS=1"},
		{"go", "test", "./plugins/intel"},
		{"build/release/tags"},
		{"nvidia-sim"},
	} {
		if err := l.command(wrong); err == nil {
			t.Errorf("%s: not found to be wrong", strings.Join(wrong, " "))
		}
	}
}
