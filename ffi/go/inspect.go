package tagtrust

// #include "glue.h"
import "C"

import "context"

// Inspection holds the signed tags, signers and keys of a repository.
type Inspection struct {
	// Name is what was asked for.
	Name       string
	SignedTags []SignedTag
	Signers    []Signer
	// AdministrativeKeys are those of the root and of the repository.
	AdministrativeKeys []Signer

	json, pretty string
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
		defer C.tagtrust_inspection_free(object)
		inspection := &Inspection{
			json:   C.GoString(C.tagtrust_inspection_json(object)),
			pretty: C.GoString(C.tagtrust_inspection_pretty(object)),
		}
		return inspection, decode([]byte(inspection.json), inspection)
	})
}
