package bench

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b Value
		more bool
		want *float64
	}{
		{"half the cost", Value{Number: 2}, Value{Number: 4}, false, new(2.0)},
		{"twice the cost", Value{Number: 4}, Value{Number: 2}, false, new(0.5)},
		{"twice the share", Value{Number: 100}, Value{Number: 50}, true, new(2.0)},
		{"nothing twice", Value{}, Value{}, false, new(1.0)},
		{"nothing against something", Value{}, Value{Number: 3}, false, nil},
		{"no share", Value{Number: 90}, Value{}, true, nil},
		{"the peer gave up", Value{Number: 2}, Value{Number: 30, Bound: true}, false, new(15.0)},
		{"ours gave up", Value{Number: 30, Bound: true}, Value{Number: 2}, false, nil},
		{"missing", Value{Number: 2}, missing, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, ratio(tt.a, tt.b, tt.more)); diff != "" {
				t.Errorf("ratio (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 9}); got != 3 {
		t.Errorf("of four: %v", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("of none: %v", got)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value Value
		unit  Unit
		want  string
	}{
		{Value{Number: 0.0000123}, Seconds, "12.3 µs"},
		{Value{Number: 0.5}, Seconds, "500 ms"},
		{Value{Number: 1234}, Seconds, "1234 s"},
		{Value{Number: 30, Bound: true}, Seconds, ">30 s"},
		{Value{}, Seconds, "0 ns"},
		{Value{Number: 15 << 20}, Bytes, "15 MiB"},
		{Value{Number: 1023}, Bytes, "1023 B"},
		{Value{Number: 6656}, Count, "6656"},
		{Value{Number: 2.5}, Count, "2.5"},
		{Value{Number: 100}, Percent, "100%"},
		{Value{Number: 0.07071}, Times, "0.0707×"},
		{Value{Missing: "stream ended"}, Seconds, "stream ended"},
	} {
		if got := show(tt.value, tt.unit); got != tt.want {
			t.Errorf("%+v in %q: %q, want %q", tt.value, tt.unit, got, tt.want)
		}
	}
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	r := Result{
		CPUs: 2, Go: "go1.26",
		Plugins: []Plugin{{"ours", "a", "1"}, {"peer", "b", "2"}},
		Rows: []Row{
			newRow("start", "exec to handshake", Seconds, false, []Value{{Number: 0.02}, {Number: 0.05}}),
			newRow("start", "exec to all", Seconds, false, []Value{{Number: 0.02}, missing}),
			newRow("beside a hang", "intervals", Percent, true, []Value{{Number: 100}, {Number: 0}}),
		},
		Micro: []MicroRow{{"guard", "Call", 2830, 792, 11}},
		Notes: []string{"peer: it died"},
	}
	want := `ours: a 1
peer: b 2
2 CPUs, go1.26
ratio: how many times better ours is than the peer

                     ratio   ours   peer
start
  exec to handshake   2.5×  20 ms  50 ms
  exec to all            –  20 ms      –
beside a hang
  intervals              –   100%     0%

note: peer: it died

  micro-benchmark  ns/op  B/op  allocs/op
       guard Call   2830   792         11
`
	var got bytes.Buffer
	if err := r.WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestParseMicro(t *testing.T) {
	t.Parallel()
	text := `goos: linux
pkg: example.com/core/fingerprint
BenchmarkScan/8-2   	    9704	    123669 ns/op	   22872 B/op	     215 allocs/op
PASS
ok  	example.com/core/fingerprint	3.1s
pkg: example.com/core/guard
BenchmarkCall 	  392108	      2830.5 ns/op
BenchmarkBroken	not a number
Benchmark
`
	want := []MicroRow{
		{Package: "fingerprint", Name: "Scan/8", Nanos: 123669, Bytes: 22872, Allocs: 215},
		{Package: "guard", Name: "Call", Nanos: 2830.5},
	}
	if diff := cmp.Diff(want, parseMicro([]byte(text))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func FuzzParseMicro(f *testing.F) {
	f.Add([]byte("pkg: a/b\nBenchmarkX-8 1 2 ns/op 3 B/op 4 allocs/op\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, row := range parseMicro(text) {
			if row.Name == "" && row.Nanos == 0 && !bytes.Contains(text, []byte("ns/op")) {
				t.Errorf("a row from nothing: %+v", row)
			}
		}
	})
}
