package conformance

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
)

// checkOneName: the file's name is the plugin's name.
func checkOneName(_ context.Context, b *bench) error {
	if b.session.info == nil {
		return skip("PluginInfo gives nothing (C2)")
	}
	file := b.target.(Binary).name()
	if name := b.session.info.Name; name != file {
		return (&problems{}).with("the file is called %q, and the plugin %q", file, name)
	}
	return nil
}

// checkPluginInfo: PluginInfo works before SetConfig, and says what Nomad can
// use.
func checkPluginInfo(_ context.Context, b *bench) error {
	s := b.session
	var p problems
	if s.infoErr != nil {
		return p.with("PluginInfo before SetConfig: %w", s.infoErr)
	}
	info := s.info
	if info.Type != base.PluginTypeDevice {
		p.add("the type is %q, want %q", info.Type, base.PluginTypeDevice)
	}
	if info.Name == "" {
		p.add("the name is empty")
	}
	if _, err := version.NewVersion(info.PluginVersion); err != nil {
		p.add("the version %q does not parse: %w", info.PluginVersion, err)
	}
	want := version.Must(version.NewVersion(device.ApiVersion010))
	if !slices.ContainsFunc(info.PluginApiVersions, func(text string) bool {
		got, err := version.NewVersion(text)
		return err == nil && got.Equal(want)
	}) {
		p.add("the API versions are %q, want %q among them", info.PluginApiVersions, device.ApiVersion010)
	}
	if again := s.infoAgain; again != nil && (again.Name != info.Name || again.PluginVersion != info.PluginVersion || again.Type != info.Type) {
		p.add("PluginInfo said %s %s first and %s %s later", info.Name, info.PluginVersion, again.Name, again.PluginVersion)
	}
	return p.err()
}

// checkCleanStdout: nothing but the handshake on stdout, and that soon.
func checkCleanStdout(_ context.Context, b *bench) error {
	var p problems
	out := &b.session.instance.process.stdout
	handshake, more, _ := strings.Cut(out.String(), "\n")
	if more = strings.TrimSpace(more); more != "" {
		p.add("on stdout after the handshake: %s", quoted(more))
	}
	if limit := b.promptly + b.leeway; out.first > limit {
		p.add("the handshake came %s; want it within %v", after(out.first), b.promptly)
	}
	b.note("handshake %s: %s", after(out.first), handshake)
	return p.err()
}

// checkJSONLog: the log on stderr is in the format that Nomad reads.
func checkJSONLog(_ context.Context, b *bench) error {
	var p problems
	for _, line := range b.session.instance.process.log() {
		if line.level == "" {
			p.add("on stderr: %s", quoted(line.text))
		}
	}
	return p.err()
}

// quoted returns the beginning of a text in quotes.
func quoted(text string) string {
	const most = 160
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return "\"" + strings.ReplaceAll(text, "\n", `\n`) + "\""
}

// checkArguments: the plugin serves whatever its arguments are.
func checkArguments(ctx context.Context, b *bench) error {
	i, err := b.launch(ctx, "--some", "argument")
	if err != nil {
		return (&problems{}).with("with the arguments --some argument: %w", err)
	}
	if _, err := call(ctx, i, i.limits.answer, i.PluginInfo); err != nil {
		return (&problems{}).with("with the arguments --some argument: PluginInfo: %w", err)
	}
	return nil
}

// checkNoCookie: started by hand, the plugin says what it is and ends.
func checkNoCookie(ctx context.Context, b *bench) error {
	cmd, cleanUp, err := b.target.(Binary).command()
	if err != nil {
		return err
	}
	defer cleanUp()
	cmd.Env = slices.DeleteFunc(cmd.Env, func(e string) bool { return strings.HasPrefix(e, base.Handshake.MagicCookieKey+"=") })
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	kill := func() { _ = cmd.Process.Kill() }
	stop := context.AfterFunc(ctx, kill)
	defer stop()
	timeout := time.AfterFunc(b.answer, kill)
	err = cmd.Wait()
	var p problems
	if !timeout.Stop() {
		return p.with("it was still running %v after it was started by hand", b.answer)
	}
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		p.add("it ended with success when it was started by hand")
	}
	if strings.TrimSpace(stderr.String()) == "" {
		p.add("it said nothing on stderr when it was started by hand")
	}
	return p.err()
}

// checkExit: the plugin ends by itself when Nomad says so.
func checkExit(_ context.Context, b *bench) error {
	s := b.session
	if err := b.trouble(s.instance, nil, "C64"); s.exitNote != "exit status 0" && s.exitNote != "signal: killed" && err != nil {
		return err
	}
	return judgeExit(s.exit, s.exitNote, s.left)
}

func judgeExit(took time.Duration, note string, left []int) error {
	var p problems
	if took > exitLimit-100*time.Millisecond {
		p.add("it was told to end and had not %s (%s)", after(took), note)
	} else if note != "exit status 0" {
		p.add("it was told to end and ended with %s", note)
	}
	for _, child := range left {
		p.add("the process %d, which the plugin had started, is still there", child)
	}
	return p.err()
}

// checkIgnoresHangup: SIGHUP and SIGINT do not end the plugin.
func checkIgnoresHangup(ctx context.Context, b *bench) error {
	i, err := b.started(ctx)
	if err != nil {
		return skip("it does not start and take its configuration: %v", err)
	}
	t := i.fingerprint()
	defer t.stop()
	t.until(ctx, b.settle, some)
	var p problems
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if err := i.process.signal(s); err != nil {
			return skip("the plugin is gone: %s", i.process.status())
		}
		if i.process.ended(300 * time.Millisecond) {
			return p.with("%s ended the process (%s)", signalName(s), i.process.status())
		}
	}
	if _, err := call(ctx, i, i.limits.answer, i.PluginInfo); err != nil {
		p.add("after SIGHUP and SIGINT, PluginInfo: %w", err)
	}
	return p.err()
}

func signalName(s syscall.Signal) string {
	return map[syscall.Signal]string{syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM"}[s]
}

// checkTerminates: SIGTERM ends the plugin in order.
func checkTerminates(ctx context.Context, b *bench) error {
	i, err := b.started(ctx)
	if err != nil {
		return skip("it does not start and take its configuration: %v", err)
	}
	t := i.fingerprint()
	defer t.stop()
	t.until(ctx, b.settle, some)
	if err := i.process.signal(syscall.SIGTERM); err != nil {
		return skip("the plugin is gone: %s", i.process.status())
	}
	if !i.process.ended(b.answer) {
		return (&problems{}).with("it was still running %v after SIGTERM", b.answer)
	}
	if status := i.process.status(); status != "exit status 0" {
		return (&problems{}).with("SIGTERM ended it with %q, want \"exit status 0\"", status)
	}
	return nil
}

// orphanLimit is how long a plugin may go on without an agent.
const orphanLimit = 2 * time.Minute

// checkOrphan: a plugin whose agent is gone ends itself.
func checkOrphan(ctx context.Context, b *bench) error {
	i, err := b.started(ctx)
	if err != nil {
		return skip("it does not start and take its configuration: %v", err)
	}
	t := i.fingerprint()
	t.until(ctx, b.settle, some)
	t.stop()
	i.disconnect()
	start := time.Now()
	if !i.process.ended(orphanLimit) {
		return (&problems{}).with("it was still running %v after its agent was gone", orphanLimit)
	}
	b.note("it ended %s", after(time.Since(start)))
	return nil
}
