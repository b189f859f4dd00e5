package tagtrust

// #include "glue.h"
import "C"

import (
	"context"
	"io"
	"runtime"
	"unsafe"
)

// Client verifies images, and publishes them. It keeps connections and what it has
// verified, so make one and use it from all goroutines.
type Client struct {
	object    *object
	pointer   cClient
	callbacks *callbacks
}

var _ io.Closer = (*Client)(nil)

// NewClient makes a client. Nothing is fetched yet.
func NewClient(options Options) (*Client, error) {
	callbacks := newCallbacks(options.Clock, options.Passphrase)
	settings, err := options.configure(callbacks)
	if err != nil {
		callbacks.free()
		return nil, err
	}
	defer settings.close()
	var pointer cClient
	var failure cError
	if err := failed(C.tagtrust_client_new(settings.config, &pointer, &failure), failure); err != nil {
		callbacks.free()
		return nil, err
	}
	free := func() {
		C.tagtrust_client_free(pointer)
		callbacks.free()
	}
	client := &Client{object: newObject(free), pointer: pointer, callbacks: callbacks}
	runtime.SetFinalizer(client, (*Client).Close)
	return client, nil
}

// Close frees the client once its calls have ended, and does not wait for them.
func (c *Client) Close() error {
	runtime.SetFinalizer(c, nil)
	c.object.close()
	return nil
}

// Verify gives the image that the publisher signed for registry/repository:tag, as
// Docker reads it, so "alpine" is docker.io/library/alpine:latest. With a digest as
// well, both must match; with a digest alone, some tag that counts must have it.
func (c *Client) Verify(ctx context.Context, reference string) (*Image, error) {
	if ctx.Done() == nil {
		return c.verify(reference)
	}
	return await(ctx, func() (*Image, error) { return c.verify(reference) })
}

func (c *Client) verify(reference string) (*Image, error) {
	defer runtime.KeepAlive(c)
	if err := c.object.use(); err != nil {
		return nil, err
	}
	defer c.object.done()
	before := c.callbacks.failure.Load()
	a := answers.Get().(*answer)
	defer answers.Put(a)
	image, err := a.take(C.go_client_verify(address(c.pointer), a.ask(reference), a.image))
	return image, c.callbacks.explain(err, before)
}

// Verification is the answer for one of many references: an image or an error.
type Verification struct {
	Image *Image
	Err   error
}

// VerifyMany is as Verify for many references, several at a time, each repository
// fetched once. There is one answer for each, in their order. The error is nil only
// if all are trusted, else that of the first that is not.
func (c *Client) VerifyMany(ctx context.Context, references []string) ([]Verification, error) {
	type many struct {
		answers []Verification
		err     error
	}
	verified, err := run(ctx, c, func(client cClient, a *arguments) (many, error) {
		none := func(int) *C.char { return nil }
		texts, count := a.array(references)
		images := (**C.tagtrust_image)(unsafe.Pointer(a.pointers(len(references), none)))
		errors := (**C.tagtrust_error)(unsafe.Pointer(a.pointers(len(references), none)))
		status := C.tagtrust_client_verify_many(client, texts, count, images, errors)
		verified := many{answers: make([]Verification, len(references))}
		for index := range verified.answers {
			verified.answers[index] = takeVerification(
				unsafe.Slice(images, len(references))[index], unsafe.Slice(errors, len(references))[index])
			if verified.err == nil {
				verified.err = verified.answers[index].Err
			}
		}
		if verified.err == nil {
			verified.err = failed(status, nil)
		}
		return verified, nil
	})
	if err != nil {
		return nil, err
	}
	return verified.answers, verified.err
}

func takeVerification(object *C.tagtrust_image, failure *C.tagtrust_error) Verification {
	if object == nil {
		return Verification{Err: failed(C.tagtrust_error_status(failure), failure)}
	}
	a := answers.Get().(*answer)
	defer answers.Put(a)
	C.go_take_image(object, a.image)
	image, err := a.take(C.TAGTRUST_OK)
	return Verification{Image: image, Err: err}
}

// run runs a call of a client's, and gives up waiting when the context ends.
func run[T any](ctx context.Context, c *Client, call func(cClient, *arguments) (T, error)) (T, error) {
	return await(ctx, func() (nothing T, err error) {
		defer runtime.KeepAlive(c)
		if err := c.object.use(); err != nil {
			return nothing, err
		}
		defer c.object.done()
		var a arguments
		defer a.free()
		before := c.callbacks.failure.Load()
		answer, err := call(c.pointer, &a)
		return answer, c.callbacks.explain(err, before)
	})
}

// await makes a call. If the context can end it does so in a goroutine, which is
// left behind then.
func await[T any](ctx context.Context, call func() (T, error)) (nothing T, err error) {
	if err := ctx.Err(); err != nil {
		return nothing, err
	}
	if ctx.Done() == nil {
		return call()
	}
	if err := notInCallback(); err != nil {
		return nothing, err
	}
	results := make(chan result[T], 1)
	go func() {
		answer, err := call()
		results <- result[T]{answer, err}
	}()
	select {
	case result := <-results:
		return result.answer, result.err
	case <-ctx.Done():
		return nothing, ctx.Err()
	}
}

type result[T any] struct {
	answer T
	err    error
}
