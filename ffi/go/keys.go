//go:build !tagtrust_nosigning

package tagtrust

// #include "glue.h"
import "C"

import "context"

// Key is a private key at hand.
type Key struct {
	ID string `json:"id"`
	// Role is what the key is for: "root", "targets", or the name of a signer.
	Role string `json:"role"`
	// GUN is the repository that the key is for, if only for one.
	GUN string `json:"gun"`
	// Location is its file, or "signer" for one of Options.Signers.
	Location string `json:"location"`
}

// Keys gives all private keys: root keys first, then by repository, role and ID.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return list[[]Key](ctx, c, func(client cClient, _ *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_keys(client, json, failure)
	})
}

// GeneratedKey is a new key of a signer.
type GeneratedKey struct {
	ID string `json:"id"`
	// PublicKeyFile is the file to hand to the repository's owner.
	PublicKeyFile string `json:"public_key_file"`
}

// GenerateKey makes a signer's key as docker trust key generate does: the private
// half goes to the trust directory, the public one to <name>.pub in a directory.
func (c *Client) GenerateKey(ctx context.Context, name, directory string) (*GeneratedKey, error) {
	return list[*GeneratedKey](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_generate_key(client, a.text(name), a.text(directory), json, failure)
	})
}

// GenerateEd25519Key is as GenerateKey, with an Ed25519 key: every Notary client
// verifies and signs with such a key, but docker trust signer add does not read its
// public file.
func (c *Client) GenerateEd25519Key(ctx context.Context, name, directory string) (*GeneratedKey, error) {
	return list[*GeneratedKey](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_generate_ed25519_key(client, a.text(name), a.text(directory), json, failure)
	})
}

// LoadKey loads the private keys in a file into the trust directory, as docker
// trust key load does. A name, which may be empty, becomes the role of keys whose
// file has none.
func (c *Client) LoadKey(ctx context.Context, file, name string) ([]Key, error) {
	return list[[]Key](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_load_key(client, a.text(file), a.optional(name), json, failure)
	})
}

// ImportOptions are for keys whose PEM headers do not say it.
type ImportOptions struct {
	Role, GUN string
}

// ImportKeys imports private keys from PEM, such as [Client.ExportKeys] and notary
// key export write.
func (c *Client) ImportKeys(ctx context.Context, pem []byte, options ImportOptions) ([]Key, error) {
	return list[[]Key](ctx, c, func(client cClient, a *arguments, json *cText, failure *cError) cStatus {
		return C.tagtrust_client_import_keys(
			client, a.text(string(pem)), a.optional(options.Role), a.optional(options.GUN), json, failure)
	})
}

// ExportOptions say which keys are exported: those of one repository, or some, or
// without either all.
type ExportOptions struct {
	GUN    string
	KeyIDs []string
}

// ExportKeys gives private keys as PEM, byte for byte what notary key export
// writes. Each stays encrypted as it is on disk.
func (c *Client) ExportKeys(ctx context.Context, options ExportOptions) ([]byte, error) {
	return text(ctx, c, func(client cClient, a *arguments, pem *cText, failure *cError) cStatus {
		ids, count := a.array(options.KeyIDs)
		return C.tagtrust_client_export_keys(client, a.optional(options.GUN), ids, count, pem, failure)
	})
}

// ChangePassphrase encrypts a key with another passphrase; if it is empty,
// Options.Passphrase or the environment variable is asked for the new one too.
func (c *Client) ChangePassphrase(ctx context.Context, keyID, passphrase string) error {
	return c.act(ctx, func(client cClient, a *arguments, failure *cError) cStatus {
		return C.tagtrust_client_change_passphrase(client, a.text(keyID), a.optional(passphrase), failure)
	})
}

// RemoveKey removes a private key. Without a copy it is gone for good.
func (c *Client) RemoveKey(ctx context.Context, keyID string) error {
	return c.act(ctx, func(client cClient, a *arguments, failure *cError) cStatus {
		return C.tagtrust_client_remove_key(client, a.text(keyID), failure)
	})
}
