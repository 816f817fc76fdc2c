package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Main()
	os.Exit(m.Run())
}

func TestConfigText(t *testing.T) {
	t.Parallel()
	c := Config{
		Dir:    "/d",
		Chroot: map[string]string{"/x/probe": "/bin/probe"},
		Docker: "unix:///run/d.sock",
		Plugins: []Plugin{
			{Binary: "/p/nomad-device-x", Config: "a = 1\n\nb {\n  c = true\n}\n"},
		},
	}
	got := c.text(ports{http: 1, rpc: 2, serf: 3})
	for _, want := range []string{
		"plugin_dir           = \"/d/plugins\"\n",
		"  http = 1\n  rpc  = 2\n  serf = 3\n",
		"    \"driver.allowlist\"     = \"raw_exec,exec,docker\"\n",
		"  chroot_env {\n    \"/x/probe\" = \"/bin/probe\"\n  }\n",
		"    endpoint = \"unix:///run/d.sock\"\n",
		"plugin \"nomad-device-x\" {\n  config {\n    a = 1\n\n    b {\n      c = true\n    }\n  }\n}\n",
	} {
		if !strings.Contains(got, strings.ReplaceAll(want, "\n\n", "\n    \n")) && !strings.Contains(got, want) {
			t.Errorf("the configuration does not say\n%s\nbut\n%s", want, got)
		}
	}
}

func TestConfigTextOfRoles(t *testing.T) {
	t.Parallel()
	p := ports{http: 1, rpc: 2, serf: 3}
	server := Config{Role: ServerOnly, AdvertiseRPC: "127.0.0.1:9"}.text(p)
	client := Config{Role: ClientOnly, Name: "n", Servers: []string{"127.0.0.1:9"}, Deny: []string{"signal"}}.text(p)
	for text, wants := range map[string][]string{
		server: {"  rpc  = \"127.0.0.1:9\"\n", "server {\n  enabled          = true\n", "client {\n  enabled = false\n"},
		client: {"name                 = \"n\"\n", "client {\n  enabled = true\n  servers = [\"127.0.0.1:9\"]\n", "plugins_cni,signal\"\n"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("the configuration does not say\n%s\nbut\n%s", want, text)
			}
		}
	}
	if strings.Contains(client, "server {") {
		t.Errorf("a client is a server, too:\n%s", client)
	}
}

func TestSpecHCL(t *testing.T) {
	t.Parallel()
	spec := Spec{
		Name: "j", Driver: "raw_exec", Command: "/bin/x", Args: []string{"-a", `"b"`}, Env: map[string]string{"K": "v"},
		Devices: []Request{{Device: "acme/sensor", Count: 2, Constraints: []Constraint{
			{Attribute: "memory", Operator: ">=", Value: "8 MiB"},
			{Attribute: "${device.ids}", Operator: "set_contains", Value: "a"},
		}}},
	}
	want := `      resources {
        cpu    = 20
        memory = 32

        device "acme/sensor" {
          count = 2
          constraint {
            attribute = "${device.attr.memory}"
            operator = ">="
            value = "8 MiB"
          }
          constraint {
            attribute = "${device.ids}"
            operator = "set_contains"
            value = "a"
          }
        }
      }
`
	if got := spec.HCL(); !strings.Contains(got, want) || !strings.Contains(got, `args = ["-a","\"b\""]`) {
		t.Errorf("the job is\n%s", got)
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ output, want string }{
		"said": {
			output: "==> Starting Nomad agent...\n==> Error starting agent: 1 error:\n\n* plugin: not right:\n  a: b\n\n" +
				"    2026-01-01T00:00:00.000Z [ERROR] agent.docker: no docker\n",
			want: "==> Error starting agent: 1 error:|* plugin: not right:|  a: b",
		},
		"logged only": {
			output: "    2026-01-01T00:00:00.000Z [INFO]  agent: x\n    2026-01-01T00:00:00.000Z [ERROR] agent: y\n",
			want:   "2026-01-01T00:00:00.000Z [ERROR] agent: y",
		},
	} {
		if got := strings.Join(reasons(test.output), "|"); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestPinnedVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"require (\n\tgithub.com/hashicorp/nomad v1.2.3 // indirect\n)": "v1.2.3",
		"require github.com/hashicorp/nomad v1.2.3\n":                   "v1.2.3",
		"require github.com/hashicorp/nomad/api v1.2.3\n":               "",
	} {
		file := filepath.Join(t.TempDir(), "go.mod")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := pinnedVersion(file)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	if version, err := pinnedVersion(filepath.Join(root, "build", "nomad", "go.mod")); err != nil || version == "" {
		t.Errorf("the pinned version is %q, %v", version, err)
	}
}
