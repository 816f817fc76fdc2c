//go:build !linux

package agent

import (
	"errors"
	"os"
	"syscall"
)

var errLinuxOnly = errors.New("agents are run on Linux only")

func ownGroup() *syscall.SysProcAttr { return nil }

func lockFile(string) (unlock func(), err error) { return func() {}, nil }

// PluginProcesses finds nothing on this system.
func (a *Agent) PluginProcesses(string) []int { return nil }

func cleanUp(dir string) error {
	return errors.Join(errLinuxOnly, os.RemoveAll(dir))
}
