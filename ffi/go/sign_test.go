//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

const year = 365 * 24 * time.Hour

// must gives what a call gave, or ends the test.
func must[T any](t testing.TB, give func() (T, error)) T {
	t.Helper()
	given, err := give()
	if err != nil {
		t.Fatal(err)
	}
	return given
}

func TestManyAreSignedInOneUploadForEachRepository(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	elsewhere := "registry.example/team/elsewhere"
	signed, err := client.SignMany(ctx, []tagtrust.Signing{
		{Reference: repository + ":2", Target: target},
		{Reference: elsewhere + ":1", Target: target},
		{Reference: repository + ":3", Target: target},
	})
	if err != nil || len(signed) != 2 || signed[0].Index != 0 || signed[1].Index != 1 {
		t.Fatalf("%+v, %v", signed, err)
	}
	if len(signed[0].Publication.Changes) != 2 || signed[1].Publication.Repository != elsewhere {
		t.Errorf("%+v", signed)
	}
	for _, tag := range []string{repository + ":2", repository + ":3", elsewhere + ":1"} {
		if _, err := client.Verify(ctx, tag); err != nil {
			t.Error(err)
		}
	}
	signed, err = client.SignMany(ctx, []tagtrust.Signing{{Reference: repository + ":4", Target: target}, {Reference: "NO"}})
	if !errors.Is(err, tagtrust.ErrInvalidReference) || len(signed) != 2 || signed[0].Err == nil || signed[1].Err == nil {
		t.Errorf("%+v, %v", signed, err)
	}
	if _, err := client.Verify(ctx, repository+":4"); !errors.Is(err, tagtrust.ErrTagNotSigned) {
		t.Error(err)
	}
	if signed, err := client.SignMany(ctx, nil); err != nil || len(signed) != 0 {
		t.Errorf("%+v, %v", signed, err)
	}
}

func TestWhatIsRevokedIsNotTrusted(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	revoked := must(t, func() (*tagtrust.Publication, error) { return client.Revoke(ctx, image) })
	expected := []tagtrust.Change{{Action: "delete", Type: "target", Role: "targets", Path: "1.2",
		Description: revoked.Changes[0].Description}}
	if !revoked.Published || revoked.Attempts != 1 || !reflect.DeepEqual(revoked.Changes, expected) {
		t.Errorf("%+v", revoked)
	}
	file := revoked.Files[0]
	if file.Role != "targets" || file.Version < 2 || time.Until(file.Expires) < 2*year || len(file.KeyIDs) != 1 {
		t.Errorf("%+v", file)
	}
	if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrTagNotSigned) {
		t.Error(err)
	}
	if made, err := client.Revoke(ctx, image); made != nil || !errors.Is(err, tagtrust.ErrTagNotSigned) {
		t.Errorf("%v, %v", made, err)
	}
}

func TestAnEditIsPublishedWholeOrNotAtAll(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	edit := client.Edit(repository).
		SignWith("2", target, tagtrust.SignOptions{Custom: `{"build":4}`, Roles: []string{"targets"}}).
		Revoke("1.2", "targets")
	planned := must(t, func() (*tagtrust.Publication, error) { return edit.DryRun(ctx) })
	if planned.Published || len(planned.Changes) != 2 {
		t.Errorf("%+v", planned)
	}
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, image) })
	if made := must(t, func() (*tagtrust.Publication, error) { return edit.Publish(ctx) }); !made.Published {
		t.Errorf("%+v", made)
	}
	if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrTagNotSigned) {
		t.Error(err)
	}
	for what, refused := range map[string]*tagtrust.Edit{
		"NUL in a tag":      client.Edit(repository).Sign("3", target).Sign("4\x00", target),
		"NUL in a digest":   client.Edit(repository).Sign("3", &tagtrust.Target{Digest: digest + "\x00"}),
		"empty digest":      client.Edit(repository).Sign("3", &tagtrust.Target{}),
		"NUL in a role":     client.Edit(repository).SignWith("3", target, tagtrust.SignOptions{Roles: []string{"targets\x00"}}),
		"custom not JSON":   client.Edit(repository).SignWith("3", target, tagtrust.SignOptions{Custom: "{"}),
		"custom for what":   client.Edit(repository).SignWith("3", nil, tagtrust.SignOptions{Custom: "{}"}),
		"negative duration": client.Edit(repository).Sign("3", target).Renew(-time.Second),
		"no PEM":            client.Edit(repository).Sign("3", target).AddSigner("alice", []byte("no PEM")),
		"no repository":     client.Edit("REPOSITORY").Sign("3", target),
		"ambiguous keys":    client.Edit(repository).RotateKey("snapshot", tagtrust.Rotation{ServerManaged: true, KeyIDs: []string{"1"}}),
	} {
		var status tagtrust.Status
		if made, err := refused.Publish(ctx); made != nil || !errors.As(err, &status) || status >= 10 {
			t.Errorf("%s: %v, %v", what, made, err)
		}
	}
	if _, err := client.Verify(ctx, repository+":3"); !errors.Is(err, tagtrust.ErrTagNotSigned) {
		t.Error(err)
	}
}

func TestStagedChangesWaitForPublish(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	stage := func(tag string) {
		t.Helper()
		made := must(t, func() (*tagtrust.Publication, error) { return client.Edit(repository).Sign(tag, target).Stage(ctx) })
		if made.Published {
			t.Errorf("%+v", made)
		}
	}
	stage("a")
	stage("b")
	stage("c")
	if err := client.Unstage(ctx, repository, 0, -1); !errors.Is(err, tagtrust.ErrInvalidInput) {
		t.Error(err)
	}
	if err := client.Unstage(ctx, repository, 1); err != nil {
		t.Error(err)
	}
	staged := must(t, func() ([]tagtrust.Change, error) { return client.Staged(ctx, repository) })
	if len(staged) != 2 || staged[0].Path != "a" || staged[1].Path != "c" {
		t.Errorf("%+v", staged)
	}
	must(t, func() (*tagtrust.Publication, error) { return client.Publish(ctx, repository) })
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, repository+":c") })
	stage("d")
	if err := client.UnstageAll(ctx, repository); err != nil {
		t.Error(err)
	}
	stage("e")
	must(t, func() (*tagtrust.Publication, error) { return client.Edit(repository).Staged().Publish(ctx) })
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, repository+":e") })
	for _, tag := range []string{"b", "d"} {
		if _, err := client.Verify(ctx, repository+":"+tag); !errors.Is(err, tagtrust.ErrTagNotSigned) {
			t.Error(tag, err)
		}
	}
}

func TestSignersAndDelegations(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	directory := t.TempDir()
	public := func(name string, generate func() (*tagtrust.GeneratedKey, error)) (string, []byte) {
		t.Helper()
		key := must(t, generate)
		if key.PublicKeyFile != filepath.Join(directory, name+".pub") {
			t.Errorf("%+v", key)
		}
		return key.ID, must(t, func() ([]byte, error) { return os.ReadFile(key.PublicKeyFile) })
	}
	alice, alicesKey := public("alice", func() (*tagtrust.GeneratedKey, error) { return client.GenerateKey(ctx, "alice", directory) })
	edward, edwardsKey := public("edward", func() (*tagtrust.GeneratedKey, error) {
		return client.GenerateEd25519Key(ctx, "edward", directory)
	})
	must(t, func() (*tagtrust.Publication, error) { return client.AddSigner(ctx, "alice", alicesKey, repository) })
	must(t, func() (*tagtrust.Publication, error) {
		return client.Edit(repository).AddSigner("edward", edwardsKey).AddDelegation("targets/qa", alicesKey, "rel-", "x").Publish(ctx)
	})
	must(t, func() (*tagtrust.Publication, error) { return client.Sign(ctx, image, target) })
	found := must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, image) })
	if !reflect.DeepEqual(found.Signers, []string{"alice", "edward"}) || found.Role != "targets/releases" {
		t.Errorf("%+v", found)
	}
	must(t, func() (*tagtrust.Publication, error) {
		return client.Edit(repository).RemoveFromDelegation("targets/qa", nil, []string{"x"}).Witness("targets/alice").Publish(ctx)
	})
	qa := func() *tagtrust.Delegation {
		for _, delegation := range must(t, func() ([]tagtrust.Delegation, error) { return client.Delegations(ctx, repository) }) {
			if delegation.Name == "targets/qa" {
				return &delegation
			}
		}
		return nil
	}
	expected := &tagtrust.Delegation{Name: "targets/qa", Paths: []string{"rel-"}, KeyIDs: []string{alice}, Threshold: 1}
	if found := qa(); !reflect.DeepEqual(found, expected) {
		t.Errorf("%+v", found)
	}
	must(t, func() (*tagtrust.Publication, error) {
		return client.Edit(repository).RemoveDelegation("targets/qa").PurgeKeys(edward).Publish(ctx)
	})
	if found := qa(); found != nil {
		t.Errorf("%+v", found)
	}
	must(t, func() (*tagtrust.Publication, error) { return client.RemoveSigner(ctx, "alice", repository, true) })
	if made, err := client.RemoveSigner(ctx, "alice", repository, false); made != nil || !errors.Is(err, tagtrust.ErrInvalidInput) {
		t.Errorf("%v, %v", made, err)
	}
}

func TestRotationsThresholdsAndProposals(t *testing.T) {
	client, server := publisher(t, tagtrust.Options{})
	for _, rotation := range []tagtrust.Rotation{{}, {ServerManaged: true}} {
		must(t, func() (*tagtrust.Publication, error) { return client.RotateKey(ctx, repository, "snapshot", rotation) })
	}
	must(t, func() (*tagtrust.Publication, error) {
		return client.RotateKey(ctx, repository, "targets", tagtrust.Rotation{})
	})
	if made, err := client.RotateKey(ctx, repository, "timestamp", tagtrust.Rotation{}); made != nil || !errors.Is(err, tagtrust.ErrInvalidInput) {
		t.Errorf("%v, %v", made, err)
	}

	// Two people must sign.
	colleague := newClient(t, tagtrust.Options{Server: server.URL()})
	key := must(t, func() (*tagtrust.GeneratedKey, error) { return colleague.GenerateKey(ctx, "colleague", t.TempDir()) })
	ours := keyFor(t, client, "targets")
	pem := must(t, func() ([]byte, error) {
		return colleague.ExportKeys(ctx, tagtrust.ExportOptions{KeyIDs: []string{key.ID}})
	})
	must(t, func() ([]tagtrust.Key, error) { return client.ImportKeys(ctx, pem, tagtrust.ImportOptions{}) })
	must(t, func() (*tagtrust.Publication, error) {
		return client.Edit(repository).RotateKey("targets", tagtrust.Rotation{KeyIDs: []string{ours, key.ID}}).
			SetThreshold("targets", 2).Publish(ctx)
	})
	if err := client.RemoveKey(ctx, key.ID); err != nil {
		t.Fatal(err)
	}
	if made, err := client.Sign(ctx, repository+":2", target); made != nil || !errors.Is(err, tagtrust.ErrKeyNotFound) {
		t.Errorf("%v, %v", made, err)
	}
	proposal := must(t, func() ([]byte, error) { return client.Edit(repository).Sign("2", target).SignPartial(ctx) })
	about := must(t, func() (*tagtrust.Proposal, error) { return tagtrust.ReadProposal(proposal) })
	if about.Repository != repository || about.Changes[0].Path != "2" || !reflect.DeepEqual(about.Signers["targets"], []string{ours}) {
		t.Errorf("%+v", about)
	}
	signed := must(t, func() ([]byte, error) { return colleague.Cosign(ctx, proposal) })
	must(t, func() (*tagtrust.Publication, error) { return client.PublishProposals(ctx, signed, proposal) })
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, repository+":2") })
	if made, err := client.PublishProposals(ctx, signed); made != nil || !errors.Is(err, tagtrust.ErrConflict) {
		t.Errorf("%v, %v", made, err)
	}
	for _, broken := range [][]byte{nil, []byte("{}"), append(signed[:len(signed):len(signed)], 0)} {
		if about, err := tagtrust.ReadProposal(broken); about != nil || err == nil {
			t.Errorf("%v, %v", about, err)
		}
	}
}

func keyFor(t *testing.T, client *tagtrust.Client, role string) string {
	t.Helper()
	var id string
	for _, key := range must(t, func() ([]tagtrust.Key, error) { return client.Keys(ctx) }) {
		if key.Role == role {
			id = key.ID
		}
	}
	return id
}

func TestKeysComeAndGo(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	key := must(t, func() (*tagtrust.GeneratedKey, error) { return client.GenerateKey(ctx, "dave", t.TempDir()) })
	export := func() ([]byte, error) {
		return client.ExportKeys(ctx, tagtrust.ExportOptions{KeyIDs: []string{key.ID}})
	}
	pem := must(t, export)
	if !strings.Contains(string(pem), "ENCRYPTED PRIVATE KEY") {
		t.Errorf("%s", pem)
	}
	if err := client.RemoveKey(ctx, key.ID); err != nil {
		t.Error(err)
	}
	if pem, err := export(); pem != nil || !errors.Is(err, tagtrust.ErrKeyNotFound) {
		t.Errorf("%s, %v", pem, err)
	}
	if err := client.RemoveKey(ctx, key.ID); !errors.Is(err, tagtrust.ErrKeyNotFound) {
		t.Error(err)
	}
	imported := must(t, func() ([]tagtrust.Key, error) {
		return client.ImportKeys(ctx, pem, tagtrust.ImportOptions{Role: "erin", GUN: repository})
	})
	if len(imported) != 1 || imported[0].ID != key.ID || imported[0].Role != "dave" {
		t.Errorf("%+v", imported)
	}
	file := filepath.Join(t.TempDir(), "dave.key")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	loaded := must(t, func() ([]tagtrust.Key, error) { return client.LoadKey(ctx, file, "") })
	if len(loaded) != 1 || loaded[0].ID != key.ID || loaded[0].GUN != "" {
		t.Errorf("%+v", loaded)
	}
	for passphrase, class := range map[string]error{"short": tagtrust.ErrWrongPassphrase, password: nil, "": nil} {
		if err := client.ChangePassphrase(ctx, key.ID, passphrase); !errors.Is(err, class) {
			t.Errorf("%q: %v", passphrase, err)
		}
	}
	if pem := must(t, func() ([]byte, error) {
		return client.ExportKeys(ctx, tagtrust.ExportOptions{GUN: repository})
	}); strings.Count(string(pem), "BEGIN") != 1 {
		t.Errorf("%s", pem)
	}
}

func TestWhatExpiresIsRenewed(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{Expiry: map[string]time.Duration{"root": year / 2}})
	expiring := must(t, func() ([]tagtrust.Expiry, error) { return client.Expiring(ctx, repository, year) })
	if len(expiring) != 1 || expiring[0].Role != "root" || !expiring[0].CanSign || expiring[0].Version != 1 ||
		time.Until(expiring[0].Expires) > year/2 {
		t.Errorf("%+v", expiring)
	}
	if made := must(t, func() (*tagtrust.Publication, error) { return client.Renew(ctx, repository, 0) }); made.Published {
		t.Errorf("%+v", made)
	}
	if made := must(t, func() (*tagtrust.Publication, error) { return client.Renew(ctx, repository, year) }); !made.Published {
		t.Errorf("%+v", made)
	}
	planned := must(t, func() (*tagtrust.Publication, error) { return client.Recover(ctx, repository, 4*year, true) })
	if planned.Published || len(planned.Files) == 0 {
		t.Errorf("%+v", planned)
	}
	for _, err := range []error{
		errorOf(client.Expiring(ctx, repository, -1)),
		errorOf(client.Renew(ctx, repository, -1)),
		errorOf(client.Recover(ctx, repository, -1, false)),
	} {
		if !errors.Is(err, tagtrust.ErrInvalidInput) {
			t.Error(err)
		}
	}
}

func TestARepositoryComesAndGoes(t *testing.T) {
	client := newClient(t, tagtrust.Options{Server: startServer(t, tagtrust.ServerOptions{}).URL()})
	made := must(t, func() (*tagtrust.Publication, error) {
		return client.Init(ctx, repository, tagtrust.InitOptions{LocalSnapshot: true, Unpublished: true})
	})
	if made.Published {
		t.Errorf("%+v", made)
	}
	if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrNoTrustData) {
		t.Error(err)
	}
	must(t, func() (*tagtrust.Publication, error) { return client.Sign(ctx, image, target) })
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, image) })
	if err := client.Delete(ctx, repository, true); err != nil {
		t.Error(err)
	}
	if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrNoTrustData) {
		t.Error(err)
	}
	must(t, func() (*tagtrust.Publication, error) {
		return client.Edit(repository).Init(tagtrust.InitOptions{}).Sign("3", target).Publish(ctx)
	})
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, repository+":3") })
}
