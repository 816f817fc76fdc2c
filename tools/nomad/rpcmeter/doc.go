// Package rpcmeter stands between Nomad clients and their server and keeps a
// record of what the clients ask: which method, how many bytes, from which node.
package rpcmeter
