package tagtrust

// #include "glue.h"
import "C"

import (
	"context"
	"runtime"
)

// Inspection holds the signed tags, signers and keys of a repository, and its
// chain of trust.
type Inspection struct {
	// Name is what was asked for.
	Name       string
	SignedTags []SignedTag
	Signers    []Signer
	// AdministrativeKeys are those of the root and of the repository.
	AdministrativeKeys []Signer

	json, pretty string
	chain        *chain
}

// chain is the library's inspection, which is freed when no copy of ours is left.
type chain struct{ pointer *C.tagtrust_inspection }

func newChain(pointer *C.tagtrust_inspection) *chain {
	c := &chain{pointer}
	runtime.SetFinalizer(c, func(c *chain) { C.tagtrust_inspection_free(c.pointer) })
	return c
}

// SignedTag is a tag with its digest, and who signed it.
type SignedTag struct {
	// Tag is the tag.
	Tag string `json:"SignedTag"`
	// Digest in hex digits, without "sha256:", as docker trust inspect shows it.
	Digest  string
	Signers []string
}

// Signer has keys.
type Signer struct {
	Name string
	Keys []SignerKey
}

// SignerKey is a key, by its ID.
type SignerKey struct {
	ID string
}

// JSON is the object that docker trust inspect prints, indented by four spaces.
func (i *Inspection) JSON() string { return i.json }

// Pretty is what docker trust inspect --pretty prints.
func (i *Inspection) Pretty() string { return i.pretty }

// Tree is the chain of trust as a tree, each role below the one that says which keys
// may sign for it. Keys that may sign and have not stand in parentheses. Keys that
// would go beyond width characters stand on lines of their own; 0 sets no limit.
func (i *Inspection) Tree(width int) string {
	if i.chain == nil {
		return ""
	}
	defer runtime.KeepAlive(i.chain)
	if width < 0 {
		width = 0
	}
	return C.GoString(C.tagtrust_inspection_tree(i.chain.pointer, C.size_t(width)))
}

// SVG is the chain of trust as a picture: a self-contained SVG file with a card for
// each role. Nothing in it runs or is loaded from elsewhere.
func (i *Inspection) SVG() string {
	if i.chain == nil {
		return ""
	}
	defer runtime.KeepAlive(i.chain)
	return C.GoString(C.tagtrust_inspection_svg(i.chain.pointer))
}

// Inspect gives what docker trust inspect shows of a repository
// (registry/repository) or of one tag in it. A tag that is not signed is no error here.
func (c *Client) Inspect(ctx context.Context, reference string) (*Inspection, error) {
	return run(ctx, c, func(client cClient, a *arguments) (*Inspection, error) {
		var object *C.tagtrust_inspection
		var failure cError
		status := C.tagtrust_client_inspect(client, a.text(reference), &object, &failure)
		if err := failed(status, failure); err != nil {
			return nil, err
		}
		inspection := &Inspection{
			chain:  newChain(object),
			json:   C.GoString(C.tagtrust_inspection_json(object)),
			pretty: C.GoString(C.tagtrust_inspection_pretty(object)),
		}
		return inspection, decode([]byte(inspection.json), inspection)
	})
}
