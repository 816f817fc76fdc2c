package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Plugin is what [InProcess] serves: Nomad's interface of a device plugin.
type Plugin = device.DevicePlugin

// InProcess makes a target of a plugin's implementation. It is served over gRPC
// in this process; launch is called once for each time that Nomad would start
// the binary, and the function that comes with the plugin when it is ended.
func InProcess(launch func() (p Plugin, end func())) Target {
	return inProcess{launch}
}

type inProcess struct {
	new func() (device.DevicePlugin, func())
}

// Label implements [Target].
func (inProcess) Label() string { return "in process" }

// launches gives each in-process plugin a label for its goroutines.
var launches atomic.Int64

const goroutineLabel = "conformance"

func (t inProcess) launch(_ context.Context, _ ...string) (*instance, error) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return nil, fmt.Errorf("a place for the plugin's socket: %w", err)
	}
	socket := filepath.Join(dir, "plugin")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("the plugin's socket: %w", err)
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		_ = listener.Close()
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("the connection to the plugin: %w", err)
	}

	var caught panics
	server := grpc.NewServer(grpc.UnaryInterceptor(caught.unary), grpc.StreamInterceptor(caught.stream))
	name := strconv.FormatInt(launches.Add(1), 10)
	var end func()
	var served sync.WaitGroup
	// Goroutines inherit the label of the one that starts them, so those of
	// this plugin can be told from those of others beside it.
	pprof.Do(context.Background(), pprof.Labels(goroutineLabel, name), func(context.Context) {
		var impl device.DevicePlugin
		impl, end = t.new()
		_ = (&base.PluginBase{Impl: impl}).GRPCServer(nil, server)
		_ = (&device.PluginDevice{Impl: impl}).GRPCServer(nil, server)
		served.Go(func() { _ = server.Serve(listener) })
	})

	done, ended := context.WithCancel(context.Background())
	raw, err := (&device.PluginDevice{}).GRPCClient(done, nil, conn)
	remote, ok := raw.(device.DevicePlugin)
	stop := sync.OnceFunc(func() {
		ended()
		_ = conn.Close()
		server.Stop()
		served.Wait()
		end()
		_ = os.RemoveAll(dir)
	})
	if err != nil || !ok {
		stop()
		return nil, fmt.Errorf("the device interface is a %T: %w", raw, err)
	}
	return &instance{
		DevicePlugin: remote,
		gone:         done.Done(),
		panics:       caught.list,
		goroutines:   func() (int, string) { return labelled(name) },
		shutdown:     stop,
		kill:         stop,
		disconnect:   stop,
	}, nil
}

// panics holds what panicked while a call was served. In a binary that would be
// the end of the process.
type panics struct {
	mu   sync.Mutex
	seen []string
}

func (p *panics) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func (p *panics) catch(what string, err *error) {
	if r := recover(); r != nil {
		p.mu.Lock()
		p.seen = append(p.seen, fmt.Sprintf("%v in %s", r, what))
		p.mu.Unlock()
		*err = status.Error(codes.Internal, "the plugin panicked")
	}
}

func (p *panics) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer p.catch(info.FullMethod, &err)
	return handler(ctx, req)
}

func (p *panics) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer p.catch(info.FullMethod, &err)
	return handler(srv, stream)
}

// labelled counts the goroutines of an in-process plugin, and returns where most
// of them are.
func labelled(name string) (count int, where string) {
	var text bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		return 0, ""
	}
	label := fmt.Sprintf("# labels: {%q:%q}", goroutineLabel, name)
	most := 0
	_, blocks, _ := strings.Cut(text.String(), "\n") // the first line counts all
	for block := range strings.SplitSeq(blocks, "\n\n") {
		if !strings.Contains(block, label) {
			continue
		}
		head, _, _ := strings.Cut(block, " ")
		n, err := strconv.Atoi(strings.TrimSpace(head))
		if err != nil {
			continue
		}
		count += n
		if n > most {
			most, where = n, top(block)
		}
	}
	return count, where
}

// top returns the innermost function of a goroutine profile's stack.
func top(block string) string {
	for line := range strings.Lines(block) {
		fields := strings.Fields(line)
		if len(fields) >= 4 && fields[0] == "#" && strings.HasPrefix(fields[1], "0x") {
			return fields[2] + " " + fields[3]
		}
	}
	return ""
}
