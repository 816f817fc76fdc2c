package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	faultRow = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+…?)` \\| (?:hard|soft|notice)")
	codeWord = regexp.MustCompile("`([a-z0-9-]+…?)`")
)

// TestEveryFault holds the index of faults in docs/operating.md against the tables
// of the plugins' pages, which the plugins' own tests hold against the code.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	index := file(t, "docs/operating.md")
	_, index, _ = strings.Cut(index, "<!-- begin: faults -->")
	index, _, _ = strings.Cut(index, "<!-- end: faults -->")
	for column, plugin := range []string{"nvidia", "amd", "fpga"} {
		want := map[string]bool{}
		for _, row := range faultRow.FindAllStringSubmatch(file(t, "docs/plugins/"+plugin+".md"), -1) {
			want[row[1]] = true
		}
		if len(want) < 10 {
			t.Fatalf("found %d faults of %s: this test reads the wrong table", len(want), plugin)
		}
		got := map[string]bool{}
		for line := range strings.Lines(index) {
			cells := strings.Split(line, "|")
			if len(cells) < 5 {
				continue
			}
			for _, code := range codeWord.FindAllStringSubmatch(cells[column+2], -1) {
				got[code[1]] = true
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("faults of %s on its page and in docs/operating.md (-want +got):\n%s", plugin, diff)
		}
	}
}

// message is a line of a log or of an error that a page quotes, with the file
// that it comes from.
type message struct{ page, quoted, from, source string }

// What Nomad says.
var nomadMessages = []message{
	{"troubleshooting", "plugin not referenced in the agent configuration file, loading skipped", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "skipping external plugins since plugin_dir doesn't exist", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "skipping un-executable file in plugin folder", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "skipping subdir in plugin folder", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "failed to stat file", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "failed to parse config: ", "helper/pluginutils/loader/init.go", ""},
	{"troubleshooting", "setting config for plugin", "helper/pluginutils/loader/loader.go", ""},
	{"troubleshooting", "Configuration is valid!", "command/config_validate.go", ""},
	{"troubleshooting", "missing devices", "scheduler/feasible/feasible.go", ""},
	{"troubleshooting", "no devices match request", "scheduler/feasible/device.go", ""},
	{"troubleshooting", "excluded by filter", "command/monitor.go", ""},
	{"troubleshooting", "failed to reserve device", "client/allocrunner/taskrunner/device_hook.go", ""},
	{"troubleshooting", "operation on unknown device(s)", "client/devicemanager/utils.go", ""},
	{"troubleshooting", `requested docker runtime "nvidia" was not found`, "drivers/docker/driver.go", "requested docker runtime %q was not found"},
	{"troubleshooting", `requested runtime "amd" is not allowed`, "drivers/docker/driver.go", "requested runtime %q is not allowed"},
	{"troubleshooting", "conflicting runtime requests", "drivers/docker/driver.go", ""},
	{"operating", "detected plugin", "command/agent/plugins.go", ""},
}

// What the plugins say.
var ourMessages = []message{
	{"operating", "devices found", "core/fingerprint/journal.go", ""},
	{"operating", "no devices found", "core/fingerprint/journal.go", ""},
	{"operating", "the devices of a group do not share an attribute; it is left out", "core/fingerprint", ""},
	{"operating", "serving metrics", "core/metrics/serve.go", ""},
	{"operating", "the device is unhealthy", "core/fingerprint/journal.go", ""},
	{"operating", "more is known about the unhealthy device", "core/fingerprint/journal.go", ""},
	{"operating", "the device is healthy again", "core/fingerprint/journal.go", ""},
	{"operating", "the device is healthy, with a remark", "core/fingerprint/journal.go", ""},
	{"operating", "the device was gone for a minute and is listed no more", "core/fingerprint/journal.go", ""},
	{"operating", "devices reserved", "core/plugin/adapter.go", ""},
	{"operating", "a reservation was refused", "core/plugin/adapter.go", ""},
	{"operating", "statistics are missing", "core/stats", ""},
	{"operating", "this process ends so that Nomad starts a new one", "core/plugin/lifetime.go", ""},
	{"operating", "this plugin died again and again after it touched the hardware; waiting before the next try", "core/plugin/lifetime.go", ""},
	{"operating", "no Nomad agent listens any more; this process ends", "core/plugin/lifetime.go", ""},
	{"operating", "the device is no longer there", "core/fingerprint/ledger.go", ""},
	{"operating", "the driver does not answer for this device", "core/fingerprint/ledger.go", ""},
	{"operating", "the plugin failed while it read this device", "core/fingerprint/ledger.go", ""},
	{"troubleshooting", "devices-twice", "tools/doctor/catalogue.go", ""},
}

// TestMessages sees that what pages quote is what is said, by the Nomad that this
// project is tested with and by the plugins.
func TestMessages(t *testing.T) {
	t.Parallel()
	all := pages(t)
	check := func(m message, source string) {
		t.Helper()
		if m.source == "" {
			m.source = m.quoted
		}
		if !quotes(all, "docs/"+m.page+".md", m.quoted) {
			t.Errorf("docs/%s.md does not quote %q any more", m.page, m.quoted)
		}
		if !strings.Contains(source, m.source) {
			t.Errorf("%s does not say %q", m.from, m.source)
		}
	}
	for _, m := range nomadMessages {
		check(m, nomadSource(t, m.from))
	}
	for _, m := range ourMessages {
		check(m, sources(t, m.from))
	}
}

// quotes says whether a page has a text written as code.
func quotes(all []page, path, text string) bool {
	return slices.ContainsFunc(all, func(p page) bool {
		return p.path == path &&
			(slices.ContainsFunc(p.spans, func(span string) bool { return strings.Contains(span, text) }) ||
				slices.ContainsFunc(p.blocks, func(b block) bool { return strings.Contains(b.text, text) }))
	})
}

// sources is the text of a file of the repository, or of all Go files of a
// directory.
func sources(t *testing.T, path string) string {
	t.Helper()
	if filepath.Ext(path) != "" {
		return file(t, path)
	}
	names, err := filepath.Glob(filepath.Join(root(t), path, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// file reads a file of the repository.
func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
