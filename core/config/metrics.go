package config

import (
	"net"
	"net/netip"
	"strconv"
)

// Metrics holds the settings of the endpoint for Prometheus.
type Metrics struct {
	Address string `hcl:"address" doc:"IP address and port to serve /metrics at, such as \"127.0.0.1:9500\". Without an address before the colon it is this node alone that can reach it; \"0.0.0.0:9500\" is for all. Without the setting nothing is served."`
}

// Listen returns the address to listen at, or "" if nothing is to be served.
func (m Metrics) Listen() string {
	host, port, err := net.SplitHostPort(m.Address)
	switch {
	case err != nil:
		return ""
	case host == "" || host == "localhost":
		return net.JoinHostPort("127.0.0.1", port)
	default:
		return m.Address
	}
}

// Validate checks what the tags cannot say. A name that would have to be looked
// up is refused: an agent's start must not wait for a name server.
func (m *Metrics) Validate() []Problem {
	if m.Address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(m.Address)
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if number, notNumber := strconv.ParseUint(port, 10, 16); err != nil || notNumber != nil || number == 0 {
		return []Problem{{Key: "address", Given: strconv.Quote(m.Address), Want: `an IP address and a port, such as "127.0.0.1:9500"`}}
	}
	return nil
}
