package main

import (
	"io"
	"os"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
)

// noColour is the flag of all commands that keeps colour out.
const noColour = "no-color"

// addTerminalFlags gives root and all its commands the flags about the terminal.
func addTerminalFlags(root *cobra.Command) {
	root.PersistentFlags().Bool(noColour, false, "no colour, also on a terminal; the variable NO_COLOR does the same")
}

// coloured reports whether a command's output is to have colour: only where a
// person sees it, on a terminal that can, and that person does not mind.
func coloured(cmd *cobra.Command) bool {
	if never, err := cmd.Flags().GetBool(noColour); err != nil || never {
		return false
	}
	// See https://no-color.org: any text but the empty one.
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	return isTerminal(cmd.OutOrStdout())
}

// isTerminal reports whether a person is at the other end of an input or output.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(f.Fd())
}

// widthOf returns how wide the terminal is, or 0 if it is none.
func widthOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0
	}
	width, _, err := term.GetSize(f.Fd())
	if err != nil {
		return 0
	}
	return width
}
