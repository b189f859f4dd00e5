//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

// TestRepositoriesOfTheRealPrograms has its servers and what was signed on them from
// tests/go/test_go.py, which then asks the real programs about what is signed here.
func TestRepositoriesOfTheRealPrograms(t *testing.T) {
	path := os.Getenv("TAGTRUST_GO_LAB")
	if path == "" {
		t.Skip("tests/go/test_go.py runs it")
	}
	type image struct {
		Digest string
		Size   uint64
	}
	var servers []struct {
		URL    string
		CAFile string `json:"ca_file"`
		// By tag, of each repository.
		Signed map[string]map[string]image
		// Signed by roles that do not count.
		Uncounted map[string][]string
		ToSign    map[string]image `json:"to_sign"`
	}
	if err := json.Unmarshal(must(t, func() ([]byte, error) { return os.ReadFile(path) }), &servers); err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		client := newClient(t, tagtrust.Options{Server: server.URL, CAFile: server.CAFile})
		for gun, tags := range server.Signed {
			var references []string
			for tag := range tags {
				references = append(references, gun+":"+tag)
			}
			answers, err := client.VerifyMany(ctx, references)
			if err != nil {
				t.Error(err)
				continue
			}
			for _, answer := range answers {
				found := answer.Image
				if expected := tags[found.Tag]; found.Digest != expected.Digest || found.Size != expected.Size {
					t.Errorf("%+v and not %+v", found, expected)
				}
			}
			for _, tag := range append(server.Uncounted[gun], "unsigned") {
				if found, err := client.Verify(ctx, gun+":"+tag); found != nil || !errors.Is(err, tagtrust.ErrTagNotSigned) {
					t.Errorf("%v, %v", found, err)
				}
			}
		}
		for reference, image := range server.ToSign {
			must(t, func() (*tagtrust.Publication, error) {
				return client.Sign(ctx, reference, &tagtrust.Target{Digest: image.Digest, Size: image.Size})
			})
		}
	}
}
