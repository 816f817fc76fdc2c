package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// engine serves handler as a Docker engine would, and returns its endpoint.
func engine(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // a test's own directory is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return "unix://" + socket
}

func TestImport(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "p")
	if err := os.WriteFile(program, []byte("the program"), 0o700); err != nil {
		t.Fatal(err)
	}
	var query, content string
	endpoint := engine(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/images/create" {
			return
		}
		query = r.URL.Query().Get("repo") + "|" + r.URL.Query().Get("tag") + "|" + r.URL.Query().Get("changes")
		for archive := tar.NewReader(r.Body); ; {
			header, err := archive.Next()
			if err != nil {
				return
			}
			if header.Name == "bin/probe" {
				text, _ := io.ReadAll(archive)
				content = string(text)
			}
		}
	})
	e, err := At(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Import(t.Context(), "x/probe:1", program, "probe"); err != nil {
		t.Fatal(err)
	}
	if want := `x/probe|1|ENTRYPOINT ["/bin/probe"]`; query != want || content != "the program" {
		t.Errorf("asked for %q with %q", query, content)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if _, err := At(t.Context(), "unix:///no/such/socket"); !errors.Is(err, ErrNone) {
		t.Errorf("no socket: %v", err)
	}
	if _, err := At(t.Context(), "tcp://192.0.2.1:2375"); err == nil || !strings.Contains(err.Error(), "Unix socket") {
		t.Errorf("over the network: %v", err)
	}
	endpoint := engine(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodDelete:
			http.Error(w, "no such image", http.StatusNotFound)
		case http.MethodPost:
			_, _ = io.WriteString(w, `{"status":"x"}`+"\n"+`{"error":"disk full"}`)
		}
	})
	e, err := At(context.Background(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), "x:1"); err == nil || !strings.Contains(err.Error(), "no such image") {
		t.Errorf("remove: %v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Import(t.Context(), "x:1", self, "p"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("import: %v", err)
	}
}
