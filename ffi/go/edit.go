//go:build !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import (
	"context"
	"time"
)

// Edit is changes of one repository in the making: one refresh and one upload for
// all of them, however many.
//
//	publication, err := client.Edit("registry.example/team/app").
//		Sign("1.2", &tagtrust.Target{Digest: digest, Size: size}).
//		Revoke("1.1").
//		Publish(ctx)
//
// Methods that add a step do nothing else. If a step is refused, all methods that
// end the edit fail with its error. The edit stays as it is when it is ended, so
// what DryRun shows can then be published.
type Edit struct {
	client     *Client
	repository string
	steps      []func(cEdit, *arguments)
	refused    error
}

// Edit begins changes of a repository (registry/repository).
func (c *Client) Edit(repository string) *Edit {
	return &Edit{client: c, repository: repository}
}

func (e *Edit) add(step func(cEdit, *arguments)) *Edit {
	e.steps = append(e.steps, step)
	return e
}

// Init makes the repository: see [Client.Init]. It is published with the rest.
func (e *Edit) Init(options InitOptions) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_init(edit, a.optional(options.RootKey), a.optional(options.TargetsKey), C.bool(options.LocalSnapshot))
	})
}

// Sign signs a tag as Docker does: in every first-level delegation that admits it
// and that we hold a key for, or in targets if there is no delegation. Without a
// target the registry is asked for it.
func (e *Edit) Sign(tag string, target *Target) *Edit {
	return e.SignWith(tag, target, SignOptions{})
}

// SignOptions say more about what is signed.
type SignOptions struct {
	// Custom is JSON to sign with it; it needs a target.
	Custom string
	// Roles that sign. Default: as Docker.
	Roles []string
}

// SignWith signs a tag as the options say.
func (e *Edit) SignWith(tag string, target *Target, options SignOptions) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		digest, size := a.target(target)
		roles, count := a.array(options.Roles)
		C.tagtrust_edit_sign(edit, a.text(tag), digest, size, a.optional(options.Custom), roles, count)
	})
}

// Revoke removes the signatures of a tag from these roles, or without any from
// every first-level delegation and from targets, where we hold a key.
func (e *Edit) Revoke(tag string, roles ...string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		names, count := a.array(roles)
		C.tagtrust_edit_revoke(edit, a.text(tag), names, count)
	})
}

// RevokeAll is as Revoke for all tags.
func (e *Edit) RevokeAll(roles ...string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		names, count := a.array(roles)
		C.tagtrust_edit_revoke_all(edit, names, count)
	})
}

// AddSigner adds a signer as Docker does: its keys, in PEM, may sign for
// targets/<name> and targets/releases, all tags.
func (e *Edit) AddSigner(name string, publicKeys []byte) *Edit {
	keys := string(publicKeys)
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_add_signer(edit, a.text(name), a.text(keys))
	})
}

// RemoveSigner removes a signer as Docker does. If nobody else's signature is left
// on the tags of targets/releases, they are signed anew with a key at hand; without
// one it needs `force`, and no tag counts until somebody signs.
func (e *Edit) RemoveSigner(name string, force bool) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_remove_signer(edit, a.text(name), C.bool(force))
	})
}

// AddDelegation declares a delegation, such as "targets/team/qa", with keys in PEM
// and paths: prefixes of the tags that it may sign, "" for all. One that exists gets
// them added; there may then be no keys.
func (e *Edit) AddDelegation(role string, publicKeys []byte, paths ...string) *Edit {
	keys := string(publicKeys)
	return e.add(func(edit cEdit, a *arguments) {
		names, count := a.array(paths)
		C.tagtrust_edit_add_delegation(edit, a.text(role), a.optional(keys), names, count)
	})
}

// RemoveDelegation ends a delegation and all below it.
func (e *Edit) RemoveDelegation(role string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_remove_delegation(edit, a.text(role))
	})
}

// RemoveFromDelegation takes keys and paths from a delegation.
func (e *Edit) RemoveFromDelegation(role string, keyIDs, paths []string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		ids, idCount := a.array(keyIDs)
		names, nameCount := a.array(paths)
		C.tagtrust_edit_remove_from_delegation(edit, a.text(role), ids, idCount, names, nameCount)
	})
}

// PurgeKeys takes keys from all delegations.
func (e *Edit) PurgeKeys(keyIDs ...string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		ids, count := a.array(keyIDs)
		C.tagtrust_edit_purge_keys(edit, ids, count)
	})
}

// Rotation says which keys a role gets: a new one on the server, else those that
// are named and at hand, or without any a new one on this machine.
type Rotation struct {
	ServerManaged bool
	KeyIDs        []string
}

// RotateKey gives "root", "targets", "snapshot" or "timestamp" other keys.
func (e *Edit) RotateKey(role string, rotation Rotation) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		ids, count := a.array(rotation.KeyIDs)
		C.tagtrust_edit_rotate_key(edit, a.text(role), C.bool(rotation.ServerManaged), ids, count)
	})
}

// SetThreshold sets how many keys of a role must sign.
func (e *Edit) SetThreshold(role string, threshold uint32) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_set_threshold(edit, a.text(role), C.uint32_t(threshold))
	})
}

// Witness signs the file of targets or of a delegation anew as it is.
func (e *Edit) Witness(role string) *Edit {
	return e.add(func(edit cEdit, a *arguments) {
		C.tagtrust_edit_witness(edit, a.text(role))
	})
}

// Renew signs anew whatever expires within this time and whose keys are at hand.
func (e *Edit) Renew(within time.Duration) *Edit {
	seconds, err := whole(within, time.Second)
	if err != nil && e.refused == nil {
		e.refused = err
	}
	return e.add(func(edit cEdit, _ *arguments) {
		C.tagtrust_edit_renew(edit, seconds)
	})
}

// Staged adds the changes that were staged before, here or by notary. Publishing
// ends them.
func (e *Edit) Staged() *Edit {
	return e.add(func(edit cEdit, _ *arguments) {
		C.tagtrust_edit_staged(edit)
	})
}

// Publish signs what changes and uploads it. If others publish at the same time,
// the changes are made anew on top of theirs. After an error nothing is published,
// except perhaps after [ErrUnreachable], whose message says if the upload may have
// been stored, and after one of the context. It can be tried again.
func (e *Edit) Publish(ctx context.Context) (*Publication, error) {
	return e.publish(ctx, func(edit cEdit, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_edit_publish(edit, made, failure)
	})
}

// DryRun gives what would change. It needs no private key, makes none and publishes
// nothing. What it fetches is cached, with trust on first use, as by [Client.Verify].
func (e *Edit) DryRun(ctx context.Context) (*Publication, error) {
	return e.publish(ctx, func(edit cEdit, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_edit_dry_run(edit, made, failure)
	})
}

// Stage stages the changes in Notary's changelist instead of publishing them:
// [Client.Publish] or notary publish does that later. Rotations and thresholds
// cannot be staged, nor can what makes a repository.
func (e *Edit) Stage(ctx context.Context) (*Publication, error) {
	return e.publish(ctx, func(edit cEdit, made *cPublication, failure *cError) cStatus {
		return C.tagtrust_edit_stage(edit, made, failure)
	})
}

// SignPartial signs what changes with the keys at hand, for others to add theirs
// with [Client.Cosign]. The proposal is a small JSON file without secrets.
func (e *Edit) SignPartial(ctx context.Context) ([]byte, error) {
	return end(ctx, e, func(edit cEdit) ([]byte, error) {
		var proposal cText
		var failure cError
		status := C.tagtrust_edit_sign_partial(edit, &proposal, &failure)
		return takeText(proposal, status, failure)
	})
}

func (e *Edit) publish(
	ctx context.Context,
	finish func(cEdit, *cPublication, *cError) cStatus,
) (*Publication, error) {
	return end(ctx, e, func(edit cEdit) (*Publication, error) {
		var object cPublication
		var failure cError
		status := finish(edit, &object, &failure)
		return takePublication(object, status, failure)
	})
}

// end plays the steps to an edit of the library's, which remembers if it refused
// one, and finishes that.
func end[T any](ctx context.Context, e *Edit, finish func(cEdit) (T, error)) (nothing T, err error) {
	if e.refused != nil {
		return nothing, e.refused
	}
	steps := e.steps
	return run(ctx, e.client, func(client cClient, a *arguments) (nothing T, err error) {
		var edit cEdit
		var failure cError
		status := C.tagtrust_edit_new(client, a.text(e.repository), &edit, &failure)
		if err := failed(status, failure); err != nil {
			return nothing, err
		}
		defer C.tagtrust_edit_free(edit)
		for _, step := range steps {
			step(edit, a)
		}
		return finish(edit)
	})
}
