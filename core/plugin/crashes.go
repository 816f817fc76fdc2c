package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// crashMemory is how long an early death counts.
	crashMemory = 10 * time.Minute
	// crashesAllowed is how many early deaths are taken for accidents.
	crashesAllowed = 2
	// survived is how long a process must live for its start to be no crash.
	survived = time.Minute
	// longestPause is the most that a process leaves the hardware alone.
	longestPause = time.Minute
)

// crashes remembers, over the lives of processes, when one last touched the
// hardware and died soon after. Nomad starts a plugin that died again at once,
// dozens of times a second if need be; a driver library that takes the process
// down would bring the agent's log and the node to its knees. A nil *crashes
// remembers nothing.
type crashes struct {
	dir, file string
}

// newCrashes keeps the memory for the plugin of that name under this agent in a
// directory of its own below dir. It touches nothing.
func newCrashes(dir, name string, agent int) *crashes {
	own := filepath.Join(dir, fmt.Sprintf("%s-%d", name, os.Getuid()))
	return &crashes{dir: own, file: filepath.Join(own, fmt.Sprintf("starts-%d.json", agent))}
}

// begin books that the hardware is about to be touched, and returns how long to
// wait before that, and how many early deaths are the reason.
func (c *crashes) begin(now time.Time) (pause time.Duration, deaths int) {
	if c == nil {
		return 0, 0
	}
	starts := slices.DeleteFunc(c.read(), func(t time.Time) bool {
		return now.Sub(t) > crashMemory || t.After(now)
	})
	if deaths = len(starts); deaths > crashesAllowed {
		pause = min(longestPause, time.Second<<min(deaths-crashesAllowed-1, 10))
	}
	c.write(append(starts, now.Add(pause)))
	time.AfterFunc(pause+survived, c.clean)
	return pause, deaths
}

// clean forgets: the process lived, or ended in order.
func (c *crashes) clean() {
	if c != nil {
		_ = os.Remove(c.file)
	}
}

func (c *crashes) read() []time.Time {
	data, err := os.ReadFile(c.file)
	if err != nil {
		return nil
	}
	var starts []time.Time
	_ = json.Unmarshal(data, &starts) // what cannot be read is no memory
	return starts[:min(len(starts), 100)]
}

// write is best effort: without it a crash is merely forgotten.
func (c *crashes) write(starts []time.Time) {
	data, err := json.Marshal(starts)
	if err != nil || c.private() != nil {
		return
	}
	_ = os.WriteFile(c.file, data, 0o600)
}

// private makes the directory, and refuses one that others may write to: it
// lies where everybody may make files.
func (c *crashes) private() error {
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(c.dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s is not a private directory", c.dir)
	}
	return nil
}
