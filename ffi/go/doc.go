// Package tagtrust says which digest a publisher signed for an image tag, or
// refuses and says why: Docker Content Trust (Notary v1) in your process. It also
// makes these signatures, and brings the trust server for them.
//
//	client, err := tagtrust.NewClient(tagtrust.Options{})
//	...
//	image, err := client.Verify(ctx, "registry.example/team/app:1.2")
//	if errors.Is(err, tagtrust.ErrTagNotSigned) { ... }
//	...
//	pull(image.PinnedReference)
//
// Without options a client does what Docker does: it asks Docker's trust server
// for the registry, with Docker's credentials, and shares Docker's trust directory.
//
// # Errors
//
// Whatever is not a nil error means: do not use the image, or: it is not
// published. Errors of the library are an [*Error], and each has a class, such as
// [ErrTagNotSigned], for errors.Is. [Error.IsRefusal] tells "not trusted" from "no
// answer".
//
// # Contexts
//
// A call with a context that ends returns ctx.Err() at once. The work in the
// library cannot be stopped: it goes on in a goroutine of its own until it is done
// or has used up [Options.Timeout], and its result is dropped. What it uses stays
// until then, also after Close. So after ctx.Err() a verification has said
// nothing, and something may have been published or not: ask the server again.
// Set [Options.Timeout] to what your callers wait at most, so that few such
// goroutines are left behind.
//
// # Goroutines
//
// A [*Client], a [*Server] and a [*TrustedSet] may be used by any number of
// goroutines at once, and closed at any time: calls that have begun end as they
// would, later ones fail with [ErrClosed]. Images, inspections and publications are
// plain values. An [*Edit] belongs to one goroutine at a time.
//
// What is not closed is freed by a finalizer, at some time or never: do close.
//
// # Callbacks
//
// Functions in the options are called from any goroutine, several at once, until
// the client is closed and its calls have ended. They must not use the client that
// calls them, nor wait for another goroutine that does: where it can be seen, it
// is refused with [ErrInvalidArgument]. If one panics, the call that needed it
// fails. It must not call runtime.Goexit.
//
// # Linking
//
// The C library is found by pkg-config. With the build tag tagtrust_static its
// archive is linked in instead, and CGO_CFLAGS and CGO_LDFLAGS say where it is. For
// a library that was built without the server there is the build tag
// tagtrust_noserver, and for one that only verifies tagtrust_nosigning.
package tagtrust
