package release

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/nomad-devices/nomad-devices/tools/nomad/agent"
)

// The values of what differs between builds, for the comparison.
const (
	someVersion = "1.2.3"
	someCommit  = "0123456789abcdef0123456789abcdef01234567"
)

// root returns the repository's directory.
func root(t *testing.T) string {
	t.Helper()
	dir, err := agent.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// readConfiguration reads .goreleaser.yaml.
func readConfiguration(t *testing.T) configuration {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), ".goreleaser.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c configuration
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&c); err != nil {
		t.Fatalf(".goreleaser.yaml: %v", err)
	}
	return c
}

// mpsUnit is the example of a unit that ships with the NVIDIA plugin.
const mpsUnit = "nvidia-mps.service"

// recipe is how a program is built.
type recipe struct {
	Name, Dir, Main, CGO, Tags, LDFlags string
	Flags                               []string
}

var (
	loop  = regexp.MustCompile(`^for v in (.*); do (.*) \|\| exit 1; done$`)
	goRun = regexp.MustCompile(`^CGO_ENABLED=(\d) go -C (\S+) build -tags (\S+) (.*) -ldflags '(.*)' -o (\S+) (\S+)$`)
)

// makeRecipes asks make how it builds the programs.
func makeRecipes(t *testing.T) []recipe {
	t.Helper()
	dry := exec.Command("make", "--no-print-directory", "-n", "plugins", "devctl", "VERSION="+someVersion, "COMMIT="+someCommit)
	dry.Dir = root(t)
	output, err := dry.Output()
	if err != nil {
		t.Fatalf("asking make how it builds: %v", err)
	}
	var commands []string
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if m := loop.FindStringSubmatch(line); m != nil {
			for v := range strings.FieldsSeq(m[1]) {
				commands = append(commands, strings.ReplaceAll(m[2], "$v", v))
			}
			continue
		}
		commands = append(commands, line)
	}
	var recipes []recipe
	for _, command := range commands {
		if m := goRun.FindStringSubmatch(command); m != nil {
			recipes = append(recipes, recipe{
				CGO: m[1], Dir: m[2], Tags: m[3], Flags: strings.Fields(m[4]), LDFlags: m[5], Name: path.Base(m[6]), Main: m[7],
			})
		} else if strings.Contains(command, "go -C") {
			t.Errorf("this test does not understand %q", command)
		}
	}
	return byName(recipes)
}

// releaseRecipes reads from the configuration how a release builds the programs.
func releaseRecipes(c configuration) []recipe {
	// What a release does differently on purpose: it does not link against the C
	// library of the machine that builds it.
	values := strings.NewReplacer("{{ .Version }}", someVersion, "{{ .FullCommit }}", someCommit,
		"'-extldflags=-Wl,-z,lazy -B../../.bin/release/glibc/{{ .Arch }}/'", "-extldflags=-Wl,-z,lazy")
	var recipes []recipe
	for _, b := range c.Builds {
		r := recipe{
			Name: b.Binary, Dir: b.Dir, Main: b.Main, Tags: strings.Join(b.Tags, ","), Flags: b.Flags,
			LDFlags: values.Replace(strings.Join(b.LDFlags, " ")),
		}
		for _, env := range b.Env {
			if cgo, ok := strings.CutPrefix(env, "CGO_ENABLED="); ok {
				r.CGO = cgo
			}
		}
		recipes = append(recipes, r)
	}
	return byName(recipes)
}

func byName(recipes []recipe) []recipe {
	slices.SortFunc(recipes, func(a, b recipe) int { return cmp.Compare(a.Name, b.Name) })
	return recipes
}

// TestBuildsAsMake holds the builds against the Makefile's.
func TestBuildsAsMake(t *testing.T) {
	t.Parallel()
	c := readConfiguration(t)
	if diff := gocmp.Diff(makeRecipes(t), releaseRecipes(c)); diff != "" {
		t.Errorf("make builds differently from a release (-make +release):\n%s", diff)
	}
	show := exec.Command("make", "-s", "--no-print-directory", `--eval=show: ; @printf %s "$$CGO_CFLAGS"`, "show")
	show.Dir, show.Env = root(t), slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CGO_CFLAGS=") })
	flags, err := show.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "CGO_CFLAGS=" + string(flags); !slices.Contains(c.Env, want) {
		t.Errorf("the environment is %q and lacks make's %q", c.Env, want)
	}
}

// defaultPluginDir is where packages put plugins.
const defaultPluginDir = "/opt/nomad/plugins"

// products are the programs that are shipped, and the packages that hold them.
var products = map[string]string{
	"nomad-device-nvidia": "nomad-devices-nvidia",
	"nomad-device-amd":    "nomad-devices-amd",
	"nomad-device-fpga":   "nomad-devices-fpga",
	"devctl":              "nomad-devices-devctl",
}

// TestProducts holds names, places and promises: every program is built for both
// architectures, and shipped in an archive and in packages, with its papers.
func TestProducts(t *testing.T) {
	t.Parallel()
	c := readConfiguration(t)
	if len(c.Builds) != len(products) || len(c.Archives) != len(products) || len(c.NFPMs) != len(products) {
		t.Fatalf("%d builds, %d archives, %d packages, want %d of each", len(c.Builds), len(c.Archives), len(c.NFPMs), len(products))
	}
	for _, b := range c.Builds {
		if products[b.ID] == "" || b.Binary != b.ID || !slices.Equal(b.GOOS, []string{"linux"}) || !slices.Equal(b.GOARCH, []string{"amd64", "arm64"}) {
			t.Errorf("build %s: %+v", b.ID, b)
		}
	}
	for _, a := range c.Archives {
		if !slices.Equal(a.IDs, []string{a.ID}) || !slices.Equal(a.Formats, []string{"zip"}) || a.NameTemplate != "{{ .Binary }}_{{ .Version }}_{{ .Os }}_{{ .Arch }}" {
			t.Errorf("archive %s: %+v", a.ID, a)
		}
		var names []string
		for _, f := range a.Files {
			names = append(names, cmp.Or(f.Dst, f.Src))
		}
		want := []string{"LICENSE", "NOTICE", "CHANGELOG.md", "THIRD-PARTY-NOTICES", a.ID + ".hcl.example"}
		switch a.ID {
		case "devctl":
			want[4] = "completions"
		case "nomad-device-nvidia":
			want = append(want, mpsUnit)
		}
		if diff := gocmp.Diff(want, names); diff != "" {
			t.Errorf("archive %s holds (-want +got):\n%s", a.ID, diff)
		}
	}
	if c.Checksum.NameTemplate != "{{ .ProjectName }}_{{ .Version }}_SHA256SUMS" {
		t.Errorf("the checksums are in %q", c.Checksum.NameTemplate)
	}
}

func TestPackages(t *testing.T) {
	t.Parallel()
	c := readConfiguration(t)
	if want := `PLUGIN_DIR={{ envOrDefault "PLUGIN_DIR" "` + defaultPluginDir + `" }}`; !slices.Contains(c.Env, want) {
		t.Errorf("the environment is %q, want %q in it", c.Env, want)
	}
	for _, p := range c.NFPMs {
		if p.PackageName != products[p.ID] || !slices.Equal(p.IDs, []string{p.ID}) || !slices.Equal(p.Formats, []string{"deb", "rpm"}) {
			t.Errorf("package %s: %+v", p.ID, p)
		}
		if want := map[bool]string{true: "/usr/bin", false: "{{ .Env.PLUGIN_DIR }}"}[p.ID == "devctl"]; p.Bindir != want {
			t.Errorf("package %s puts its program into %q, want %q", p.ID, p.Bindir, want)
		}
		// So that an RPM can be put elsewhere.
		if p.ID != "devctl" && !slices.Equal(p.RPM.Prefixes, []string{defaultPluginDir}) {
			t.Errorf("package %s can be moved from %q, want %s", p.ID, p.RPM.Prefixes, defaultPluginDir)
		}
		deb, rpm := p.Overrides["deb"].Dependencies, p.Overrides["rpm"].Dependencies
		if p.ID == "nomad-device-nvidia" {
			if !slices.Equal(deb, []string{"libc6 (>= " + oldestGlibc + ")"}) || !slices.Equal(rpm, []string{"glibc >= " + oldestGlibc}) {
				t.Errorf("package %s depends on %q and %q, want glibc %s", p.ID, deb, rpm, oldestGlibc)
			}
		} else if len(deb)+len(rpm) > 0 {
			t.Errorf("package %s is static and depends on %q, %q", p.ID, deb, rpm)
		}
		papers := "/usr/share/doc/" + p.PackageName + "/"
		want := []string{strings.TrimSuffix(papers, "/"), papers + "LICENSE", papers + "NOTICE", papers + "CHANGELOG.md", papers + "THIRD-PARTY-NOTICES"}
		if p.ID != "devctl" {
			want = append(want, papers+p.ID+".hcl.example")
		}
		var places []string
		for _, f := range p.Contents {
			places = append(places, f.Dst)
			// Nomad reads all files of a directory that end like this.
			if ext := path.Ext(f.Dst); ext == ".hcl" || ext == ".json" {
				t.Errorf("package %s: Nomad might take %s for its configuration", p.ID, f.Dst)
			}
		}
		if len(places) < len(want) || !slices.Equal(places[:len(want)], want) {
			t.Errorf("package %s holds %q, want %q first", p.ID, places, want)
		}
	}
}
