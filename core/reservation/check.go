package reservation

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/nomad-devices/nomad-devices/core"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// checkEnv refuses what would not arrive in the task as it is written: Nomad
// replaces ${...} in values, and a bad byte fails the whole reservation.
func checkEnv(key, value string) error {
	switch {
	case !envName.MatchString(key):
		return fmt.Errorf("the variable name %q is not an identifier", key)
	case strings.Contains(value, "${"):
		return fmt.Errorf("the value %q of %s holds \"${\", which Nomad would replace", value, key)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return fmt.Errorf("the value %q of %s is not plain text", value, key)
	default:
		return nil
	}
}

// addNode looks the node up on the host: the exec and java drivers refuse a task
// whose node is missing or a link (C53).
func (m *merger) addNode(n core.Node) error {
	permissions, err := permissionsOf(n.Permissions)
	if err != nil {
		return fmt.Errorf("device node %s: %w", n.Path, err)
	}
	host, mode, err := m.lookUp(n.Path)
	switch {
	case n.Optional && errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("device node %s does not exist on this host; is the driver loaded, and were its nodes made?", m.host.Full(n.Path))
	case err != nil:
		return fmt.Errorf("device node %s: %w", n.Path, err)
	case mode.IsDir() || m.host.Root() == "/" && mode&fs.ModeDevice == 0: // below another root, a file may stand in for a node
		return fmt.Errorf("%s is not a device node (%s)", host, mode)
	}
	if before, ok := m.nodes[n.Path]; ok {
		permissions, _ = permissionsOf(before.Permissions + permissions)
	}
	m.nodes[n.Path] = Node{HostPath: host, TaskPath: n.Path, Permissions: permissions}
	return nil
}

func (m *merger) addMount(mount core.Mount) error {
	if !path.IsAbs(mount.TaskPath) {
		return fmt.Errorf("mount %s: the path %q in the task is not absolute", mount.HostPath, mount.TaskPath)
	}
	host, _, err := m.lookUp(mount.HostPath)
	if err != nil {
		return fmt.Errorf("mount %s: %w", mount.HostPath, err)
	}
	next := Mount{HostPath: host, TaskPath: path.Clean(mount.TaskPath), Writable: mount.Writable}
	if before, ok := m.mounts[next.TaskPath]; ok && before != next {
		return fmt.Errorf("wants %s mounted at %s, where another device wants %s", next.HostPath, next.TaskPath, before.HostPath)
	}
	m.mounts[next.TaskPath] = next
	return nil
}

// lookUp returns where a host path really is, and what is there.
func (m *merger) lookUp(hostPath string) (string, fs.FileMode, error) {
	if !path.IsAbs(hostPath) || path.Clean(hostPath) != hostPath {
		return "", 0, fmt.Errorf("%q is not an absolute, clean path", hostPath)
	}
	resolved, err := m.host.Resolve(hostPath)
	if err != nil {
		return "", 0, err
	}
	info, err := m.host.Stat(resolved)
	if err != nil {
		return "", 0, err
	}
	return m.host.Full(resolved), info.Mode(), nil
}

// permissionsOf returns the permissions in the order "rwm", each once.
func permissionsOf(given string) (string, error) {
	if given == "" || strings.Trim(given, "rwm") != "" {
		return "", fmt.Errorf("permissions %q are not made of r, w and m", given)
	}
	var b strings.Builder
	for _, p := range "rwm" {
		if strings.ContainsRune(given, p) {
			b.WriteRune(p)
		}
	}
	return b.String(), nil
}
