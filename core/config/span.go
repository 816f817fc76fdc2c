package config

import (
	"fmt"
	"strconv"
	"time"
)

// Span is a stretch of looks at a device: a number of looks in a row, or a time.
// One of the two fields is set.
type Span struct {
	// Looks in a row; 0 if the span is a time.
	Looks int
	// Time is the time; 0 if the span is a number of looks.
	Time time.Duration
}

// maxLooks is more looks than any health can wait for: ten days of one a second.
const maxLooks = 1_000_000

const wantSpan = `a number of looks such as 3 or a time such as "30s", more than zero`

// ParseSpan reads a number of looks ("3") or a duration ("30s"), each more than
// zero.
func ParseSpan(text string) (Span, error) {
	if looks, err := strconv.Atoi(text); err == nil && looks > 0 && looks <= maxLooks {
		return Span{Looks: looks}, nil
	}
	if span, err := time.ParseDuration(text); err == nil && span > 0 {
		return Span{Time: span}, nil
	}
	return Span{}, fmt.Errorf("%q is not %s", text, wantSpan)
}

// String returns the span as it is configured.
func (s Span) String() string {
	if s.Time != 0 {
		return shortDuration(s.Time)
	}
	return strconv.Itoa(s.Looks)
}
