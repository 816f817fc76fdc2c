package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"
)

// TestMain serves the fake plugin if the test binary was started as one.
func TestMain(m *testing.M) {
	if os.Getenv(base.Handshake.MagicCookieKey) == base.Handshake.MagicCookieValue {
		log := hclog.New(&hclog.LoggerOptions{Name: "fake", JSONFormat: true})
		device.Serve(newFake(log), log)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// script is what a fake plugin does. It reads it from the file that its
// configuration names.
type script struct {
	Groups []*device.DeviceGroup
	// Refuse is the error of SetConfig, Withhold that of Reserve.
	Refuse, Withhold string
	// End ends the fingerprint stream at once.
	End bool
	// Info and Warn are lines of the log.
	Info, Warn string
	// Nodes and Env are in every reservation.
	Nodes []string
	Env   map[string]string
}

// fake is a plugin that does what a script says. What is to be wrong before it
// has a configuration is in its arguments.
type fake struct {
	log                 hclog.Logger
	name, kind, version string
	script              script
}

func newFake(log hclog.Logger) *fake {
	f := &fake{log: log}
	flags := flag.NewFlagSet("fake", flag.ExitOnError)
	flags.StringVar(&f.name, "name", filepath.Base(os.Args[0]), "")
	flags.StringVar(&f.kind, "type", base.PluginTypeDevice, "")
	flags.StringVar(&f.version, "version", "1.2.3", "")
	exit := flags.Bool("exit", false, "")
	_ = flags.Parse(os.Args[1:]) // it exits by itself
	if *exit {
		log.Error("the bus is on fire")
		os.Exit(3)
	}
	return f
}

func (f *fake) PluginInfo() (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{Type: f.kind, Name: f.name, PluginVersion: f.version, PluginApiVersions: []string{device.ApiVersion010}}, nil
}

func (f *fake) ConfigSchema() (*hclspec.Spec, error) {
	settings := map[string]*hclspec.Spec{
		"enabled":     hclspec.NewAttr("enabled", "bool", false),
		"ignored_ids": hclspec.NewAttr("ignored_ids", "list(string)", false),
	}
	for _, key := range []string{"script", "host_root", "nvml_library"} {
		settings[key] = hclspec.NewAttr(key, "string", false)
	}
	return hclspec.NewObject(settings), nil
}

func (f *fake) SetConfig(c *base.Config) error {
	var config struct {
		Script string `codec:"script"`
	}
	if err := base.MsgPackDecode(c.PluginConfig, &config); err != nil {
		return err
	}
	if config.Script == "" {
		return nil
	}
	text, err := os.ReadFile(config.Script)
	if err != nil {
		return err
	}
	f.script = script{}
	if err := json.Unmarshal(text, &f.script); err != nil {
		return err
	}
	if f.script.Refuse != "" {
		return errors.New(f.script.Refuse)
	}
	return nil
}

func (f *fake) Fingerprint(ctx context.Context) (<-chan *device.FingerprintResponse, error) {
	if f.script.Info != "" {
		f.log.Info(f.script.Info)
	}
	if f.script.Warn != "" {
		f.log.Warn(f.script.Warn, "card", 7)
	}
	out := make(chan *device.FingerprintResponse, 1)
	if f.script.End {
		close(out)
		return out, nil
	}
	out <- device.NewFingerprint(f.script.Groups...)
	context.AfterFunc(ctx, func() { close(out) })
	return out, nil
}

func (f *fake) Stats(context.Context, time.Duration) (<-chan *device.StatsResponse, error) {
	return nil, errors.New("nobody asks for statistics")
}

func (f *fake) Reserve(ids []string) (*device.ContainerReservation, error) {
	if f.script.Withhold != "" && slices.Contains(ids, f.script.Groups[0].Devices[0].ID) {
		return nil, errors.New(f.script.Withhold)
	}
	r := &device.ContainerReservation{Envs: f.script.Env}
	for _, node := range f.script.Nodes {
		r.Devices = append(r.Devices, &device.DeviceSpec{HostPath: node, TaskPath: node, CgroupPerms: "rw"})
	}
	return r, nil
}
