// Package docker talks to a Docker engine as far as demonstrations and tests
// need it: is there one, and make an image of one program.
package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// DefaultEndpoint is where an engine listens if DOCKER_HOST does not say
// otherwise.
const DefaultEndpoint = "unix:///var/run/docker.sock"

// ErrNone says that nothing listens where an engine would.
var ErrNone = errors.New("there is no Docker engine")

// Engine is a Docker engine behind a Unix socket.
type Engine struct {
	endpoint string
	http     *http.Client
}

// Find returns the engine that DOCKER_HOST names, or the usual one, if it
// answers.
func Find(ctx context.Context) (*Engine, error) {
	endpoint := os.Getenv("DOCKER_HOST")
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	return At(ctx, endpoint)
}

// At returns the engine at an endpoint such as "unix:///var/run/docker.sock",
// if it answers.
func At(ctx context.Context, endpoint string) (*Engine, error) {
	socket, ok := strings.CutPrefix(endpoint, "unix://")
	if !ok {
		return nil, fmt.Errorf("the Docker engine at %s is not behind a Unix socket, so its containers may be elsewhere", endpoint)
	}
	e := &Engine{endpoint: endpoint, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := e.do(ctx, http.MethodGet, "/_ping", nil, nil); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w at %s", ErrNone, endpoint)
		}
		return nil, fmt.Errorf("the Docker engine at %s does not answer as one: %w", endpoint, err)
	}
	return e, nil
}

// Endpoint returns the engine's address, as the docker driver's "endpoint".
func (e *Engine) Endpoint() string { return e.endpoint }

// Import makes an image that holds the program, a static binary, as
// /bin/<name>, and runs it.
func (e *Engine) Import(ctx context.Context, image, program, name string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, dir := range []string{"bin/", "dev/", "proc/", "sys/", "tmp/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/" + name, Mode: 0o755, Size: int64(len(content))}); err != nil {
		return err
	}
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	repository, tag, _ := strings.Cut(image, ":")
	answer, err := e.do(ctx, http.MethodPost, "/images/create", url.Values{
		"fromSrc": {"-"}, "repo": {repository}, "tag": {tag},
		"changes": {fmt.Sprintf("ENTRYPOINT [%q]", "/bin/"+name)},
	}, &archive)
	if err != nil {
		return fmt.Errorf("making the image %s: %w", image, err)
	}
	// The answer is a stream of messages, and an error may be one of them.
	if bytes.Contains(answer, []byte(`"error"`)) {
		return fmt.Errorf("making the image %s: %s", image, bytes.TrimSpace(answer))
	}
	return nil
}

// Remove removes an image.
func (e *Engine) Remove(ctx context.Context, image string) error {
	if _, err := e.do(ctx, http.MethodDelete, "/images/"+image, url.Values{"force": {"1"}}, nil); err != nil {
		return fmt.Errorf("removing the image %s: %w", image, err)
	}
	return nil
}

func (e *Engine) do(ctx context.Context, method, path string, values url.Values, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://docker"+path+"?"+values.Encode(), body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/x-tar")
	}
	response, err := e.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, bytes.TrimSpace(text))
	}
	return text, nil
}
