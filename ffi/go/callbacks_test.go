//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
)

func TestAClockDecidesWhatHasExpired(t *testing.T) {
	_, server := publisher(t, tagtrust.Options{})
	for years, class := range map[int]error{0: nil, 1: tagtrust.ErrExpired} {
		client := newClient(t, tagtrust.Options{
			Server: server.URL(),
			Clock:  func() time.Time { return time.Now().AddDate(years, 0, 0) },
		})
		for _, ctx := range contexts(t) {
			if found, err := client.Verify(ctx, image); !errors.Is(err, class) || (found == nil) != (class != nil) {
				t.Errorf("%v, %v", found, err)
			}
		}
	}
}

func TestAPanicInACallbackIsAnErrorOfTheCallAndTheNextOneWorks(t *testing.T) {
	_, server := publisher(t, tagtrust.Options{})
	var broken atomic.Bool
	burst := func() {
		if broken.Load() {
			panic("burst")
		}
	}
	client := newClient(t, tagtrust.Options{
		Server:     server.URL(),
		Clock:      func() time.Time { burst(); return time.Now() },
		Passphrase: func(tagtrust.PassphraseRequest) (string, error) { burst(); return password, nil },
	})
	for _, ctx := range contexts(t) {
		broken.Store(true)
		for what, call := range map[string]func() (any, error){
			"Verify": func() (any, error) { return nilOr(client.Verify(ctx, image)) },
			"Sign":   func() (any, error) { return nilOr(client.Sign(ctx, "registry.example/new:1", target)) },
			"Keys":   func() (any, error) { return nilOr(client.GenerateKey(ctx, "alice", t.TempDir())) },
		} {
			found, err := call()
			var as *tagtrust.Error
			if found != nil || !errors.As(err, &as) || as.Cause == nil || !strings.Contains(err.Error(), "burst") {
				t.Errorf("%s: %v, %v", what, found, err)
			}
		}
		broken.Store(false)
		if _, err := client.Verify(ctx, image); err != nil {
			t.Error(err)
		}
		// Its error is its own.
		var as *tagtrust.Error
		if _, err := client.Verify(ctx, repository+":unsigned"); !errors.As(err, &as) || as.Cause != nil {
			t.Error(err)
		}
	}
}

func TestAPanicWhereARootIsRenewedByTheWayIsAWarning(t *testing.T) {
	directory := t.TempDir()
	_, server := publisher(t, tagtrust.Options{
		TrustDir: directory, Expiry: map[string]time.Duration{"root": 24 * time.Hour},
	})
	var asked atomic.Bool
	client := newClient(t, tagtrust.Options{
		TrustDir: directory, Server: server.URL(),
		Passphrase: func(request tagtrust.PassphraseRequest) (string, error) {
			if request.Role == "root" {
				asked.Store(true)
				panic("burst")
			}
			return password, nil
		},
	})
	made, err := client.Sign(ctx, repository+":2", target)
	if err != nil || !made.Published || len(made.Warnings) != 1 || !asked.Load() {
		t.Errorf("%+v, %v, %v", made, err, asked.Load())
	}
}

// nilOr makes a nil pointer a nil.
func nilOr[T any](pointer *T, err error) (any, error) {
	if pointer == nil {
		return nil, err
	}
	return pointer, err
}

func TestPassphrasesAreAskedForUntilTheyFit(t *testing.T) {
	server := startServer(t, tagtrust.ServerOptions{})
	directory := t.TempDir()
	var requests []tagtrust.PassphraseRequest
	client := newClient(t, tagtrust.Options{
		Server: server.URL(), TrustDir: directory,
		Passphrase: func(request tagtrust.PassphraseRequest) (string, error) {
			requests = append(requests, request)
			if request.Attempt == 0 {
				return "short", nil
			}
			return "länger als acht", nil
		},
	})
	if _, err := client.Sign(ctx, image, target); err != nil {
		t.Fatal(err)
	}
	if len(requests) != 4 || !requests[0].Create || requests[0].Role != "root" || len(requests[0].KeyID) != 64 ||
		requests[1].Attempt != 1 || requests[2].Role != "targets" {
		t.Errorf("%+v", requests)
	}

	forgotten := errors.New("forgotten")
	for what, answer := range map[string]func() (string, error){
		"none":     func() (string, error) { return "", forgotten },
		"wrong":    func() (string, error) { return "not the passphrase", nil },
		"not text": func() (string, error) { return "\xff\xff\xff\xff\xff\xff\xff\xff", nil },
		"too long": func() (string, error) { return strings.Repeat("x", 1<<20), nil },
	} {
		client := newClient(t, tagtrust.Options{
			Server: server.URL(), TrustDir: directory,
			Passphrase: func(tagtrust.PassphraseRequest) (string, error) { return answer() },
		})
		publication, err := client.Sign(ctx, repository+":2", target)
		if publication != nil || !errors.Is(err, tagtrust.ErrWrongPassphrase) || errors.Is(err, forgotten) != (what == "none") {
			t.Errorf("%s: %v, %v", what, publication, err)
		}
	}
}

// hsm signs with a key that it does not give, until it breaks.
type hsm struct {
	crypto.Signer
	signatures int
	broken     error
}

func (h *hsm) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	h.signatures++
	if h.broken != nil {
		return nil, h.broken
	}
	return h.Signer.Sign(random, digest, options)
}

func TestAKeyElsewhereSigns(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"ecdsa": p256, "rsa": large} {
		key := &hsm{Signer: key}
		client := newClient(t, tagtrust.Options{
			Server: startServer(t, tagtrust.ServerOptions{}).URL(), Signers: []crypto.Signer{key}, LocalSnapshot: true,
		})
		keys, err := client.Keys(ctx)
		if err != nil || len(keys) != 1 || keys[0].Location != "signer" {
			t.Fatalf("%s: %+v, %v", name, keys, err)
		}
		key.broken = errors.New("unplugged")
		if made, err := client.Init(ctx, repository, tagtrust.InitOptions{RootKey: keys[0].ID}); made != nil ||
			!errors.Is(err, tagtrust.ErrKeyNotFound) || !errors.Is(err, key.broken) {
			t.Errorf("%s: %v, %v", name, made, err)
		}
		key.broken, key.signatures = nil, 0
		if _, err := client.Init(ctx, repository, tagtrust.InitOptions{RootKey: keys[0].ID}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := client.Sign(ctx, image, target); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found, err := client.Verify(ctx, image); err != nil || found.Digest != digest || key.signatures == 0 {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

func TestAKeyElsewhereThatCannotBeUsedMakesNoClient(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{nil, edwards} {
		if client, err := tagtrust.NewClient(tagtrust.Options{Signers: []crypto.Signer{key}}); client != nil || err == nil {
			t.Errorf("%v, %v", client, err)
		}
	}
}

func TestACallbackThatUsesItsClientIsRefused(t *testing.T) {
	_, server := publisher(t, tagtrust.Options{})
	var client *tagtrust.Client
	var refused atomic.Int64
	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	client = newClient(t, tagtrust.Options{
		Server: server.URL(),
		Clock: func() time.Time {
			for _, ctx := range []context.Context{ctx, ending} {
				for _, err := range []error{
					errorOf(client.Verify(ctx, image)),
					errorOf(client.Inspect(ctx, image)),
					errorOf(client.Edit(repository).Sign("2", target).Publish(ctx)),
				} {
					if errors.Is(err, tagtrust.ErrInvalidArgument) {
						refused.Add(1)
					} else {
						t.Error(err)
					}
				}
			}
			return time.Now()
		},
	})
	for _, ctx := range contexts(t) {
		if _, err := client.Verify(ctx, image); err != nil {
			t.Error(err)
		}
	}
	if refused.Load() == 0 {
		t.Error("the clock was not asked")
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestMessagesArriveUntilTheyAreNotWanted(t *testing.T) {
	var messages atomic.Int64
	var calledBack atomic.Pointer[tagtrust.Client]
	count := func(level tagtrust.LogLevel, target, message string) {
		if level < tagtrust.LogError || level > tagtrust.LogTrace || target == "" || message == "" {
			t.Errorf("%v %q %q", level, target, message)
		}
		messages.Add(1)
		if client := calledBack.Load(); client != nil {
			if _, err := client.Verify(ctx, image); !errors.Is(err, tagtrust.ErrInvalidArgument) {
				t.Error(err)
			}
		}
		panic("a logger that panics")
	}
	if err := tagtrust.SetLog(tagtrust.LogTrace, count); err != nil {
		t.Fatal(err)
	}
	client, _ := publisher(t, tagtrust.Options{})
	calledBack.Store(client)
	if found, err := client.Verify(ctx, image); err != nil || found.Digest != digest {
		t.Errorf("%v, %v", found, err)
	}
	calledBack.Store(nil)
	if messages.Load() == 0 {
		t.Error("no message")
	}
	if err := tagtrust.SetLog(tagtrust.LogTrace, nil); err != nil {
		t.Error(err)
	}
	before := messages.Load()
	must(t, func() (*tagtrust.Image, error) { return client.Verify(ctx, image) })
	if messages.Load() != before {
		t.Error("messages that nobody wanted")
	}
	if err := tagtrust.SetLog(99, count); err == nil {
		t.Error("an unknown level")
	}
	if tagtrust.LogWarn.String() != "warn" || tagtrust.LogLevel(9).String() != "unknown" {
		t.Error(tagtrust.LogWarn.String())
	}
}
