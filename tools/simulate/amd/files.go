package amd

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/machine"
	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// files writes what the driver shows of one GPU, as the GPU's state lets it be
// read.
type files struct {
	machine.Files
	// asleep: what the hardware would have to be asked for cannot be read. The
	// GPU is suspended, in a reset, or off the bus.
	asleep bool
}

func newFiles(t *tree.Tree, g gpu) files {
	return files{
		Files:  machine.Files{Tree: t, Garbage: g.is("garbage", false), Unreadable: g.is("unreadable", false)},
		asleep: g.asleep(),
	}
}

// asleep reports whether the GPU cannot be asked for anything.
func (g gpu) asleep() bool {
	status := g.text("runtime_status")
	awake := status == "" || status == "active" || status == "unsupported"
	return !awake || g.is("reset", false) || g.is("lost", false)
}

// put writes a file that the driver fills from memory; no text is no file.
func (f files) put(name, text string) { f.Put(name, text) }

// live writes a file for which the driver asks the hardware.
func (f files) live(name, text string) {
	if text != "" && f.asleep {
		text = machine.Unreadable
	}
	f.put(name, text)
}

// binary is live for a file that is no text.
func (f files) binary(name string, content []byte) {
	switch {
	case f.Unreadable || f.asleep:
		f.Tree.Unreadable(name)
	case f.Garbage:
		f.Tree.Exact(name, content[:min(len(content), 32)])
	default:
		f.Tree.Exact(name, content)
	}
}

// scaled gives a value of the GPU times a factor; see [machine.View.Scaled].
func (g gpu) scaled(key string, factor float64) string { return g.Scaled(g.n, key, factor) }

// memory gives an amount of memory of the GPU in bytes.
func (g gpu) memory(key string) string {
	if n, ok := g.Bytes(g.n, key); ok {
		return strconv.FormatInt(n, 10)
	}
	return g.text(key)
}

// lines makes a text of "name value" lines.
type lines struct{ strings.Builder }

func (l *lines) add(name string, value any) { fmt.Fprintf(l, "%s %v\n", name, value) }
