package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/hashicorp/nomad/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rig"
	"github.com/nomad-devices/nomad-devices/tools/nomad/rpcmeter"
	"github.com/nomad-devices/nomad-devices/tools/pluginclient"
)

// fingerprints counts what a plugin sends on its fingerprint streams.
type fingerprints struct {
	mu              sync.Mutex
	messages, bytes int
	first           int // bytes of the first message
}

type methodKey struct{}

func (f *fingerprints) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, methodKey{}, info.FullMethodName)
}

func (f *fingerprints) HandleRPC(ctx context.Context, event stats.RPCStats) {
	method, _ := ctx.Value(methodKey{}).(string)
	payload, received := event.(*stats.InPayload)
	if !received || !strings.HasSuffix(method, "/Fingerprint") {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages++
	f.bytes += payload.Length
	if f.messages == 1 {
		f.first = payload.Length
	}
}

func (f *fingerprints) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (f *fingerprints) HandleConn(context.Context, stats.ConnStats) {}

// tally is what was sent up to a moment.
type tally struct {
	messages, messageBytes           int // from the plugin
	registrations, registrationBytes int // from the node to the server
	writes                           int // of the node into the server's state
	evaluations                      int // of jobs on the node, since it had changed
}

func (a tally) since(b tally) tally {
	return tally{
		a.messages - b.messages, a.messageBytes - b.messageBytes,
		a.registrations - b.registrations, a.registrationBytes - b.registrationBytes,
		a.writes - b.writes, a.evaluations - b.evaluations,
	}
}

// requests are those of a method that name the node.
func (c *cluster) requests(t *testing.T, n *node, method string) []rpcmeter.Request {
	t.Helper()
	own, err := n.agent.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(c.Requests(), func(r rpcmeter.Request) bool { return r.Method != method || !r.Names(own.ID) })
}

// evaluations counts how often the server looked at a job because the node, on
// which it runs, had changed.
func (c *cluster) evaluations(t *testing.T, n *node) (count int) {
	t.Helper()
	own, err := n.agent.Node(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, _, err := c.Server.Client().Evaluations().List(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.TriggeredBy == "node-update" && e.NodeID == own.ID {
			count++
		}
	}
	return count
}

func size(requests []rpcmeter.Request) (total int) {
	for _, r := range requests {
		total += r.Size
	}
	return total
}

// writes counts how often the server writes a node into its state because it
// registered. The server tells of each write in its event stream.
func (c *cluster) writes(t *testing.T, n *node) *atomic.Int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	own, err := n.agent.Node(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Server.Client().EventStream().Stream(ctx, map[api.Topic][]string{api.TopicNode: {own.ID}}, own.ModifyIndex+1, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := &atomic.Int64{}
	var reading sync.WaitGroup
	reading.Go(func() {
		for events := range stream {
			if events.Err != nil && ctx.Err() == nil {
				t.Errorf("the server's event stream: %v", events.Err)
			}
			for _, event := range events.Events {
				if event.Type == "NodeRegistration" {
					count.Add(1)
				}
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
	})
	return count
}

// observe starts a second process of the plugin on a node's machine, which sees
// what the agent's own sees, and counts its messages.
func observe(t *testing.T, n *node) *fingerprints {
	t.Helper()
	counted := &fingerprints{}
	plugin, err := pluginclient.Start(t.Context(), n.Plugin, pluginclient.Options{
		DialOptions: []grpc.DialOption{grpc.WithStatsHandler(counted)},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := pluginclient.ParseConfig(n.machine.Config()+rig.Quick, rig.PluginName)
	if err == nil {
		err = plugin.Configure(t.Context(), config)
	}
	if err != nil {
		plugin.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for _, err := range plugin.Fingerprints(ctx) {
			if err != nil {
				t.Errorf("the plugin under observation: %v", err)
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		reading.Wait()
		plugin.Close()
	})
	return counted
}

// testNodeUpdates measures what the plugin makes its node tell the server. Nomad
// collects changes for 5 to 10 seconds before a node registers again.
func (c *cluster) testNodeUpdates(t *testing.T) {
	t.Parallel()
	const window = 11 * time.Second
	n := c.full
	for i := range 2 {
		job := c.server.submit(t, c.server.Task(fmt.Sprintf("at-work-%d", i), "raw_exec", true, agent.Request{Device: "nvidia/gpu/" + rig.H100}))
		wait(t, job, api.AllocClientStatusRunning)
	}
	plugin := observe(t, n)
	time.Sleep(window) // what the start of the agent still has to say
	writes, earlier := c.writes(t, n), len(c.requests(t, n, "Node.Register"))
	now := func() tally {
		registrations, evaluations := c.requests(t, n, "Node.Register"), c.evaluations(t, n)
		for until := time.Now().Add(patience); int(writes.Load()) < len(registrations)-earlier && time.Now().Before(until); {
			time.Sleep(10 * time.Millisecond) // the events come a little later
		}
		plugin.mu.Lock()
		defer plugin.mu.Unlock()
		return tally{plugin.messages, plugin.bytes, len(registrations), size(registrations), int(writes.Load()), evaluations}
	}

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "phase\tplugin messages\tbytes\tnode registrations\tbytes\tserver writes\tevaluations\tseconds")
	measure := func(name string, most int, act func()) tally {
		before, begun := now(), time.Now()
		act()
		got := now().since(before)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.0f\n", name, got.messages, got.messageBytes,
			got.registrations, got.registrationBytes, got.writes, got.evaluations, time.Since(begun).Seconds())
		if got.messages > most || got.registrations > most || got.writes != got.registrations {
			t.Errorf("%s: %d messages, %d registrations and %d writes; want at most %d, and a write for each registration",
				name, got.messages, got.registrations, got.writes, most)
		}
		return got
	}

	var changes int
	calm := measure("readings move, nothing happens", 0, func() { changes = n.weather(t, 15*time.Second) })
	if calm.evaluations > 0 {
		t.Errorf("the server looked at jobs %d times while nothing happened", calm.evaluations)
	}
	flapping := measure("GPU 7 comes and goes at 10 Hz", 10, func() {
		for i, until := 0, time.Now().Add(15*time.Second); time.Now().Before(until); i++ {
			change := n.machine.Lose
			if i%2 == 1 {
				change = n.machine.Return
			}
			do(t, change(7))
			time.Sleep(100 * time.Millisecond)
		}
		do(t, n.machine.Return(7))
		time.Sleep(window)
	})
	if flapping.messages == 0 {
		t.Error("the plugin said nothing of a GPU that came and went")
	}
	fault := measure("GPU 0 breaks", 3, func() { n.breaks(t, 0) })
	if fault.messages == 0 || fault.registrations == 0 {
		t.Errorf("the fault made %d messages and %d registrations", fault.messages, fault.registrations)
	}
	measure("GPU 0 heals", 3, func() { n.repairs(t, 0) })
	several := []int{1, 2, 3, 4, 5, 6}
	measure("six GPUs break at once", 3*len(several), func() { n.breaks(t, several...) })
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	plugin.mu.Lock()
	defer plugin.mu.Unlock()
	heartbeats := c.requests(t, n, "Node.UpdateStatus")
	t.Logf("a node with 8 GPUs that are looked at every second, and 2 jobs; readings changed %d times; the first fingerprint message has %d bytes; %d heartbeats have %d bytes\n%s",
		changes, plugin.first, len(heartbeats), size(heartbeats), table.String())
}

// weather changes what work changes about GPUs, ten times a second, and returns
// how often.
func (n *node) weather(t *testing.T, d time.Duration) int {
	t.Helper()
	changes := 0
	for until := time.Now().Add(d); time.Now().Before(until); changes++ {
		values := map[string]string{}
		for gpu := range 8 {
			key, load := fmt.Sprintf("gpu.%d.", gpu), (changes*7+gpu*13)%100
			values[key+"temperature"] = fmt.Sprint(35 + load/3)
			values[key+"power.usage"] = fmt.Sprint(70000 + 6000*load)
			values[key+"utilization.gpu"] = fmt.Sprint(load)
			values[key+"memory.used"] = fmt.Sprintf("%d MiB", 500*(1+load))
			values[key+"clock.sm"] = fmt.Sprint(1000 + 9*load)
			values[key+"energy"] = fmt.Sprint(1_000_000 + 1000*changes)
		}
		do(t, n.machine.SetAll(values))
		time.Sleep(100 * time.Millisecond)
	}
	return changes
}

// logRegistrations logs the sizes of the registrations of each node. The least
// of a twin is that of the time when it had no plugin.
func (c *cluster) logRegistrations(t *testing.T) {
	t.Helper()
	for name, n := range map[string]*node{"2 GPUs, and once no plugin": c.twins[0], "2 GPUs": c.twins[1], "8 GPUs": c.full} {
		var sizes []int
		for _, r := range c.requests(t, n, "Node.Register") {
			sizes = append(sizes, r.Size)
		}
		if len(sizes) == 0 {
			t.Errorf("the node with %s has never registered", name)
		}
		t.Logf("registrations of the node with %s, in bytes: %v", name, sizes)
	}
}
