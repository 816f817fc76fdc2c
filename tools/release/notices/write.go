package main

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
)

// write writes the notices of a program.
func write(to io.Writer, program string, notices []notice) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "What %s is built from besides the project's own code, and the terms of each.\n", path.Base(program))
	for _, n := range notices {
		fmt.Fprintf(w, "\n%s\n\n", strings.Repeat("=", 78))
		for _, from := range n.from {
			fmt.Fprintln(w, from)
		}
		fmt.Fprintf(w, "\n%s\n", n.text)
	}
	return w.Flush()
}
