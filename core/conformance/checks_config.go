package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
)

// checkEmptyConfig: there is a schema, nothing in it is required, and the plugin
// takes a configuration in which nothing is set.
func checkEmptyConfig(ctx context.Context, b *bench) error {
	s := b.session
	var p problems
	if s.schemaErr != nil {
		return p.with("ConfigSchema: %w", s.schemaErr)
	}
	for _, setting := range settingsOf(s.schema) {
		if setting.required {
			p.add("%q is required", setting.key)
		}
	}
	if len(p) > 0 {
		return p.err()
	}
	packed, err := b.options.Encode(s.schema, map[string]any{})
	if err != nil {
		return p.with("an empty configuration does not pass the schema: %w", err)
	}
	i, err := b.launch(ctx)
	if err != nil {
		return skip("it does not start: %v", err)
	}
	if err := setConfig(ctx, i, packed); err != nil {
		p.add("SetConfig refuses an empty configuration: %w", err)
	}
	return p.err()
}

// checkGoodConfig: the configuration under test is taken.
func checkGoodConfig(_ context.Context, b *bench) error {
	if b.session.schemaErr != nil {
		return b.session.unready()
	}
	if err := b.session.configErr; err != nil {
		return (&problems{}).with("SetConfig: %w", err)
	}
	return nil
}

// durations are the ends of the names of settings that are durations.
var durations = []string{"_period", "_interval", "_timeout"}

// checkBadDuration: a duration that is none is refused by its key, and does no
// harm.
func checkBadDuration(ctx context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	var keys []string
	for _, s := range settingsOf(b.session.schema) {
		if s.kind == "string" && slices.ContainsFunc(durations, func(end string) bool { return strings.HasSuffix(s.key, end) }) {
			keys = append(keys, s.key)
		}
	}
	if len(keys) == 0 {
		return skip("the plugin has no setting that must be a duration")
	}
	i, err := b.launch(ctx)
	if err != nil {
		return skip("it does not start: %v", err)
	}
	var p problems
	for _, key := range keys {
		err := b.configure(ctx, i, map[string]any{key: "every now and then"})
		switch {
		case errors.Is(err, errNoAnswer):
			return p.with("SetConfig with a wrong %s: %w", key, err)
		case err == nil:
			p.add("SetConfig takes %s = \"every now and then\"", key)
		case !names(err.Error(), key):
			p.add("the error for a wrong %s does not name it: %w", key, err)
		}
	}
	if err := b.configure(ctx, i); err != nil {
		p.add("after wrong configurations the right one is refused: %w", err)
	}
	return p.err()
}

// names returns whether a text names a key, with underscores or blanks.
func names(text, key string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, key) || strings.Contains(text, strings.ReplaceAll(key, "_", " "))
}

// checkGarbageConfig: bytes that are no configuration are refused and do no
// harm.
func checkGarbageConfig(ctx context.Context, b *bench) error {
	if err := b.session.unready(); err != nil {
		return err
	}
	i, err := b.launch(ctx)
	if err != nil {
		return skip("it does not start: %v", err)
	}
	var p problems
	for _, garbage := range []string{"\xc1", "\x81\xa7enabled", "no message pack at all"} {
		if err := setConfig(ctx, i, []byte(garbage)); err == nil {
			p.add("SetConfig takes the bytes %q", garbage)
		}
	}
	if died := i.died(); died != "" {
		return p.with("over garbage %s", died)
	}
	if err := b.configure(ctx, i); err != nil {
		p.add("after garbage the right configuration is refused: %w", err)
	}
	return p.err()
}

// checkSetConfigAgain: the same configuration any number of times, with and
// without the agent's part, before and between streams, changes nothing.
func checkSetConfigAgain(ctx context.Context, b *bench) error {
	want, err := b.session.groups()
	if err != nil {
		return err
	}
	i, err := b.started(ctx)
	if err != nil {
		return err
	}
	packed, err := b.options.Encode(b.session.schema, b.settings)
	if err != nil {
		return err
	}
	var p problems
	for _, agent := range []*base.AgentConfig{nil, {}} {
		if _, err := call(ctx, i, i.limits.answer, func() (struct{}, error) {
			return struct{}{}, i.SetConfig(&base.Config{ApiVersion: device.ApiVersion010, PluginConfig: packed, AgentConfig: agent})
		}); err != nil {
			return p.with("SetConfig once more: %w", err)
		}
	}
	for _, when := range []string{"after SetConfig three times", "after SetConfig between two streams"} {
		t := i.fingerprint()
		got, err := b.settledLike(ctx, t)
		_, end := t.played()
		t.stop()
		if trouble := b.trouble(i, end, "C7"); trouble != nil {
			return trouble
		}
		if err != nil {
			return p.with("%s: %w", when, errLike(err))
		}
		p.compareDevices(when, want, got)
		if err := b.configure(ctx, i); err != nil {
			return p.with("SetConfig between two streams: %w", err)
		}
	}
	return p.err()
}

// checkSetConfigReplaces: of a configuration nothing is left when another one
// comes.
func checkSetConfigReplaces(ctx context.Context, b *bench) error {
	want, err := b.session.groups()
	if err != nil {
		return err
	}
	ids := idsOf(want)
	before := map[string]any{}
	for _, s := range settingsOf(b.session.schema) {
		switch {
		case s.key == "enabled" && s.kind == "bool":
			before[s.key] = false
		case strings.HasPrefix(s.key, "ignored") && s.kind == "list(string)":
			before[s.key] = []string{ids[0]}
		}
	}
	for key := range b.settings {
		delete(before, key)
	}
	if len(before) == 0 {
		return skip("the plugin has no setting whose effect is known, such as enabled or ignored_ids")
	}
	i, err := b.started(ctx, before)
	if err != nil {
		return (&problems{}).with("with %v: %w", before, err)
	}
	var p problems
	if err := b.configure(ctx, i); err != nil {
		return p.with("the second SetConfig: %w", err)
	}
	t := i.fingerprint()
	defer t.stop()
	got, err := b.settledLike(ctx, t)
	_, end := t.played()
	if trouble := b.trouble(i, end, "C7"); trouble != nil {
		return trouble
	}
	if err != nil {
		return p.with("after a configuration with %v was replaced: %w", before, errLike(err))
	}
	p.compareDevices(fmt.Sprintf("after a configuration with %v was replaced", before), want, got)
	return p.err()
}

// checkTwoAtOnce: two processes of one configuration do not get into each
// other's way.
func checkTwoAtOnce(ctx context.Context, b *bench) error {
	want, err := b.session.groups()
	if err != nil {
		return err
	}
	var p problems
	for _, which := range []string{"first", "second"} {
		i, err := b.started(ctx)
		if err != nil {
			return p.with("the %s of two at once: %w", which, err)
		}
		t := i.fingerprint()
		defer t.stop()
		got, err := b.settledLike(ctx, t)
		_, end := t.played()
		if trouble := b.trouble(i, end, "C8"); trouble != nil {
			return trouble
		}
		if err != nil {
			return p.with("the %s of two at once: %w", which, errLike(err))
		}
		p.compareDevices("the "+which+" of two at once", want, got)
	}
	return p.err()
}

// checkDisabled: a plugin that is switched off keeps its streams open and shows
// nothing.
func checkDisabled(ctx context.Context, b *bench) error {
	if err := b.session.steady(); err != nil {
		return err
	}
	if s, ok := b.setting("enabled"); !ok || s.kind != "bool" {
		return skip("the plugin has no setting \"enabled\"")
	}
	i, err := b.started(ctx, map[string]any{"enabled": false})
	if err != nil {
		return (&problems{}).with("with enabled = false: %w", err)
	}
	t := i.fingerprint()
	defer t.stop()
	stats := i.stats(b.session.interval)
	defer stats.stop()
	var p problems
	if !t.until(ctx, b.settle, some) {
		if _, end := t.played(); end == nil {
			p.add("with enabled = false no first message came; want an empty one")
		}
	}
	wait(ctx, b.options.Watch/3)
	moments, end := t.played()
	if len(moments) > 0 && len(idsOf(moments[len(moments)-1].message.Devices)) > 0 {
		p.add("with enabled = false it offers %s", strings.Join(idsOf(moments[len(moments)-1].message.Devices), ", "))
	}
	if end != nil {
		p.add("with enabled = false: %v", end)
	}
	if _, end := stats.played(); end != nil {
		p.add("with enabled = false, statistics: %v", end)
	}
	return p.err()
}

// compareDevices adds a problem if there are more or fewer devices than there
// should be. That they are others is C31's matter.
func (p *problems) compareDevices(when string, want, got []*device.DeviceGroup) {
	w, g := idsOf(want), idsOf(got)
	if len(w) == len(g) {
		return
	}
	for _, line := range difference(w, g) {
		p.add("%s: device %s", when, line)
	}
}

// difference says what is in one list and not in the other.
func difference(want, got []string) []string {
	var lines []string
	for _, w := range want {
		if !slices.Contains(got, w) {
			lines = append(lines, w+" is missing")
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) {
			lines = append(lines, g+" is new")
		}
	}
	return lines
}
