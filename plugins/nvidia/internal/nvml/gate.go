package nvml

import "sync"

// Gate stands before the calls into the library. It lets none through whose
// symbol is missing, and, for one device, none that the device has already
// refused for good. A call that it has answered before is never refused for
// good: what it says then is a matter of the moment. The zero Gate lets nothing
// through; make one with [NewGate].
//
// A Gate may be used by several goroutines.
type Gate struct {
	symbols *Symbols
	mu      sync.Mutex
	answers map[question]error // the refusal, or nil for a call that was answered
}

// question is a call with those of its arguments that decide whether it is
// supported.
type question struct {
	call Call
	arg  uint64
}

// NewGate returns a gate with an empty memory for a library that has these
// symbols.
func NewGate(symbols *Symbols) *Gate { return &Gate{symbols: symbols} }

// Has reports whether the call exists in the library.
func (g *Gate) Has(c Call) bool { return g.symbols != nil && g.symbols.Has(c) }

// Do makes the call f unless it is impossible, and returns its code as a
// [*CallError], nil for success. arg tells apart uses of one call that are
// supported or not by themselves.
func (g *Gate) Do(c Call, arg uint64, f func() Return) error {
	if !g.Has(c) {
		return &CallError{Call: c.String(), Return: ErrFunctionNotFound}
	}
	q := question{c, arg}
	if err := g.known(q); err != nil {
		return err
	}
	r := f()
	if r == Success {
		g.remember(q, r, nil)
		return nil
	}
	err := &CallError{Call: c.String(), Return: r}
	g.remember(q, r, err)
	return err
}

func (g *Gate) known(q question) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answers[q]
}

// remember keeps a success and the codes that do not change while a device
// lives, whichever came first. "No data" is unsupported as far as a look goes,
// but may be there at the next one.
func (g *Gate) remember(q question, r Return, err error) {
	if r != Success && (r.Class() != ClassUnsupported || r == ErrNoData) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, settled := g.answers[q]; settled {
		return
	}
	if g.answers == nil {
		g.answers = make(map[question]error)
	}
	g.answers[q] = err
}

// Fields makes one batched query of field values for those fields that the
// device has not refused yet, and none if there are no such. f fills out, which
// is as long as ask, and returns the code of the whole call. The answer has one
// entry for each of fields, in their order.
//
// A field that the driver does not know is answered with an invalid argument by
// some versions; it becomes [ErrNotSupported] here.
func (g *Gate) Fields(fields []Field, f func(ask []Field, out []FieldValue) Return) ([]FieldValue, error) {
	values := make([]FieldValue, len(fields))
	ask, at := make([]Field, 0, len(fields)), make([]int, 0, len(fields))
	for i, field := range fields {
		values[i].Field = field
		if values[i].Err = g.known(question{CallFieldValues, field.arg()}); values[i].Err == nil {
			ask, at = append(ask, field), append(at, i)
		}
	}
	if len(ask) == 0 {
		return values, nil
	}
	out := make([]FieldValue, len(ask))
	if err := g.Do(CallFieldValues, 0, func() Return { return f(ask, out) }); err != nil {
		return nil, err
	}
	for i := range out {
		v := &out[i]
		v.Field = ask[i]
		if v.Return == ErrInvalidArgument {
			v.Return = ErrNotSupported
		}
		if v.Return != Success {
			v.Err = &CallError{Call: CallFieldValues.String(), Return: v.Return, Detail: v.Field.String()}
		}
		g.remember(question{CallFieldValues, v.Field.arg()}, v.Return, v.Err)
		values[at[i]] = *v
	}
	return values, nil
}
