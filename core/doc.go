// Package core holds the words that a device plugin is written in.
package core
