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
// published, except perhaps after [ErrUnreachable], whose message says if the upload
// may have been stored. Errors of the library are an [*Error], and each has a class,
// such as [ErrTagNotSigned], for errors.Is. [Error.IsRefusal] tells "not trusted"
// from "no answer".
//
// # Contexts
//
// A call with a context that ends returns ctx.Err() at once. The work in the
// library cannot be stopped: it goes on in a goroutine of its own until it is done,
// and its result is dropped. What it uses stays until then, also after Close. So
// after ctx.Err() a verification has said nothing, and something may have been
// published or not: ask the server again. [Options.Timeout] bounds its requests: set
// it to what your callers wait at most, so that few such goroutines are left behind.
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
// is refused with [ErrInvalidArgument]. One that panics has given no answer: if the
// call fails for that, the panic is the Cause of its [*Error]; what the call would
// only have done by the way, such as renewing a root that expires soon, is left out
// with a warning. A panic in a [LogFunc] is dropped. None may call runtime.Goexit.
//
// # Linking
//
// The C library is found by pkg-config. With the build tag tagtrust_static its
// archive is linked in instead, and CGO_CFLAGS and CGO_LDFLAGS say where it is. For
// a library that was built without the server there is the build tag
// tagtrust_noserver, and for one that only verifies tagtrust_nosigning.
package tagtrust
