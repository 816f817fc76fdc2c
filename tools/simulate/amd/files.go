package amd

import (
	"fmt"
	"hash/fnv"
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// Values with which a scenario says something about a file rather than what is
// in it.
const (
	emptyFile      = `""`
	unreadableFile = "unreadable"
)

// files writes what the driver shows of one GPU, as the GPU's state lets it be
// read.
type files struct {
	t *tree.Tree
	// garbage: whatever the driver says is nonsense.
	garbage bool
	// unreadable: nothing of it can be read.
	unreadable bool
	// asleep: what the hardware would have to be asked for cannot be read. The
	// GPU is suspended, in a reset, or off the bus.
	asleep bool
}

func newFiles(t *tree.Tree, g gpu) files {
	return files{
		t:          t,
		garbage:    g.is("garbage", false),
		unreadable: g.is("unreadable", false),
		asleep:     g.asleep(),
	}
}

// asleep reports whether the GPU cannot be asked for anything.
func (g gpu) asleep() bool {
	status := g.text("runtime_status")
	awake := status == "" || status == "active" || status == "unsupported"
	return !awake || g.is("reset", false) || g.is("lost", false)
}

// put writes a file that the driver fills from memory; no text is no file.
func (f files) put(name, text string) {
	switch {
	case text == "":
	case f.unreadable || text == unreadableFile:
		f.t.Unreadable(name)
	case f.garbage:
		f.t.Exact(name, garbage(name))
	case text == emptyFile:
		f.t.File(name, "")
	default:
		f.t.File(name, unescape(text))
	}
}

// live writes a file for which the driver asks the hardware.
func (f files) live(name, text string) {
	if text != "" && f.asleep {
		text = unreadableFile
	}
	f.put(name, text)
}

// binary is live for a file that is no text.
func (f files) binary(name string, content []byte) {
	switch {
	case f.unreadable || f.asleep:
		f.t.Unreadable(name)
	case f.garbage:
		f.t.Exact(name, content[:min(len(content), 32)])
	default:
		f.t.Exact(name, content)
	}
}

// nonsense is what files hold of a GPU whose driver talks garbage.
var nonsense = []string{
	"\n", "\xff\xfe\x00\x80\n", "99999999999999999999999\n", "-1\n", "0x\n", "garbage\n", "4294967295\n",
	"nan nan nan\n", strings.Repeat("7", 5000) + "\n",
}

// garbage gives nonsense for a file, the same each time.
func garbage(name string) []byte {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(path.Base(name))) // never fails
	return []byte(nonsense[int(sum.Sum32())%len(nonsense)])
}

// unescape replaces \xHH by the byte.
func unescape(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `\x`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(after) >= 2 {
			if n, err := strconv.ParseUint(after[:2], 16, 8); err == nil {
				b.WriteByte(byte(n))
				text = after[2:]
				continue
			}
		}
		b.WriteString(`\x`)
		text = after
	}
}

// scaled gives a value of the GPU times a factor, as an integer. What is no
// number comes as it is: that is how a scenario puts nonsense into a file.
func (g gpu) scaled(key string, factor float64) string {
	text := g.text(key)
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(n*factor, 'f', 0, 64)
	}
	return text
}

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
