package machine

import (
	"hash/fnv"
	"path"
	"strconv"
	"strings"

	"github.com/nomad-devices/nomad-devices/tools/simulate/tree"
)

// Values with which a scenario says something about a file rather than what is
// in it.
const (
	Empty      = `""`
	Unreadable = "unreadable"
)

// Files writes what a driver shows of one card.
type Files struct {
	Tree *tree.Tree
	// Garbage: whatever the driver says is nonsense.
	Garbage bool
	// Unreadable: nothing of it can be read.
	Unreadable bool
}

// Put writes a file; no text is no file. Of a text \xHH is any byte, and [Empty]
// and [Unreadable] are what they say.
func (f Files) Put(name, text string) {
	switch {
	case text == "":
	case f.Unreadable || text == Unreadable:
		f.Tree.Unreadable(name)
	case f.Garbage:
		f.Tree.Exact(name, Garbage(name))
	case text == Empty:
		f.Tree.File(name, "")
	default:
		f.Tree.File(name, unescape(text))
	}
}

// nonsense is what files hold of a card whose driver talks garbage.
var nonsense = []string{
	"\n", "\xff\xfe\x00\x80\n", "99999999999999999999999\n", "-1\n", "0x\n", "garbage\n", "4294967295\n",
	"nan nan nan\n", strings.Repeat("7", 5000) + "\n",
}

// Garbage gives nonsense for a file, the same each time.
func Garbage(name string) []byte {
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
