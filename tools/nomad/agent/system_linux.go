package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// lockFile takes the lock that path stands for, waiting for it.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// PluginProcesses returns the PIDs of the running processes of the agent's
// plugin with this name.
func (a *Agent) PluginProcesses(name string) []int {
	var pids []int
	binary := filepath.Join(a.config.pluginDir(), name)
	for _, pid := range processes() {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == binary {
			pids = append(pids, pid)
		}
	}
	return pids
}

func processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cleanUp removes all that an agent left behind in dir: processes, mounts,
// control groups, and dir itself.
func cleanUp(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	allocs, err := os.ReadDir(filepath.Join(dir, "data", "alloc"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cleaning up after the agent: %w", err)
	}
	killBelow(dir)
	if err := unmountBelow(dir); err != nil {
		// To go on would delete what is mounted there.
		return fmt.Errorf("cleaning up after the agent: %w; %s stays", err, dir)
	}
	var ids []string
	for _, alloc := range allocs {
		ids = append(ids, alloc.Name())
	}
	removeControlGroups(ids)
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("cleaning up after the agent: %w", err)
	}
	return nil
}

// killBelow kills every process that lives in dir, until there is none: one
// that is killed may have started another.
func killBelow(dir string) {
	for range 50 {
		var found bool
		for _, pid := range processes() {
			if livesIn(pid, dir) {
				found = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !found {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// livesIn reports whether a process runs from or in dir, or is one of Nomad's
// helpers that was told to write there.
func livesIn(pid int, dir string) bool {
	for _, link := range []string{"exe", "cwd", "root"} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link))
		if err == nil && within(target, dir) {
			return true
		}
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := bytes.Split(command, []byte{0})
	helper := len(args) > 1 && slices.Contains([]string{"executor", "logmon", "docker_logger"}, string(args[1]))
	return helper && bytes.Contains(command, []byte(dir+"/"))
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// unmountBelow unmounts everything below dir and makes sure of it.
func unmountBelow(dir string) error {
	for range 10 {
		mounts, err := mountsBelow(dir)
		if err != nil || len(mounts) == 0 {
			return err
		}
		slices.Reverse(mounts) // the newest first
		for _, mount := range mounts {
			_ = syscall.Unmount(mount, syscall.MNT_DETACH)
		}
	}
	mounts, err := mountsBelow(dir)
	if err == nil && len(mounts) > 0 {
		err = fmt.Errorf("cannot unmount %s", strings.Join(mounts, ", "))
	}
	return err
}

// mountsBelow lists the mount points below dir. See proc_pid_mountinfo(5): the
// fifth field is the mount point, with blanks in octal.
func mountsBelow(dir string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if within(point, dir) {
			mounts = append(mounts, point)
		}
	}
	return mounts, nil
}

// removeControlGroups removes the groups that were made for these allocations
// and outlived them, because their executor was killed.
func removeControlGroups(allocs []string) {
	var groups []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		if slices.ContainsFunc(allocs, func(id string) bool { return strings.Contains(entry.Name(), id) }) {
			groups = append(groups, path)
		}
		return nil
	})
	slices.Reverse(groups) // children first
	for _, group := range groups {
		_ = os.Remove(group)
	}
}
