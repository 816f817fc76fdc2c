package pluginclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// keptLines is how many log lines are kept for [Plugin.Logs] and for errors.
const keptLines = 200

// LogLine is one line that a plugin wrote to stderr.
type LogLine struct {
	// Level is the line's level, or hclog.NoLevel for a line that is not in
	// Nomad's log format, such as a panic's.
	Level hclog.Level
	// Module is the name of the plugin's logger.
	Module string
	// Message is the text, or the whole line if it is not in the format.
	Message string
	// Fields are the further values of the line.
	Fields map[string]any
}

// String returns the line for people: "[WARN] message: key=value".
func (l LogLine) String() string {
	var b strings.Builder
	if l.Level != hclog.NoLevel {
		fmt.Fprintf(&b, "[%s] ", strings.ToUpper(l.Level.String()))
	}
	b.WriteString(l.Message)
	separator := ": "
	for _, key := range slices.Sorted(maps.Keys(l.Fields)) {
		value := fmt.Sprint(l.Fields[key])
		if strings.ContainsAny(value, " \t\"") {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&b, "%s%s=%s", separator, key, value)
		separator = " "
	}
	return b.String()
}

// parseLogLine reads one line of stderr. Plugins write hclog's JSON, because
// Nomad reads that.
func parseLogLine(line []byte) LogLine {
	var fields map[string]any
	if !bytes.HasPrefix(line, []byte("{")) || json.Unmarshal(line, &fields) != nil {
		return LogLine{Level: hclog.NoLevel, Message: string(line)}
	}
	message, ok := fields["@message"].(string)
	if !ok {
		return LogLine{Level: hclog.NoLevel, Message: string(line)}
	}
	level, _ := fields["@level"].(string)
	module, _ := fields["@module"].(string)
	maps.DeleteFunc(fields, func(key string, _ any) bool { return strings.HasPrefix(key, "@") })
	return LogLine{Level: hclog.LevelFromString(level), Module: module, Message: message, Fields: fields}
}

// logRecorder takes a plugin's stderr apart into lines and keeps the last ones.
type logRecorder struct {
	onLine func(LogLine)

	mu      sync.Mutex
	partial []byte
	kept    []LogLine
}

// Write implements io.Writer for the bytes of stderr.
func (r *logRecorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial = append(r.partial, b...)
	for {
		line, rest, found := bytes.Cut(r.partial, []byte("\n"))
		if !found {
			return len(b), nil
		}
		parsed := parseLogLine(bytes.TrimRight(line, "\r"))
		r.partial = slices.Clone(rest)
		if len(r.kept) == keptLines {
			r.kept = slices.Delete(r.kept, 0, 1)
		}
		r.kept = append(r.kept, parsed)
		if r.onLine != nil {
			r.onLine(parsed)
		}
	}
}

// lines returns the kept lines.
func (r *logRecorder) lines() []LogLine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.kept)
}

// tail returns the lines that most likely say why the plugin died, each on a
// line of its own: the head of a panic, else the end of the log.
func (r *logRecorder) tail() string {
	const most = 5
	lines := r.lines()
	if at := slices.IndexFunc(lines, isCrash); at >= 0 {
		lines = lines[at:min(at+most, len(lines))]
	} else if len(lines) > most {
		lines = lines[len(lines)-most:]
	}
	var b strings.Builder
	if len(lines) > 0 {
		b.WriteString("; its log says:")
	}
	for _, line := range lines {
		b.WriteString("\n    " + line.String())
	}
	return b.String()
}

func isCrash(l LogLine) bool {
	return l.Level == hclog.NoLevel &&
		(strings.HasPrefix(l.Message, "panic: ") || strings.HasPrefix(l.Message, "fatal error: "))
}
