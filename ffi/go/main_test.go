//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

const (
	digest     = "sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
	other      = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	repository = "registry.example/team/app"
	image      = repository + ":1.2"
	password   = "correct horse"
)

var (
	ctx    = context.Background()
	target = &tagtrust.Target{Digest: digest, Size: 1570}
)

// TestMain keeps the user's own Docker settings out of the tests.
func TestMain(m *testing.M) {
	directory, err := os.MkdirTemp("", "tagtrust-go-")
	if err != nil {
		panic(err)
	}
	os.Setenv("DOCKER_CONFIG", filepath.Join(directory, "docker"))
	os.Setenv("DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", password)
	os.Setenv("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", password)
	os.Unsetenv("DOCKER_CONTENT_TRUST_SERVER")
	status := m.Run()
	os.RemoveAll(directory)
	os.Exit(status)
}

func startServer(t testing.TB, options tagtrust.ServerOptions) *tagtrust.Server {
	t.Helper()
	server, err := tagtrust.StartServer(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// newClient has a trust directory of its own, unless the options have one.
func newClient(t testing.TB, options tagtrust.Options) *tagtrust.Client {
	t.Helper()
	if options.TrustDir == "" {
		options.TrustDir = t.TempDir()
	}
	client, err := tagtrust.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// publisher has signed `image` on a server of its own.
func publisher(t testing.TB, options tagtrust.Options) (*tagtrust.Client, *tagtrust.Server) {
	t.Helper()
	server := startServer(t, tagtrust.ServerOptions{})
	options.Server = server.URL()
	client := newClient(t, options)
	publication, err := client.Sign(ctx, image, target)
	if err != nil {
		t.Fatal(err)
	}
	if !publication.Published || publication.Repository != repository {
		t.Fatalf("%+v", publication)
	}
	return client, server
}
