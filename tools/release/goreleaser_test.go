package release

// What of .goreleaser.yaml the tests look at; its own documentation says what
// each of these is.
type (
	configuration struct {
		Env      []string
		Builds   []build
		Archives []archive
		NFPMs    []nfpm `yaml:"nfpms"`
		Checksum struct {
			NameTemplate string `yaml:"name_template"`
		}
	}
	build struct {
		ID, Dir, Main, Binary string
		GOOS                  []string `yaml:"goos"`
		GOARCH                []string `yaml:"goarch"`
		Env, Tags, Flags      []string
		LDFlags               []string `yaml:"ldflags"`
		Overrides             []struct {
			GOOS   string `yaml:"goos"`
			GOARCH string `yaml:"goarch"`
			Env    []string
		}
	}
	archive struct {
		ID           string
		IDs          []string `yaml:"ids"`
		Formats      []string
		NameTemplate string `yaml:"name_template"`
		Files        []struct{ Src, Dst string }
	}
	nfpm struct {
		ID          string
		IDs         []string `yaml:"ids"`
		PackageName string   `yaml:"package_name"`
		Formats     []string
		Bindir      string
		Overrides   map[string]struct{ Dependencies []string }
		Contents    []struct{ Src, Dst string }
		RPM         struct{ Prefixes []string } `yaml:"rpm"`
	}
)
