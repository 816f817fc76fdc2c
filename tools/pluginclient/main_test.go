package pluginclient

import (
	"os"
	"testing"

	"github.com/nomad-devices/nomad-devices/tools/pluginclient/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Main()
	os.Exit(m.Run())
}
