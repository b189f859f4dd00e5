//go:build !tagtrust_noserver && !tagtrust_nosigning

package tagtrust_test

import (
	"context"
	"testing"
	"time"

	tagtrust "github.com/tagtrust/tagtrust/ffi/go"
	"github.com/tagtrust/tagtrust/ffi/go/internal/loop"
)

// BenchmarkOverhead makes the same calls from Go and in a loop of C: verifications
// that need no request, of which both read all of the image.
func BenchmarkOverhead(b *testing.B) {
	directory := b.TempDir()
	_, server := publisher(b, tagtrust.Options{TrustDir: directory})
	client := newClient(b, tagtrust.Options{Server: server.URL(), TrustDir: directory, OfflineMaxAge: time.Hour})
	inGo := func(ctx context.Context) func(*testing.B) {
		return func(b *testing.B) {
			for n := 0; n < b.N; n++ {
				if _, err := client.Verify(ctx, image); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	ending, cancel := context.WithCancel(ctx)
	defer cancel()
	inC := loop.NewClient(server.URL(), directory)
	// The first one asks the server.
	if _, err := client.Verify(ctx, image); err != nil {
		b.Fatal(err)
	}
	if err := inC.Verify(image, 1); err != nil {
		b.Fatal(err)
	}

	b.Run("C", func(b *testing.B) {
		if err := inC.Verify(image, b.N); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("Go", inGo(ctx))
	// In a goroutine of its own.
	b.Run("GoWithCancel", inGo(ending))
	b.Run("VersionC", func(b *testing.B) { loop.Version(b.N) })
	b.Run("VersionGo", func(b *testing.B) {
		for n := 0; n < b.N; n++ {
			tagtrust.Version()
		}
	})
}
