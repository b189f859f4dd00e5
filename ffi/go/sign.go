//go:build !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Target is what is signed for a tag: digest ("sha256:…") and size in bytes of the
// manifest or index.
type Target struct {
	Digest string
	Size   uint64
}

// Init makes a repository: a root key is made or reused, the timestamp key is the
// server's, and the first root and targets are published.
func (c *Client) Init(ctx context.Context, repository string, options InitOptions) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_init(client, a.text(repository), a.optional(options.RootKey),
			a.optional(options.TargetsKey), C.bool(options.LocalSnapshot), C.bool(options.Unpublished), made, failure)
	})
}

// InitOptions say how a repository is made.
type InitOptions struct {
	// RootKey and TargetsKey are IDs of keys at hand. Default: as Docker, the root
	// key on disk with the lowest ID, else a new one; and a new targets key.
	RootKey, TargetsKey string
	// LocalSnapshot makes the snapshot key here. Default: the server has it.
	LocalSnapshot bool
	// Unpublished only writes the files to the trust directory, and publishing the
	// first change uploads them.
	Unpublished bool
}

// Delete removes a repository's cached metadata and staged changes, and with
// `remote` first everything that the server has of it. Keys stay.
func (c *Client) Delete(ctx context.Context, repository string, remote bool) error {
	return c.act(ctx, func(client cClient, a *arguments, failure *cError) cStatus {
		return C.tagtrust_client_delete(client, a.text(repository), C.bool(remote), failure)
	})
}

// Sign signs registry/repository:tag as Docker does, and makes the repository if it
// does not exist. Without a target the registry is asked for it. With a digest in
// the reference it must be that. More can be signed with [Edit.Sign].
func (c *Client) Sign(ctx context.Context, reference string, target *Target) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		digest, size := a.target(target)
		return C.tagtrust_client_sign(client, a.text(reference), digest, size, made, failure)
	})
}

// target is NULL for none, but not for an empty digest.
func (a *arguments) target(target *Target) (*C.char, C.uint64_t) {
	if target == nil {
		return nil, 0
	}
	return a.text(target.Digest), C.uint64_t(target.Size)
}

// Signing is one of many references to sign, and what for; see [Client.Sign].
type Signing struct {
	Reference string
	Target    *Target
}

// Signed is what came of signing the tags of one repository.
type Signed struct {
	// Index is the place of its first tag among what was to be signed.
	Index       int
	Publication *Publication
	Err         error
}

// SignMany signs many tags: one refresh and one upload for each repository. There
// is one answer for each repository, in the order of their first tags; if nothing
// could be begun, as for a reference that cannot be read, one for each tag. The
// error is nil only if all are signed, else the first one.
func (c *Client) SignMany(ctx context.Context, signings []Signing) ([]Signed, error) {
	type many struct {
		answers []Signed
		err     error
	}
	signed, err := run(ctx, c, func(client cClient, a *arguments) (many, error) {
		count := len(signings)
		none := func(int) *C.char { return nil }
		references := a.pointers(count, func(index int) *C.char { return a.text(signings[index].Reference) })
		digests := a.pointers(count, func(index int) *C.char {
			digest, _ := a.target(signings[index].Target)
			return digest
		})
		sizes := make([]C.uint64_t, count+1)
		for index, signing := range signings {
			if signing.Target != nil {
				sizes[index] = C.uint64_t(signing.Target.Size)
			}
		}
		publications := (**C.tagtrust_publication)(unsafe.Pointer(a.pointers(count, none)))
		errors := (**C.tagtrust_error)(unsafe.Pointer(a.pointers(count, none)))
		status := C.tagtrust_client_sign_many(
			client, references, digests, &sizes[0], C.size_t(count), publications, errors)
		var signed many
		for index := range signings {
			answer := Signed{Index: index}
			publication := unsafe.Slice(publications, count)[index]
			failure := unsafe.Slice(errors, count)[index]
			switch {
			case failure != nil:
				answer.Err = failed(C.tagtrust_error_status(failure), failure)
			case publication != nil:
				answer.Publication, answer.Err = takePublication(publication, C.TAGTRUST_OK, nil)
			default:
				continue
			}
			signed.answers = append(signed.answers, answer)
			if signed.err == nil {
				signed.err = answer.Err
			}
		}
		if signed.err == nil {
			signed.err = failed(status, nil)
		}
		return signed, nil
	})
	if err != nil {
		return nil, err
	}
	return signed.answers, signed.err
}

// Revoke removes the signatures of a tag, or of all tags if the reference has none:
// see [Edit.Revoke].
func (c *Client) Revoke(ctx context.Context, reference string) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_revoke(client, a.text(reference), made, failure)
	})
}

// AddSigner adds a signer, and makes the repository if it does not exist: see
// [Edit.AddSigner].
func (c *Client) AddSigner(ctx context.Context, name string, publicKeys []byte, repository string) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_add_signer(client, a.text(name), a.text(string(publicKeys)), a.text(repository), made, failure)
	})
}

// RemoveSigner removes a signer: see [Edit.RemoveSigner].
func (c *Client) RemoveSigner(ctx context.Context, name, repository string, force bool) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_remove_signer(client, a.text(name), a.text(repository), C.bool(force), made, failure)
	})
}

// RotateKey gives a role other keys: see [Edit.RotateKey].
func (c *Client) RotateKey(ctx context.Context, repository, role string, rotation Rotation) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		ids, count := a.array(rotation.KeyIDs)
		return C.tagtrust_client_rotate_key(client, a.text(repository), a.text(role), C.bool(rotation.ServerManaged),
			ids, count, made, failure)
	})
}

// Publish publishes what is staged, and a repository that was made and not published.
func (c *Client) Publish(ctx context.Context, repository string) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_publish(client, a.text(repository), made, failure)
	})
}

// Staged gives the staged changes, in the order in which they apply.
func (c *Client) Staged(ctx context.Context, repository string) ([]Change, error) {
	return list[[]Change](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_staged(client, a.text(repository), json, failure)
	})
}

// Unstage removes staged changes by their places in [Client.Staged]. After an error
// all stay.
func (c *Client) Unstage(ctx context.Context, repository string, places ...int) error {
	return c.act(ctx, func(client cClient, a *arguments, failure *cError) cStatus {
		numbers := make([]C.uint64_t, len(places)+1)
		for index, place := range places {
			// A negative place becomes a large number, which no change has.
			numbers[index] = C.uint64_t(place)
		}
		return C.tagtrust_client_unstage(client, a.text(repository), &numbers[0], C.size_t(len(places)), failure)
	})
}

// UnstageAll removes all staged changes.
func (c *Client) UnstageAll(ctx context.Context, repository string) error {
	return c.act(ctx, func(client cClient, a *arguments, failure *cError) cStatus {
		return C.tagtrust_client_unstage_all(client, a.text(repository), failure)
	})
}

// Delegation is a role that may sign tags.
type Delegation struct {
	// Name of the role, such as "targets/releases".
	Name string `json:"name"`
	// Paths are prefixes of the tags that it may sign, "" for all.
	Paths []string `json:"paths"`
	// KeyIDs are its keys, of which Threshold must sign.
	KeyIDs    []string `json:"key_ids"`
	Threshold int      `json:"threshold"`
}

// Delegations gives all delegations of a repository.
func (c *Client) Delegations(ctx context.Context, repository string) ([]Delegation, error) {
	return list[[]Delegation](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_delegations(client, a.text(repository), json, failure)
	})
}

// Expiry is a published file and when it expires.
type Expiry struct {
	Role    string    `json:"role"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
	// CanSign is true if a key for it is at hand.
	CanSign bool `json:"can_sign"`
}

// Expiring gives the files that expire within this time or have expired, the first
// one first.
func (c *Client) Expiring(ctx context.Context, repository string, within time.Duration) ([]Expiry, error) {
	seconds, err := whole(within, time.Second)
	if err != nil {
		return nil, err
	}
	return list[[]Expiry](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_expiring(client, a.text(repository), seconds, json, failure)
	})
}

// Renew signs anew what expires within this time and whose keys are at hand. For
// what has expired already there is [Client.Recover].
func (c *Client) Renew(ctx context.Context, repository string, within time.Duration) (*Publication, error) {
	seconds, err := whole(within, time.Second)
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_renew(client, a.text(repository), seconds, made, failure)
	})
}

// Recover signs anew whatever has expired or expires within this time, so that a
// repository can be used again that nobody can verify any more. What is signed is
// what the server has now, checked in everything but its age: look at what it would
// be with `dryRun` first.
func (c *Client) Recover(
	ctx context.Context, repository string, within time.Duration, dryRun bool,
) (*Publication, error) {
	seconds, err := whole(within, time.Second)
	if err != nil {
		return nil, err
	}
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_client_recover(client, a.text(repository), seconds, C.bool(dryRun), made, failure)
	})
}

// Proposal says what a proposal is about: look at it before you sign.
type Proposal struct {
	Repository string   `json:"repository"`
	Changes    []Change `json:"changes"`
	// Signers are the IDs of the keys that have signed, by role.
	Signers map[string][]string `json:"signers"`
}

// ReadProposal reads a proposal of [Edit.SignPartial] or [Client.Cosign].
func ReadProposal(proposal []byte) (*Proposal, error) {
	var a arguments
	defer a.free()
	var json cText
	var failure cError
	status := C.tagtrust_proposal_summary(a.text(string(proposal)), &json, &failure)
	return takeJSON[*Proposal](json, status, failure)
}

// Cosign adds our signatures to a proposal of [Edit.SignPartial] or of this method.
func (c *Client) Cosign(ctx context.Context, proposal []byte) ([]byte, error) {
	return text(ctx, c, func(client cClient, a *arguments, signed *cText, failure *cError) cStatus {
		return C.tagtrust_client_cosign(client, a.text(string(proposal)), signed, failure)
	})
}

// PublishProposals puts the signatures of several copies of one proposal together,
// adds ours, and publishes it.
func (c *Client) PublishProposals(ctx context.Context, proposals ...[]byte) (*Publication, error) {
	return c.publish(ctx, func(client cClient, a *arguments, made *cPublication, failure *cError) cStatus {
		copies := make([]string, len(proposals))
		for index, proposal := range proposals {
			copies[index] = string(proposal)
		}
		texts, count := a.array(copies)
		return C.tagtrust_client_publish_proposals(client, texts, count, made, failure)
	})
}
