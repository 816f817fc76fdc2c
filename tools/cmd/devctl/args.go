package main

import "strings"

// likeNomad lets flags be written with one dash as well, as Nomad's own commands
// have them: "-json" for "--json". devctl has no flags of one letter but -h, and
// what stands after "--" is not a flag.
func likeNomad(args []string) []string {
	all := make([]string, len(args))
	copy(all, args)
	for i, arg := range all {
		if arg == "--" {
			break
		}
		if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && !strings.ContainsAny(arg[1:2], "0123456789.") {
			all[i] = "-" + arg
		}
	}
	return all
}
