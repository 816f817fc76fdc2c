package guard

import "time"

// Observer is told of the calls that somebody makes: what was called, how long
// the caller waited, and how it ended. It must not block. A nil Observer is told
// nothing.
type Observer func(call string, took time.Duration, err error)

// Begin is called before a call, and what it returns after it.
func (o Observer) Begin(call string) (end func(error)) {
	if o == nil {
		return func(error) {}
	}
	start := time.Now()
	return func(err error) { o(call, time.Since(start), err) }
}
