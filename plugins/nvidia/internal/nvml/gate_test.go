package nvml

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func all(string) bool { return true }

// TestSymbols looks calls up by the names that would be bound.
func TestSymbols(t *testing.T) {
	t.Parallel()
	seen := map[string]Call{}
	for _, c := range Calls() {
		names := symbols[c]
		if len(names) == 0 || c.String() != names[0] {
			t.Fatalf("call %d has no name", c)
		}
		for _, n := range names {
			if other, twice := seen[n]; twice || !strings.HasPrefix(n, "nvml") {
				t.Errorf("%s of call %d is also of %d", n, c, other)
			}
			seen[n] = c
		}
		// With any one of its names it can be called, without all of them not.
		for _, only := range names {
			if !LookUp(func(s string) bool { return s == only }).Has(c) {
				t.Errorf("%v is refused, and %s is there", c, only)
			}
		}
		if LookUp(func(s string) bool { return seen[s] != c || !strings.HasPrefix(s, "nvml") }).Has(c) && len(names) == 1 {
			t.Errorf("%v is let through, and it is not there", c)
		}
	}
	if LookUp(all).Has(callCount) || callCount.String() != "unknown NVML call" {
		t.Error("a call that does not exist")
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	g := NewGate(LookUp(func(s string) bool { return s != "nvmlDeviceGetSerial" }))
	times := 0
	answer := func(r Return) func() Return {
		return func() Return { times++; return r }
	}
	ask := func(c Call, arg uint64, r Return) (made bool, err error) {
		before := times
		err = g.Do(c, arg, answer(r))
		return times > before, err
	}
	if made, err := ask(CallSerial, 0, Success); made || !errors.Is(err, ErrFunctionNotFound) {
		t.Errorf("missing symbol: made %v, %v", made, err)
	}
	if made, err := ask(CallName, 0, Success); !made || err != nil {
		t.Errorf("success: made %v, %v", made, err)
	}
	for _, r := range []Return{ErrUnknown, ErrGPUIsLost, ErrNoPermission, ErrNotFound, ErrNoData} {
		_, _ = ask(CallUUID, 0, r)
		if made, err := ask(CallUUID, 0, Success); !made || err != nil {
			t.Errorf("after %v: made %v, %v", r, made, err)
		}
	}
	for i, r := range []Return{ErrNotSupported, ErrFunctionNotFound, ErrArgumentVersion, ErrDeprecated} {
		if made, err := ask(CallClock, uint64(i), r); !made || !errors.Is(err, r) {
			t.Errorf("%v: made %v, %v", r, made, err)
		}
		if made, err := ask(CallClock, uint64(i), Success); made || !errors.Is(err, r) {
			t.Errorf("after %v: made %v, %v", r, made, err)
		}
	}
	for _, r := range []Return{ErrNotSupported, ErrFunctionNotFound, ErrArgumentVersion, ErrDeprecated} {
		if made, err := ask(CallName, 0, r); !made || !errors.Is(err, r) {
			t.Errorf("%v to what was answered before: made %v, %v", r, made, err)
		}
		if made, err := ask(CallName, 0, Success); !made || err != nil {
			t.Errorf("%v was taken for good by a call that was answered before: made %v, %v", r, made, err)
		}
	}
	if made, err := ask(CallClock, 99, Success); !made || err != nil {
		t.Errorf("another argument: made %v, %v", made, err)
	}
	if err := new(Gate).Do(CallName, 0, answer(Success)); !errors.Is(err, ErrFunctionNotFound) {
		t.Errorf("the zero gate: %v", err)
	}
}

func TestGateFields(t *testing.T) {
	t.Parallel()
	g := NewGate(LookUp(all))
	fields := append(Fields(FieldRecoveryAction, FieldEnergy, FieldMemoryTemperature), Field{FieldNVLinkDataTX, AllLinks})
	var asked []string
	driver := func(ask []Field, out []FieldValue) Return {
		asked = nil
		for i, f := range ask {
			asked = append(asked, f.String())
			switch f.ID {
			case FieldRecoveryAction:
				out[i].Return = ErrInvalidArgument // how some drivers say that they do not know it
			case FieldMemoryTemperature:
				out[i].Return = ErrUnknown
			default:
				out[i] = UintField(f, uint64(f.ID))
			}
		}
		return Success
	}
	for _, want := range [][]string{
		{"field 230", "field 83", "field 82", "field 138 of all links"},
		{"field 83", "field 82", "field 138 of all links"},
	} {
		values, err := g.Fields(fields, driver)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		for i, v := range values {
			if v.Field != fields[i] {
				t.Errorf("place %d answers %v", i, v.Field)
			}
		}
		if !errors.Is(values[0].Err, ErrNotSupported) || !errors.Is(values[2].Err, ErrUnknown) {
			t.Errorf("errors %v, %v", values[0].Err, values[2].Err)
		}
		if n, ok := values[1].Uint(); !ok || n != 83 {
			t.Errorf("value %d, %v", n, ok)
		}
		if n, ok := values[3].Uint(); !ok || n != 138 {
			t.Errorf("value %d, %v", n, ok)
		}
	}
	if _, err := g.Fields(fields, func([]Field, []FieldValue) Return { return ErrGPUIsLost }); !errors.Is(err, ErrGPUIsLost) {
		t.Errorf("error %v", err)
	}
	asked = nil
	if values, err := g.Fields(Fields(FieldRecoveryAction), driver); err != nil || asked != nil || !Unsupported(values[0].Err) {
		t.Errorf("asked %v for nothing but what is not supported", asked)
	}
}

func TestGateSideBySide(t *testing.T) {
	t.Parallel()
	g := NewGate(LookUp(all))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint64(200) {
				_ = g.Do(CallClock, i%5, func() Return { return ErrNotSupported })
			}
		})
	}
	wg.Wait()
}
