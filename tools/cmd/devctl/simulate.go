package main

import "github.com/spf13/cobra"

func newSimulate() *cobra.Command {
	return &cobra.Command{Use: "simulate", Short: "Simulate hardware for a device plugin"}
}
