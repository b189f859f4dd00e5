//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

func TestWhatWasSignedIsVerified(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	found, err := client.Verify(ctx, image)
	if err != nil {
		t.Fatal(err)
	}
	if years := time.Until(found.Expires).Hours() / 24 / 365; years < 0 || years > 3 {
		t.Errorf("expires %v", found.Expires)
	}
	expected := &tagtrust.Image{
		Repository: repository, Tag: "1.2", Tags: []string{"1.2"}, Digest: digest, Size: 1570,
		PinnedReference: repository + "@" + digest, Role: "targets", Expires: found.Expires, Fresh: true,
	}
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("%+v", found)
	}
}

func TestARefusalSaysWhyAndGivesNoImage(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	for reference, class := range map[string]tagtrust.Status{
		repository + ":unsigned":           tagtrust.ErrTagNotSigned,
		image + "@" + other:                tagtrust.ErrDigestMismatch,
		"registry.example/team/nothing:1":  tagtrust.ErrNoTrustData,
		"registry.example/UPPER":           tagtrust.ErrInvalidReference,
		"":                                 tagtrust.ErrInvalidReference,
		image + "\x00":                     tagtrust.ErrInvalidArgument,
		image + "\xff":                     tagtrust.ErrInvalidArgument,
		strings.Repeat("registry/", 1<<17): tagtrust.ErrInvalidReference,
	} {
		image, err := client.Verify(ctx, reference)
		if image != nil || !errors.Is(err, class) {
			t.Errorf("%.50q: %v, %v", reference, image, err)
		}
		var as *tagtrust.Error
		var status tagtrust.Status
		if !errors.As(err, &as) || as.Status != class || !errors.As(err, &status) || status != class || as.Message == "" {
			t.Errorf("%.50q: %#v", reference, err)
		}
		if as.IsRefusal() != (class >= 10) || errors.Is(err, tagtrust.ErrTampered) {
			t.Errorf("%.50q: %#v", reference, err)
		}
	}
}

func TestLongAndManyNamesArriveWhole(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	edit := client.Edit(repository)
	var tags []string
	for letter := 'a'; letter <= 'z'; letter++ {
		tag := strings.Repeat(string(letter), 128)
		tags = append(tags, tag)
		edit.Sign(tag, &tagtrust.Target{Digest: other, Size: 7})
	}
	if _, err := edit.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	for repeat := 0; repeat < 3; repeat++ {
		found, err := client.Verify(ctx, repository+"@"+other)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(found.Tags, tags) || found.Tag != tags[0] || found.Digest != other || found.Size != 7 {
			t.Errorf("%+v", found)
		}
	}
}

func TestOfManyEachHasItsAnswer(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{Parallelism: 2})
	references := []string{image, repository + ":unsigned", "NO", image + "@" + digest}
	for _, ctx := range contexts(t) {
		answers, err := client.VerifyMany(ctx, references)
		if !errors.Is(err, tagtrust.ErrTagNotSigned) || len(answers) != len(references) {
			t.Fatalf("%v, %v", answers, err)
		}
		for index, class := range []error{nil, tagtrust.ErrTagNotSigned, tagtrust.ErrInvalidReference, nil} {
			answer := answers[index]
			if !errors.Is(answer.Err, class) || (answer.Image == nil) == (class == nil) {
				t.Errorf("%s: %+v", references[index], answer)
			}
		}
		if answers, err := client.VerifyMany(ctx, references[:1]); err != nil || answers[0].Image.Digest != digest {
			t.Errorf("%v, %v", answers, err)
		}
		if answers, err := client.VerifyMany(ctx, nil); err != nil || len(answers) != 0 {
			t.Errorf("%v, %v", answers, err)
		}
	}
}

// contexts are one that never ends and one that can.
func contexts(t *testing.T) []context.Context {
	ending, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	return []context.Context{ctx, ending}
}

func TestAnInspectionIsWhatDockerShows(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	inspection, err := client.Inspect(ctx, repository)
	if err != nil {
		t.Fatal(err)
	}
	tags := []tagtrust.SignedTag{{Tag: "1.2", Digest: strings.TrimPrefix(digest, "sha256:"), Signers: []string{"Repo Admin"}}}
	if !reflect.DeepEqual(inspection.SignedTags, tags) || inspection.Name != repository {
		t.Errorf("%+v", inspection)
	}
	if len(inspection.AdministrativeKeys) != 2 || len(inspection.AdministrativeKeys[0].Keys[0].ID) != 64 {
		t.Errorf("%+v", inspection)
	}
	if !strings.Contains(inspection.JSON(), `"SignedTag": "1.2"`) || !strings.Contains(inspection.Pretty(), "(Repo Admin)") {
		t.Errorf("%s%s", inspection.JSON(), inspection.Pretty())
	}
	if inspection, err := client.Inspect(ctx, "registry.example/team/nothing"); inspection != nil ||
		!errors.Is(err, tagtrust.ErrNoTrustData) {
		t.Errorf("%v, %v", inspection, err)
	}
}

func TestAnInspectionShowsTheChainOfTrust(t *testing.T) {
	client, _ := publisher(t, tagtrust.Options{})
	// Two keys of targets/releases.
	for _, signer := range []string{"alice", "bob"} {
		key := must(t, func() (*tagtrust.GeneratedKey, error) { return client.GenerateKey(ctx, signer, t.TempDir()) })
		public := must(t, func() ([]byte, error) { return os.ReadFile(key.PublicKeyFile) })
		must(t, func() (*tagtrust.Publication, error) { return client.AddSigner(ctx, signer, public, repository) })
	}
	inspection, err := client.Inspect(ctx, repository)
	if err != nil {
		t.Fatal(err)
	}
	tree := inspection.Tree(0)
	if !strings.HasPrefix(tree, repository+"\n") || !strings.Contains(tree, "└─ timestamp") || !strings.HasPrefix(inspection.SVG(), "<svg ") {
		t.Errorf("%s%s", tree, inspection.SVG())
	}
	if inspection.Tree(-1) != tree || inspection.Tree(math.MaxInt) != tree {
		t.Error(inspection.Tree(-1))
	}
	if lines := strings.Count(tree, "\n"); strings.Count(inspection.Tree(1), "\n") != lines+1 {
		t.Error(inspection.Tree(1))
	}
	copied := *inspection
	inspection = nil
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	if copied.Tree(0) != tree {
		t.Error("a copy does not keep what it needs")
	}
	if none := new(tagtrust.Inspection); none.Tree(0) != "" || none.SVG() != "" {
		t.Error("nothing was inspected")
	}
}

// silence accepts connections and says nothing, until the test ends.
func silence(t *testing.T) (url string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections []net.Conn
	var lock sync.Mutex
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			lock.Lock()
			connections = append(connections, connection)
			lock.Unlock()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		lock.Lock()
		defer lock.Unlock()
		for _, connection := range connections {
			connection.Close()
		}
	})
	return "http://" + listener.Addr().String()
}

func TestAContextThatEndsIsNotWaitedFor(t *testing.T) {
	client := newClient(t, tagtrust.Options{Server: silence(t), Timeout: time.Minute})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := client.Verify(ended, image); err != context.Canceled {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	calls := map[string]func() error{
		"Verify":     func() error { _, err := client.Verify(short, image); return err },
		"VerifyMany": func() error { _, err := client.VerifyMany(short, []string{image}); return err },
		"Inspect":    func() error { _, err := client.Inspect(short, image); return err },
		"Sign":       func() error { _, err := client.Sign(short, image, target); return err },
		"Publish":    func() error { _, err := client.Edit(repository).Sign("1", target).Publish(short); return err },
	}
	for name, call := range calls {
		if err := call(); err != context.DeadlineExceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
	if waited := time.Since(start); waited > 10*time.Second {
		t.Errorf("waited %v", waited)
	}
	// What goes on behind has its client until it ends.
	client.Close()
	runtime.GC()
}

func TestTheTimeoutIsTheLibrarys(t *testing.T) {
	client := newClient(t, tagtrust.Options{Server: silence(t), Timeout: 50 * time.Millisecond})
	for _, ctx := range contexts(t) {
		if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrUnreachable) || tagtrust.ErrUnreachable.IsRefusal() {
			t.Error(err)
		}
	}
}

func TestAClientIsUsedByManyAndClosedMeanwhile(t *testing.T) {
	client, server := publisher(t, tagtrust.Options{})
	var group sync.WaitGroup
	var verified sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		verified.Add(1)
		go func(ctx context.Context) {
			defer group.Done()
			first := true
			for {
				found, err := client.Verify(ctx, image)
				if first {
					verified.Done()
					first = false
				}
				if err == tagtrust.ErrClosed {
					return
				}
				if err != nil || found.Digest != digest {
					t.Errorf("%v, %v", found, err)
					return
				}
			}
		}(contexts(t)[worker%2])
	}
	verified.Wait()
	for closes := 0; closes < 2; closes++ {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
	group.Wait()
	if _, err := client.VerifyMany(ctx, []string{image}); err != tagtrust.ErrClosed {
		t.Error(err)
	}
	if _, err := client.Edit(repository).Sign("1", target).Publish(ctx); err != tagtrust.ErrClosed {
		t.Error(err)
	}
	server.Close()
	server.Close()
	if err := server.Reload(); err != tagtrust.ErrClosed {
		t.Error(err)
	}
}

func TestWhatIsForgottenIsFreed(t *testing.T) {
	freed := make(chan struct{})
	func() {
		// The callback of a client is let go of when the library has.
		type witness struct{ _ [64]byte }
		seen := new(witness)
		runtime.SetFinalizer(seen, func(*witness) { close(freed) })
		client, err := tagtrust.NewClient(tagtrust.Options{
			TrustDir: t.TempDir(),
			Clock:    func() time.Time { runtime.KeepAlive(seen); return time.Now() },
		})
		if err != nil {
			t.Fatal(err)
		}
		runtime.KeepAlive(client)
	}()
	for tries := 0; tries < 200; tries++ {
		runtime.GC()
		select {
		case <-freed:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("a client that nobody has any more is not freed")
}

func TestOptionsThatCannotBeUsedMakeNoClient(t *testing.T) {
	for what, options := range map[string]tagtrust.Options{
		"server":      {Server: "no URL"},
		"plain HTTP":  {Server: "http://registry.example"},
		"NUL":         {TrustDir: "trust\x00dir"},
		"CA":          {CAFile: filepath.Join(t.TempDir(), "missing.pem")},
		"certificate": {ClientCert: "only.pem"},
		"timeout":     {Timeout: -time.Second},
		"age":         {OfflineMaxAge: -time.Second},
		"parallelism": {Parallelism: -1},
		"pin":         {Pinning: &tagtrust.Pinning{Certificates: map[string][]string{repository: {"short"}}}},
		// It would fall through to the next rule: here, to trust on first use.
		"no pin": {Pinning: &tagtrust.Pinning{
			Certificates: map[string][]string{repository: nil}, TrustOnFirstUse: true}},
		"CA pin":     {Pinning: &tagtrust.Pinning{CA: map[string]string{"registry.example/": "missing.pem"}}},
		"lookup":     {Policy: &tagtrust.Policy{Lookup: 7}},
		"no signers": {Policy: &tagtrust.Policy{Rules: []tagtrust.Rule{{Repository: "*"}}}},
		"threshold": {Policy: &tagtrust.Policy{Rules: []tagtrust.Rule{
			{Repository: "*", AnyOf: []string{"alice"}, Threshold: 2}}}},
		"no threshold": {Policy: &tagtrust.Policy{Rules: []tagtrust.Rule{
			{Repository: "*", AnyOf: []string{"alice"}, Threshold: -1}}}},
		"expiry": {Expiry: map[string]time.Duration{"root": -time.Hour}},
	} {
		client, err := tagtrust.NewClient(options)
		var status tagtrust.Status
		if client != nil || !errors.As(err, &status) || status >= 10 && status != tagtrust.ErrStoreError {
			t.Errorf("%s: %v, %v", what, client, err)
		}
	}
}

func TestPinsAndPoliciesHold(t *testing.T) {
	client, server := publisher(t, tagtrust.Options{})
	inspection, err := client.Inspect(ctx, repository)
	if err != nil {
		t.Fatal(err)
	}
	root := inspection.AdministrativeKeys[0].Keys[0].ID
	requires := func(rule tagtrust.Rule) *tagtrust.Policy {
		rule.Repository = "registry.example/*"
		return &tagtrust.Policy{Rules: []tagtrust.Rule{rule}}
	}
	for what, check := range map[string]struct {
		options tagtrust.Options
		class   error
	}{
		"nothing pinned":   {tagtrust.Options{Pinning: &tagtrust.Pinning{}}, tagtrust.ErrRootNotTrusted},
		"first use":        {tagtrust.Options{Pinning: &tagtrust.Pinning{TrustOnFirstUse: true}}, nil},
		"pinned":           {tagtrust.Options{Pinning: pin(repository, root)}, nil},
		"pinned to others": {tagtrust.Options{Pinning: pin("registry.example/*", strings.Repeat("0", 64))}, tagtrust.ErrRootNotTrusted},
		"lookup":           {tagtrust.Options{Policy: &tagtrust.Policy{Lookup: tagtrust.LookupNotary}}, nil},
		"all of":           {tagtrust.Options{Policy: requires(tagtrust.Rule{AllOf: []string{"alice"}})}, tagtrust.ErrPolicyViolation},
		"any of":           {tagtrust.Options{Policy: requires(tagtrust.Rule{AnyOf: []string{"alice", "bob"}})}, tagtrust.ErrPolicyViolation},
	} {
		check.options.Server = server.URL()
		found, err := newClient(t, check.options).Verify(ctx, image)
		if !errors.Is(err, check.class) || (found == nil) != (check.class != nil) {
			t.Errorf("%s: %v, %v", what, found, err)
		}
	}
}

func pin(name, keyID string) *tagtrust.Pinning {
	return &tagtrust.Pinning{Certificates: map[string][]string{name: {keyID}}}
}

func TestWithoutAServerTheCacheServesUnlessItMayNot(t *testing.T) {
	directory := t.TempDir()
	client, server := publisher(t, tagtrust.Options{TrustDir: directory})
	if _, err := client.Verify(ctx, image); err != nil {
		t.Fatal(err)
	}
	server.Close()
	found, err := newClient(t, tagtrust.Options{TrustDir: directory, Server: server.URL()}).Verify(ctx, image)
	if err != nil || found.Fresh {
		t.Errorf("%v, %v", found, err)
	}
	strict := newClient(t, tagtrust.Options{TrustDir: directory, Server: server.URL(), RequireFresh: true})
	if found, err := strict.Verify(ctx, image); found != nil || !errors.Is(err, tagtrust.ErrUnreachable) {
		t.Errorf("%v, %v", found, err)
	}
	// A damaged cache is no answer.
	tuf := filepath.Join(directory, "tuf", filepath.FromSlash(repository), "metadata", "targets.json")
	if err := os.WriteFile(tuf, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := newClient(t, tagtrust.Options{TrustDir: directory, Server: server.URL()}).Verify(ctx, image); found != nil || err == nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestClassesHaveTheLibrarysNames(t *testing.T) {
	for status, name := range map[tagtrust.Status]string{
		tagtrust.ErrTagNotSigned: "TagNotSigned", tagtrust.ErrStoreError: "StoreError", tagtrust.ErrInternalError: "InternalError",
	} {
		if status.Name() != name || status.Error() != "tagtrust: "+name {
			t.Error(status.Name(), status.Error())
		}
	}
	if unknown := tagtrust.Status(1000); unknown.Name() != "" || unknown.Error() != "tagtrust: status 1000" {
		t.Error(unknown.Error())
	}
	if tagtrust.Version() != "0.1.0" {
		t.Error(tagtrust.Version())
	}
}
