package rpcmeter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frame is one of a multiplexed connection's.
func frame(kind byte, flags uint16, stream uint32, data string) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// request is the start of a request, for a method with a short name.
func request(method string) string {
	return "\x82\xadServiceMethod" + string([]byte{0xa0 | byte(len(method))}) + method + "\xa3Seq\x01"
}

// decode returns what a decoder makes of a connection that comes in pieces.
func decode(connection []byte, piece int) []string {
	var all []*Request
	d := &decoder{
		begin: func(method string) *Request {
			all = append(all, &Request{Method: method})
			return all[len(all)-1]
		},
		grow: func(r *Request, data []byte) {
			r.Size += len(data)
			r.Body = append(r.Body, data...)
		},
	}
	for part := range slices.Chunk(connection, piece) {
		_, _ = d.Write(part)
	}
	var texts []string
	for _, r := range all {
		texts = append(texts, fmt.Sprintf("%s %d %v", r.Method, r.Size, r.Names("node-1")))
	}
	return texts
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	register, status := request("Node.Register"), request("Node.UpdateStatus")
	long := "\x82\xadServiceMethod\xd9\x28" + "Abcdefghij.Abcdefghijabcdefghijabcdefghi"
	for name, test := range map[string]struct {
		frames [][]byte
		want   []string
	}{
		"one request": {
			[][]byte{{6}, frame(1, 1, 1, ""), frame(0, 0, 1, "\x01"), frame(0, 0, 1, register+"node-1")},
			[]string{fmt.Sprintf("Node.Register %d true", len(register)+6)},
		},
		"a request in two frames, and another on the same stream": {
			[][]byte{{6}, frame(0, 1, 1, "\x01"), frame(0, 0, 1, register+"node"), frame(0, 0, 1, "-1"), frame(0, 0, 1, status)},
			[]string{fmt.Sprintf("Node.Register %d true", len(register)+6), fmt.Sprintf("Node.UpdateStatus %d false", len(status))},
		},
		"two streams and a ping between": {
			[][]byte{
				{6},
				frame(0, 1, 1, "\x01"), frame(0, 1, 3, "\x01"), frame(0, 0, 1, register), frame(2, 0, 0, ""),
				frame(0, 0, 3, status), frame(0, 0, 1, "node-1"),
			},
			[]string{fmt.Sprintf("Node.Register %d true", len(register)+6), fmt.Sprintf("Node.UpdateStatus %d false", len(status))},
		},
		"the number first": {
			[][]byte{{6}, frame(0, 1, 1, "\x01"), frame(0, 0, 1, "\x82\xa3Seq\xcd\x01\x02\xadServiceMethod\xabStatus.Ping")},
			[]string{"Status.Ping 34 false"},
		},
		"a long name":                    {[][]byte{{6}, frame(0, 1, 1, "\x01"+long)}, []string{fmt.Sprintf("Abcdefghij.Abcdefghijabcdefghijabcdefghi %d false", len(long))}},
		"a stream of another kind":       {[][]byte{{6}, frame(0, 1, 1, "\x04"), frame(0, 0, 1, register)}, nil},
		"a stream that the server opens": {[][]byte{{6}, frame(0, 1, 2, "\x01"), frame(0, 0, 2, register)}, nil},
		"a stream's number used again":   {[][]byte{{6}, frame(0, 1, 1, "\x04"), frame(1, 4, 1, ""), frame(0, 1, 1, "\x01"), frame(0, 0, 1, status)}, []string{fmt.Sprintf("Node.UpdateStatus %d false", len(status))}},
		"another kind of connection":     {[][]byte{{2}, frame(0, 1, 1, "\x01"), frame(0, 0, 1, register)}, nil},
	} {
		for _, piece := range []int{1, 7, 1 << 16} {
			if diff := cmp.Diff(test.want, decode(bytes.Join(test.frames, nil), piece)); diff != "" {
				t.Errorf("%s, %d bytes at a time (-want +got):\n%s", name, piece, diff)
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(bytes.Join([][]byte{{6}, frame(0, 1, 1, "\x01"), frame(0, 0, 1, request("Node.Register"))}, nil), uint8(3))
	f.Add([]byte("\x06\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x01\x82\xadServiceMethod\xda\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, connection []byte, piece uint8) {
		// However the bytes come in, the count is the same.
		if diff := cmp.Diff(decode(connection, len(connection)+1), decode(connection, int(piece)+1)); diff != "" {
			t.Errorf("whole and in pieces of %d (-want +got):\n%s", int(piece)+1, diff)
		}
	})
}

func TestMeter(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	m, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()

	// Before it knows the server it hangs up.
	early, err := net.Dial("tcp", m.Address())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Read(make([]byte, 1)); err == nil {
		t.Error("a connection without a server was answered")
	}
	_ = early.Close()

	m.Forward(server.Addr().String())
	client, err := net.Dial("tcp", m.Address())
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Join([][]byte{{6}, frame(0, 1, 1, "\x01"), frame(0, 0, 1, request("Node.Register")+"node-1")}, nil)
	if _, err := client.Write(sent); err != nil {
		t.Fatal(err)
	}
	conn, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("the server got %q, %v", got, err)
	}
	if _, err := conn.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 6)
	if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "answer" {
		t.Errorf("the client got %q, %v", answer, err)
	}
	// The server hangs up, and so the client is.
	_ = conn.Close()
	if _, err := client.Read(answer); err == nil {
		t.Error("the connection outlived the server's")
	}
	_ = client.Close()
	requests := m.Requests()
	if len(requests) != 1 || requests[0].Method != "Node.Register" || !requests[0].Names("node-1") {
		t.Errorf("the meter has %+v", requests)
	}
}
