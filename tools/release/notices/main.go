// Command notices writes the licences and notices of everything that is linked
// into a program, as those licences ask of whoever passes the program on.
//
//	notices DIR PACKAGE
//
// DIR is the directory of the program's module and PACKAGE the program in it. The
// text goes to the standard output, and depends on nothing but the versions of
// what is linked.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: notices DIR PACKAGE, got %q", args)
	}
	linked, err := packages(args[0], args[1])
	if err != nil {
		return err
	}
	found, err := collect(linked)
	if err != nil {
		return err
	}
	return write(os.Stdout, args[1], found)
}
