package rpcmeter

import (
	"bytes"
	"encoding/binary"
)

// What a connection to a Nomad server begins with, and each stream on it. See
// RPCType in Nomad's helper/pool.
const (
	multiplexed = 0x06 // the connection carries streams
	nomadRPC    = 0x01 // the stream carries requests
)

// The frames of a multiplexed connection: version, type, flags, stream and
// length. See spec.md of hashicorp/yamux.
const (
	headerSize = 12
	dataFrame  = 0
	// The flags of a stream's last frame, in order or not.
	endFlags = 0x4 | 0x8
)

// headerLimit is how much of a request is looked at for its method, which comes
// first.
const headerLimit = 256

// decoder follows one connection from a client to its server. What it does not
// understand it lets pass uncounted.
type decoder struct {
	begin func(method string) *Request
	grow  func(r *Request, data []byte)

	started bool
	foreign bool // not a connection with requests
	header  []byte
	stream  uint32
	left    uint32 // of the current frame's data
	start   []byte // of the current frame's data, as long as it may tell the method
	first   bool   // start is being gathered
	streams map[uint32]*stream
}

// stream is one of the connection's streams.
type stream struct {
	requests bool     // it carries requests, and not a file or a log
	current  *Request // the one that is being sent
}

// Write takes the next bytes of the connection. It never fails.
func (d *decoder) Write(p []byte) (int, error) {
	size := len(p)
	if !d.started && size > 0 {
		d.started, d.foreign = true, p[0] != multiplexed
		d.streams = map[uint32]*stream{}
		p = p[1:]
	}
	for len(p) > 0 && !d.foreign {
		if d.left == 0 {
			p = d.takeHeader(p)
			continue
		}
		n := min(len(p), int(d.left))
		if d.first {
			n = min(n, headerLimit-len(d.start))
		}
		d.left -= uint32(n)
		d.piece(p[:n])
		p = p[n:]
	}
	return size, nil
}

func (d *decoder) takeHeader(p []byte) []byte {
	n := min(len(p), headerSize-len(d.header))
	d.header = append(d.header, p[:n]...)
	if len(d.header) < headerSize {
		return p[n:]
	}
	d.foreign = d.header[0] != 0 // the version of all of Nomad's releases
	if d.header[1] == dataFrame {
		d.stream = binary.BigEndian.Uint32(d.header[4:])
		d.left = binary.BigEndian.Uint32(d.header[8:])
		d.first = true
	} else if binary.BigEndian.Uint16(d.header[2:])&endFlags != 0 {
		delete(d.streams, binary.BigEndian.Uint32(d.header[4:]))
	}
	d.header = d.header[:0]
	return p[n:]
}

// piece takes a piece of a frame's data, of which the network makes pieces as
// it likes.
func (d *decoder) piece(p []byte) {
	if !d.first {
		d.data(p, false)
		return
	}
	d.start = append(d.start, p...)
	if d.left == 0 || len(d.start) == headerLimit {
		d.first = false
		d.data(d.start, true)
		d.start = d.start[:0]
	}
}

// data takes data of the current stream. Streams with even numbers are the
// server's own; there the client answers.
func (d *decoder) data(p []byte, first bool) {
	if d.stream%2 == 0 {
		return
	}
	s := d.streams[d.stream]
	if s == nil {
		s = &stream{requests: p[0] == nomadRPC}
		d.streams[d.stream] = s
		p = p[1:]
	}
	if !s.requests || len(p) == 0 {
		return
	}
	// A client writes one request at a time, and begins it with a frame.
	if first {
		if name := method(p); name != "" {
			s.current = d.begin(name)
		}
	}
	if s.current != nil {
		d.grow(s.current, p)
	}
}

// method returns the method's name from the start of a request, or "". The
// start is net/rpc's Request in MessagePack: a map with the entries Seq, a
// number, and ServiceMethod, in either order.
func method(p []byte) string {
	const key, smallMap, longestSeq = "\xadServiceMethod", 0x82, 13
	before, rest, found := bytes.Cut(p, []byte(key))
	if !found || len(rest) == 0 || len(before) == 0 || before[0] != smallMap || len(before) > 1+longestSeq {
		return ""
	}
	size := 0
	switch kind := rest[0]; {
	case kind&0xe0 == 0xa0: // a short string
		size, rest = int(kind&0x1f), rest[1:]
	case kind == 0xd9 && len(rest) > 1: // a string with one byte of length
		size, rest = int(rest[1]), rest[2:]
	case kind == 0xda && len(rest) > 2: // with two
		size, rest = int(binary.BigEndian.Uint16(rest[1:])), rest[3:]
	}
	if size == 0 || size > len(rest) {
		return ""
	}
	return string(rest[:size])
}
