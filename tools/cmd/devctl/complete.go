package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// completion is what cobra asks for the words that can stand at a place.
type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// addCompletion gives root the command that writes a shell's script, with the
// manners of the others. It writes to the output that root has by then.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	examples := map[string]string{
		"completion": "  devctl completion bash | sudo tee /etc/bash_completion.d/devctl >/dev/null",
		"zsh":        "  devctl completion zsh > \"${fpath[1]}/_devctl\"",
		"fish":       "  devctl completion fish > ~/.config/fish/completions/devctl.fish",
		"powershell": "  devctl completion powershell | Out-String | Invoke-Expression",
	}
	examples["bash"] = examples["completion"]
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args = usage(cobra.NoArgs)
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		cmd.Example = examples["completion"]
		for _, shell := range cmd.Commands() {
			shell.Args = usage(cobra.NoArgs)
			shell.Example = examples[shell.Name()]
		}
	}
}

// completeFlag says what the values of a command's flag can be.
func completeFlag(cmd *cobra.Command, flag string, values completion) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // the command has no such flag
	}
}

// inTurn completes each argument in its own way; those behind the last have
// nothing to complete.
func inTurn(each ...completion) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= len(each) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return each[len(args)](cmd, args, typed)
	}
}

// repeated completes the first argument in one way and all others in another.
func repeated(first, others completion) completion {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return first(cmd, args, typed)
		}
		return others(cmd, args, typed)
	}
}

// fixed offers these words.
func fixed(all ...string) completion {
	return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return words(all, typed)
	}
}

// words are completions for which only their beginnings count.
func words(all []string, typed string) ([]string, cobra.ShellCompDirective) {
	found := slices.DeleteFunc(slices.Clone(all), func(w string) bool { return !strings.HasPrefix(w, typed) })
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completePlugins offers the files that can be started, and the directories on
// the way to some.
func completePlugins(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return files(typed, func(_ string, info os.FileInfo) bool {
		return info.Mode().IsRegular() && info.Mode()&0o111 != 0
	})
}

// completeMachines offers the directories of simulated machines, and those on
// the way to some.
func completeMachines(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return files(typed, func(path string, info os.FileInfo) bool {
		return info.IsDir() && slices.ContainsFunc(simulators, func(s simulator) bool { return s.Owns(path) })
	})
}

// files offers the files that begin with what was typed and that are wanted. A
// directory that is not wanted is offered to go on in.
func files(typed string, wanted func(path string, info os.FileInfo) bool) ([]string, cobra.ShellCompDirective) {
	dir, begun := filepath.Split(typed)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, begun) || begun == "" && strings.HasPrefix(name, ".") {
			continue
		}
		path := dir + name
		info, err := os.Stat(path) // follows links
		switch {
		case err != nil:
		case wanted(path, info):
			found = append(found, path)
		case info.IsDir():
			found = append(found, path+string(filepath.Separator))
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return found, directive
}

// completeProfiles offers the machines that can be started, with what they are.
func completeProfiles(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, s := range simulators {
		for _, p := range s.Profiles() {
			all = append(all, cobra.CompletionWithDesc(p.Name, p.Summary))
		}
	}
	return words(all, typed)
}

// completeVendors offers the vendors whose hardware can be simulated.
func completeVendors(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, s := range simulators {
		all = append(all, cobra.CompletionWithDesc(s.Name, s.Title))
	}
	return words(all, typed)
}

// onTyped completes an argument behind the directory of a machine by that
// machine.
func onTyped(complete func(m simulated) ([]string, error)) completion {
	return func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		m, err := openMachine(args[0])
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, err := complete(m)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(all, typed)
	}
}

// completeCards offers the cards that a machine has, by their numbers.
var completeCards = onTyped(func(m simulated) ([]string, error) {
	cards, err := m.Cards()
	var all []string
	for _, c := range cards {
		all = append(all, cobra.CompletionWithDesc(strconv.Itoa(c.Number), c.Address))
	}
	return all, err
})

// completeFaults offers the faults that a machine's cards can have.
var completeFaults = onTyped(func(m simulated) ([]string, error) {
	var all []string
	for _, f := range m.Vendor().Faults {
		all = append(all, cobra.CompletionWithDesc(f.Name, f.Summary))
	}
	return all, nil
})

// completeKeys offers the keys of a machine's scenario, with something behind
// each.
func completeKeys(behind string) completion {
	offer := onTyped(func(m simulated) ([]string, error) {
		f, err := m.Scenario()
		if err != nil {
			return nil, err
		}
		var all []string
		for key := range f.All() {
			all = append(all, key+behind)
		}
		return all, nil
	})
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		all, directive := offer(cmd, args, typed)
		if behind != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return all, directive
	}
}
