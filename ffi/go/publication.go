//go:build !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import (
	"context"
	"time"
	"unsafe"
)

type (
	cEdit        = *C.tagtrust_edit
	cPublication = *C.tagtrust_publication
	cText        = *C.tagtrust_text
)

// Publication is what was published, or staged, or what would be.
type Publication struct {
	// Repository is registry and repository, such as "docker.io/library/alpine".
	Repository string `json:"repository"`
	// Changes in order; none if everything was as it should be already.
	Changes []Change `json:"changes"`
	// Files that were signed, or would be.
	Files []SignedFile `json:"files"`
	// Warnings: what a publisher should know besides.
	Warnings []string `json:"warnings"`
	// Published is true if something was uploaded: not by a dry run, not by
	// staging, and not if everything was as it should be already.
	Published bool `json:"published"`
	// Attempts: more than one if others published at the same time.
	Attempts int `json:"attempts"`
}

// Change is one change in Notary's terms and in words.
type Change struct {
	// Action is "create", "update" or "delete".
	Action string `json:"action"`
	// Type is "target", "delegation", "witness", "role" or "threshold".
	Type string `json:"type"`
	// Role that changes.
	Role string `json:"role"`
	// Path is the tag, where it is about one.
	Path string `json:"path"`
	// Description is in words, for people.
	Description string `json:"description"`
}

// SignedFile is a file of a repository's trust data.
type SignedFile struct {
	// Role of the file, such as "targets/releases".
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	// KeyIDs are the keys that signed it.
	KeyIDs []string `json:"key_ids"`
}

// publish runs a call that gives a publication.
func (c *Client) publish(
	ctx context.Context,
	call func(cClient, *arguments, *cPublication, *cError) cStatus,
) (*Publication, error) {
	return run(ctx, c, func(client cClient, a *arguments) (*Publication, error) {
		var object cPublication
		var failure cError
		status := call(client, a, &object, &failure)
		return takePublication(object, status, failure)
	})
}

func takePublication(
	object cPublication, status cStatus, failure cError,
) (*Publication, error) {
	if err := failed(status, failure); err != nil {
		return nil, err
	}
	defer C.tagtrust_publication_free(object)
	publication := new(Publication)
	return publication, decode([]byte(C.GoString(C.tagtrust_publication_json(object))), publication)
}

// list runs a call that gives JSON.
func list[T any](
	ctx context.Context,
	c *Client,
	call func(cClient, *arguments, *cText, *cError) cStatus,
) (T, error) {
	return run(ctx, c, func(client cClient, a *arguments) (T, error) {
		var json cText
		var failure cError
		status := call(client, a, &json, &failure)
		return takeJSON[T](json, status, failure)
	})
}

// text runs a call that gives a text.
func text(
	ctx context.Context,
	c *Client,
	call func(cClient, *arguments, *cText, *cError) cStatus,
) ([]byte, error) {
	return run(ctx, c, func(client cClient, a *arguments) ([]byte, error) {
		var text cText
		var failure cError
		status := call(client, a, &text, &failure)
		return takeText(text, status, failure)
	})
}

// act runs a call that gives nothing.
func (c *Client) act(
	ctx context.Context, call func(cClient, *arguments, *cError) cStatus,
) error {
	_, err := run(ctx, c, func(client cClient, a *arguments) (struct{}, error) {
		var failure cError
		status := call(client, a, &failure)
		return struct{}{}, failed(status, failure)
	})
	return err
}

// takeText takes over a text of the library's.
func takeText(text cText, status cStatus, object cError) ([]byte, error) {
	if err := failed(status, object); err != nil {
		return nil, err
	}
	defer C.tagtrust_text_free(text)
	return C.GoBytes(unsafe.Pointer(C.tagtrust_text_data(text)), C.int(C.tagtrust_text_length(text))), nil
}

// takeJSON takes over a text of the library's, and reads it.
func takeJSON[T any](text cText, status cStatus, object cError) (value T, err error) {
	bytes, err := takeText(text, status, object)
	if err == nil {
		err = decode(bytes, &value)
	}
	return value, err
}
