package agent

import (
	"errors"
	"os"
	"runtime"
)

// Requirements says what is missing on this machine to run an agent with the
// raw_exec and exec drivers; nil means nothing.
func Requirements() error {
	var missing []error
	if runtime.GOOS != "linux" {
		missing = append(missing, errors.New("the Linux kernel: Nomad's exec driver exists nowhere else"))
	}
	if os.Geteuid() != 0 {
		missing = append(missing, errors.New("to be root: Nomad's exec driver and device nodes need it"))
	}
	return errors.Join(missing...)
}
