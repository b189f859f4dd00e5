//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

func TestAServerWithACertificateOfItsOwn(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	server := startServer(t, tagtrust.ServerOptions{SelfSignedTLS: true, WithoutUI: true, AccessLog: log})
	block, _ := pem.Decode(server.CertificatePEM())
	if block == nil {
		t.Fatal("no certificate")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		t.Error(err)
	}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, server.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := newClient(t, tagtrust.Options{Server: server.URL(), CAFile: authority})
	must(t, func() (*tagtrust.Publication, error) { return trusting.Sign(ctx, image, target) })
	if _, err := newClient(t, tagtrust.Options{Server: server.URL()}).Verify(ctx, image); !errors.Is(err, tagtrust.ErrUnreachable) {
		t.Error(err)
	}
	if err := server.Reload(); err != nil {
		t.Error(err)
	}
	server.Close()
	if lines, err := os.ReadFile(log); err != nil || !bytes.Contains(lines, []byte("registry.example")) {
		t.Errorf("%s, %v", lines, err)
	}
}

func TestAServerKeepsWhatItIsToldToKeep(t *testing.T) {
	directory := t.TempDir()
	options := tagtrust.ServerOptions{
		Storage: "sqlite:" + filepath.Join(directory, "trust.db"), GUNPrefixes: []string{"registry.example/"},
		Passphrases:      []tagtrust.NamedPassphrase{{Name: "default", Passphrase: password}},
		SnapshotLifetime: year, TimestampLifetime: 24 * time.Hour, KeepVersions: 3,
	}
	trust := filepath.Join(directory, "trust")
	first := startServer(t, options)
	must(t, func() (*tagtrust.Publication, error) {
		return newClient(t, tagtrust.Options{Server: first.URL(), TrustDir: trust}).Sign(ctx, image, target)
	})
	if _, err := newClient(t, tagtrust.Options{Server: first.URL()}).Sign(ctx, "elsewhere.example/app:1", target); err == nil {
		t.Error("a repository without the prefix")
	}
	first.Close()
	options.ReadOnly = true
	second := startServer(t, options)
	client := newClient(t, tagtrust.Options{Server: second.URL(), TrustDir: trust})
	found := must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, image) })
	if time.Until(found.Expires) > 24*time.Hour {
		t.Errorf("%+v", found)
	}
	if made, err := client.Sign(ctx, repository+":2", target); made != nil || !errors.Is(err, tagtrust.ErrServerRejected) {
		t.Errorf("%v, %v", made, err)
	}
}

func TestAServerAdmitsWhomItKnows(t *testing.T) {
	users := filepath.Join(t.TempDir(), "htpasswd")
	// The password of alice is `password`.
	alice := "alice:$2b$10$bBbq0GqCr81l/GeB9YecnesMcwANsk4C0xQ5iIWseXvrb9BWzlWBS\n"
	if err := os.WriteFile(users, []byte(alice), 0o600); err != nil {
		t.Fatal(err)
	}
	server := startServer(t, tagtrust.ServerOptions{PasswordFile: &tagtrust.PasswordFile{Path: users, AnonymousPull: true}})
	known := newClient(t, tagtrust.Options{Server: server.URL(), Username: "alice", Password: password})
	must(t, func() (*tagtrust.Publication, error) { return known.Sign(ctx, image, target) })
	nobody := newClient(t, tagtrust.Options{Server: server.URL()})
	must(t, func() (*tagtrust.Image, error) { return nobody.Verify(ctx, image) })
	for what, options := range map[string]tagtrust.Options{
		"nobody": {}, "wrong password": {Username: "alice", Password: "wrong"},
	} {
		options.Server = server.URL()
		if made, err := newClient(t, options).Sign(ctx, repository+"2:1", target); made != nil || !errors.Is(err, tagtrust.ErrUnauthorized) {
			t.Errorf("%s: %v, %v", what, made, err)
		}
	}
}

func TestAServerWithTheConfigurationFileOfNotaryServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.json")
	content := `{"server":{"http_addr":"127.0.0.1:0"},"trust_service":{"type":"local","key_algorithm":"ecdsa"},` +
		`"storage":{"backend":"memory"}}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server := must(t, func() (*tagtrust.Server, error) { return tagtrust.StartServerFromFile(file) })
	defer server.Close()
	answer := must(t, func() (*http.Response, error) { return http.Get(server.URL() + "/_notary_server/health") })
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || server.CertificatePEM() != nil && len(server.CertificatePEM()) > 0 {
		t.Errorf("%v", answer)
	}
	for _, path := range []string{file + ".missing", file + "\x00"} {
		if server, err := tagtrust.StartServerFromFile(path); server != nil || err == nil {
			t.Errorf("%v, %v", server, err)
		}
	}
}

func TestAServerThatCannotBeStartedIsNone(t *testing.T) {
	running := startServer(t, tagtrust.ServerOptions{})
	for what, options := range map[string]tagtrust.ServerOptions{
		"address":       {Listen: "nowhere"},
		"taken":         {Listen: running.URL()[len("http://"):]},
		"storage":       {Storage: "cloud"},
		"no directory":  {Storage: "sqlite:/dev/null/trust.db"},
		"TLS":           {TLS: &tagtrust.ServerTLS{Certificate: "missing.pem", Key: "missing.pem", ClientCA: "missing.pem"}},
		"TLS twice":     {SelfSignedTLS: true, TLS: &tagtrust.ServerTLS{}},
		"tokens":        {TokenAuth: &tagtrust.TokenAuth{Realm: "https://r", Service: "s", Issuer: "i", RootCertificates: "missing.pem"}},
		"tokens twice":  {TokenAuth: &tagtrust.TokenAuth{}, PasswordFile: &tagtrust.PasswordFile{}},
		"users":         {PasswordFile: &tagtrust.PasswordFile{Path: "missing"}},
		"prefix":        {GUNPrefixes: []string{"no-slash"}},
		"one lifetime":  {SnapshotLifetime: time.Hour},
		"NUL in a path": {AccessLog: "log\x00"},
	} {
		var status tagtrust.Status
		if server, err := tagtrust.StartServer(options); server != nil || !errors.As(err, &status) {
			t.Errorf("%s: %v, %v", what, server, err)
		}
	}
}

func TestAServerThatIsForgottenStops(t *testing.T) {
	url := func() string {
		server := must(t, func() (*tagtrust.Server, error) { return tagtrust.StartServer(tagtrust.ServerOptions{}) })
		return server.URL()
	}()
	answers := func() error {
		answer, err := http.Get(url + "/_notary_server/health")
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	http.DefaultClient.CloseIdleConnections()
	for tries := 0; tries < 500; tries++ {
		runtime.GC()
		if answers() != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error(fmt.Errorf("%s still answers", url))
}
