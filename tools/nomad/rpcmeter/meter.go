package rpcmeter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
)

// Request is one request of a client.
type Request struct {
	// Method is what was asked: "Node.Register".
	Method string
	// Size is the request's length on the wire in bytes: header and body in
	// MessagePack, without the framing of the connection that it shares.
	Size int
	// Body is the request as it was sent, up to a megabyte.
	Body []byte
}

// Names reports whether the request mentions an ID, such as that of the node
// that sent it.
func (r Request) Names(id string) bool { return bytes.Contains(r.Body, []byte(id)) }

// Meter passes connections on to a server. Its methods may be called from
// several goroutines.
type Meter struct {
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	server   string
	closed   bool
	open     map[net.Conn]struct{}
	requests []*Request
}

// Listen opens a meter on a free port of the loopback device. The caller must
// close it.
func Listen() (*Meter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a meter for Nomad's RPCs: %w", err)
	}
	m := &Meter{listener: listener, open: map[net.Conn]struct{}{}}
	m.running.Go(m.accept)
	return m, nil
}

// Address is where clients are to find the server.
func (m *Meter) Address() string { return m.listener.Addr().String() }

// Forward says where the server is. Connections from before are closed at once,
// and clients open them again.
func (m *Meter) Forward(server string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.server = server
}

// Requests returns what was asked so far, in the order in which it began.
func (m *Meter) Requests() []Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Request, len(m.requests))
	for i, r := range m.requests {
		all[i] = *r
		all[i].Body = slices.Clone(r.Body)
	}
	return all
}

// Close ends all connections and waits until nothing runs any more.
func (m *Meter) Close() error {
	m.mu.Lock()
	m.closed = true
	err := m.listener.Close()
	for conn := range m.open {
		_ = conn.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (m *Meter) accept() {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return // closed; nothing else ends a listener on loopback
		}
		m.running.Go(func() { m.pass(conn) })
	}
}

// pass connects a client with the server until either hangs up.
func (m *Meter) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	m.mu.Lock()
	target := m.server
	m.mu.Unlock()
	if target == "" {
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		return // the client sees its connection end, as with a server that is away
	}
	defer func() { _ = server.Close() }()
	if !m.keep(client, server) {
		return
	}
	defer m.forget(client, server)

	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	_, _ = io.Copy(server, io.TeeReader(client, &decoder{begin: m.begin, grow: m.grow}))
	_ = server.Close()
	answers.Wait()
}

// keep notes connections for Close to end.
func (m *Meter) keep(conns ...net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range conns {
		m.open[conn] = struct{}{}
	}
	return !m.closed
}

func (m *Meter) forget(conns ...net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range conns {
		delete(m.open, conn)
	}
}

func (m *Meter) begin(method string) *Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &Request{Method: method}
	m.requests = append(m.requests, r)
	return r
}

// keptBody is how much of a request is kept.
const keptBody = 1 << 20

func (m *Meter) grow(r *Request, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Size += len(data)
	r.Body = append(r.Body, data[:min(len(data), keptBody-len(r.Body))]...)
}
