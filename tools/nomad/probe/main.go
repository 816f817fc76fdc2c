// Command probe is the task of the demonstration and of the end-to-end tests:
// it writes down what it really got, as one line of JSON, and ends.
//
// It is built without cgo, so that one file is all that a chroot or a container
// image needs. With -hold it stays until it is told to end.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/nomad-devices/nomad-devices/tools/nomad/probe/report"
)

func main() {
	env := flag.String("env", "", "variables to write down, as patterns with commas between them: CUDA_*,NVIDIA_*")
	nodes := flag.String("nodes", "", "device nodes to write down, as patterns with commas between them: /dev/nvidia*")
	files := flag.String("files", "", "other files to look for, as patterns with commas between them: /dev/shm/*")
	hold := flag.Bool("hold", false, "stay until the task is stopped")
	flag.Parse()
	if err := run(split(*env), split(*nodes), split(*files), *hold); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func split(list string) []string {
	return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
}

func run(env, nodes, files []string, hold bool) error {
	r := report.Report{UID: os.Getuid(), Env: map[string]string{}}
	for _, entry := range os.Environ() {
		key, value, _ := strings.Cut(entry, "=")
		for _, pattern := range env {
			matched, err := filepath.Match(pattern, key)
			if err != nil {
				return fmt.Errorf("pattern %q: %w", pattern, err)
			}
			if matched {
				r.Env[key] = value
			}
		}
	}
	for _, pattern := range nodes {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
		for _, path := range paths {
			node, ok, err := look(path)
			if err != nil {
				return err
			}
			if ok {
				r.Nodes = append(r.Nodes, node)
			}
		}
	}
	for _, pattern := range files {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
		r.Files = append(r.Files, paths...)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	if hold {
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
		<-stop
	}
	return nil
}

// look describes a device node; what is none is not ok.
func look(path string) (report.Node, bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return report.Node{}, false, err
	}
	node := report.Node{Path: path, Mode: info.Mode().Perm().String()}
	switch {
	case info.Mode()&os.ModeCharDevice != 0:
		node.Type = "c"
	case info.Mode()&os.ModeDevice != 0:
		node.Type = "b"
	default:
		return node, false, nil
	}
	node.Major, node.Minor = numbers(info)
	// The simulated nodes have no driver behind them: "no such device" means
	// that the task may use the node, and "not permitted" that it may not.
	switch file, err := os.OpenFile(path, os.O_RDWR, 0); {
	case err == nil:
		_ = file.Close()
		node.Allowed = true
	case errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		node.Allowed = true
	default:
		node.Error = err.Error()
	}
	return node, true, nil
}
