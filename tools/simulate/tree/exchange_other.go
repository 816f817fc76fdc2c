//go:build !linux

package tree

// exchange puts a in the place of b.
func exchange(a, b string) error { return supplant(a, b) }
