/*
 * tagtrust: which digest did a publisher sign for registry/repository:tag?
 * Docker Content Trust (Notary v1), verified and signed in your process.
 *
 *     tagtrust_config *config = tagtrust_config_new();
 *     tagtrust_client *client;
 *     tagtrust_image *image;
 *     tagtrust_error *error;
 *     if (tagtrust_client_new(config, &client, &error) != TAGTRUST_OK) ...
 *     if (tagtrust_client_verify(client, "alpine:3.20", &image, &error) == TAGTRUST_OK)
 *         puts(tagtrust_image_pinned_reference(image));
 *     else
 *         fprintf(stderr, "%s\n", tagtrust_error_message(error));
 *
 * and for publishers, in place of the image:
 *
 *     tagtrust_publication *publication;
 *     if (tagtrust_client_sign(client, "registry.example/team/app:1.2", NULL, 0,
 *                              &publication, &error) == TAGTRUST_OK) ...
 *
 * and for a program that fetches the files itself, without a client (examples/trusted_set.c):
 *
 *     tagtrust_trusted_set *set;
 *     if (tagtrust_trusted_set_new(config, "registry.example/team/app", NULL, NULL, 0,
 *                                  root, root_length, &set, &error) == TAGTRUST_OK) ...
 *     while ((role = tagtrust_trusted_set_next_role(set)) != NULL) ...
 *
 * and a trust server to do it with:
 *
 *     tagtrust_server_config *in_memory = tagtrust_server_config_new();
 *     tagtrust_server *server;
 *     if (tagtrust_server_start(in_memory, &server, &error) == TAGTRUST_OK)
 *         tagtrust_config_set_server(config, tagtrust_server_url(server));
 *
 * The contract, for all functions:
 *
 * Results. What can fail returns a tagtrust_status. Only TAGTRUST_OK means yes.
 *
 * Outputs. They come last, and need not be initialised: each call overwrites
 * them and does not look at what they held. On success the object is set and
 * the error NULL; on failure the object is NULL and the error set. So a
 * refusal never leaves the image of an earlier call behind. `error` may be NULL
 * if you do not want it; the other outputs may not.
 *
 * Ownership. What a function hands out through an output, and what *_new
 * returns, is yours: free it with the function that its type names, once.
 * Freeing NULL does nothing. Other arguments stay yours. No object needs
 * another one to stay.
 *
 * Handles. A pointer to an object is a handle: the library looks it up, with its
 * type, before it uses the object, and never reads what it points to. What was
 * freed, belongs to another type or never came from the library counts as NULL.
 * So no mistake with a handle is undefined behaviour, but it still is one: some
 * time after an object was freed its address can be that of a new one.
 *
 * Strings. In: NUL-terminated UTF-8 that nobody changes during the call; the
 * library keeps copies. Out: NUL-terminated UTF-8 that belongs to its object
 * and lives as long; do not free or change it. PEM and JSON are strings too.
 *
 * Arrays. In: `count` elements in a row, which nobody changes during the call.
 * For a count of zero the array may be NULL.
 *
 * Lists. What belongs to an image or a publication is read one by one. Other
 * lists, such as keys and delegations, are a tagtrust_text with JSON, whose
 * objects may get more members.
 *
 * Wrong arguments. NULL where there must be something, and strings that are not
 * UTF-8, are answered with TAGTRUST_INVALID_ARGUMENT. Where a comment does not
 * say that an argument may be NULL, it may not. Functions that read an object
 * answer NULL with NULL, 0 or false, and those that end one do nothing. What
 * the library cannot check must be valid, or NULL: outputs, strings, arrays,
 * callbacks and their data.
 *
 * Settings. Whether a name, URL or file can be used is looked at when the client
 * is made: tagtrust_client_new answers TAGTRUST_INVALID_CONFIGURATION. Only
 * what tagtrust_config_pin_ca and tagtrust_config_add_signer get is read at once.
 * It is the same with a server and tagtrust_server_start.
 *
 * A setting that is refused, as for NULL or a file that cannot be read, is
 * remembered until its configuration is freed: what is made from that, a client,
 * a trusted set or a server, is refused with the error of the first one, whose
 * message begins with the name of its function. So nothing goes on with defaults
 * where something else was meant, and it is enough to look at the last status.
 *
 * Threads. Any object may be used by any number of threads at once. Those that
 * change one configuration or edit take turns. If one thread frees an object while
 * another one is in a call with it, it ends after that call; its strings must not
 * be read from then on. A child after fork must not use what its parent made, nor
 * free a server, and if other threads were in a call then, nothing at all.
 *
 * Callbacks. They come with a `data` pointer of yours, which is only handed
 * back. From tagtrust_client_new on, until the client and all its edits are
 * freed, they may be called during any call that uses these: from the thread
 * of that call or another one, and from several at once. So may the clock during
 * calls with a trusted set, and that of tagtrust_set_log during any call, until
 * it is replaced. What they get they may use until they return, and not change.
 * They may block: the call waits for as long, and so may others for the same
 * repository. Functions that take a client, an edit, a trusted set or a server,
 * tagtrust_server_start and tagtrust_set_log answer TAGTRUST_INVALID_ARGUMENT
 * there and do nothing; reading strings and freeing is allowed, and an object in
 * use ends after its call. They must not have another thread call these and wait
 * for it. They must return: an exception out of them ends the process, a longjmp
 * may do worse.
 *
 * Signals. The library handles none. Whoever breaks off a connection does not end
 * the process: where something could raise SIGPIPE, it is blocked in a thread of
 * the library, and in one of yours while that starts such threads or a server.
 *
 * Secrets. Passphrases and private keys are wiped from memory when they are no
 * longer needed, and stand in no error, log or text but the one of
 * tagtrust_client_export_keys. Strings that you hand in are yours to wipe. A
 * passphrase callback writes to a buffer of the library, which wipes it.
 *
 * Panics. A defect of the library ends as TAGTRUST_INTERNAL, with a report on
 * stderr: no panic or exception leaves it, and the client stays usable.
 *
 * Versions. Before 1.0 a new minor version may change anything here, and has
 * another soname. Within one, functions and numbers are only added.
 */

#ifndef TAGTRUST_H
#define TAGTRUST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAGTRUST_VERSION "0.1.0"
#define TAGTRUST_VERSION_MAJOR 0
#define TAGTRUST_VERSION_MINOR 1
#define TAGTRUST_VERSION_PATCH 0

/* What the library was built with. Each of these says what it lacks, and with it
 * what needs that: TAGTRUST_NO_HTTP (no client: files are verified that you hand
 * over), TAGTRUST_NO_SIGNING (no keys, no publishing), TAGTRUST_NO_SERVER. */
#ifndef TAGTRUST_NO_HTTP
#define TAGTRUST_HTTP
#ifndef TAGTRUST_NO_SIGNING
#define TAGTRUST_SIGNING
#ifndef TAGTRUST_NO_SERVER
#define TAGTRUST_SERVER
#endif
#endif
#endif

/// How a call ended.
///
/// 1 to 9 are mistakes of the caller, 10 to 29 refusals (the image is not
/// trusted), 30 to 39 mean that it could not be decided, 40 to 49 that it could
/// not be published, 99 is a defect of the library. Whatever is not
/// `TAGTRUST_OK` means: do not use the image, or: it is not published, except
/// perhaps after `TAGTRUST_UNREACHABLE`, whose message says if the upload may have
/// been stored. Numbers are never reused, and new ones may come.
typedef enum {
    /// Done; for a verification: trusted.
    TAGTRUST_OK = 0,
    /// The image reference cannot be read.
    TAGTRUST_INVALID_REFERENCE = 1,
    /// A setting cannot be used.
    TAGTRUST_INVALID_CONFIGURATION = 2,
    /// An argument is NULL that may not be, or not UTF-8.
    TAGTRUST_INVALID_ARGUMENT = 3,
    /// A name, key, file or value that was given cannot be used.
    TAGTRUST_INVALID_INPUT = 4,
    /// The trust server has nothing for this repository.
    TAGTRUST_NO_TRUST_DATA = 10,
    /// The repository is signed, this tag (or digest) in it is not.
    TAGTRUST_TAG_NOT_SIGNED = 11,
    /// The reference has a tag and a digest, and the publisher signed another digest.
    TAGTRUST_DIGEST_MISMATCH = 12,
    /// Trust data that is past its expiry.
    TAGTRUST_EXPIRED = 13,
    /// The server offers older trust data than was seen before.
    TAGTRUST_ROLLED_BACK = 14,
    /// Trust data that is not what its signers published.
    TAGTRUST_TAMPERED = 15,
    /// A root that does not match the pins, or does not follow from the known root.
    TAGTRUST_ROOT_NOT_TRUSTED = 16,
    /// Correctly signed, but not by the signers that were required.
    TAGTRUST_POLICY_VIOLATION = 17,
    /// The trust server gave no usable answer.
    TAGTRUST_UNREACHABLE = 30,
    /// The trust server wants other credentials.
    TAGTRUST_UNAUTHORIZED = 31,
    /// The trust directory cannot be read or written, or is damaged.
    TAGTRUST_STORE_ERROR = 32,
    /// No private key at hand may sign for a role.
    TAGTRUST_KEY_NOT_FOUND = 40,
    /// A private key could not be decrypted, or a new one has no acceptable passphrase.
    TAGTRUST_WRONG_PASSPHRASE = 41,
    /// What was to be published contradicts what others have published meanwhile.
    TAGTRUST_CONFLICT = 42,
    /// The trust server refused an upload or another request to change something.
    TAGTRUST_SERVER_REJECTED = 43,
    /// A defect of the library. Nothing was trusted.
    TAGTRUST_INTERNAL = 99,
} tagtrust_status;

/// Where a tag is looked for.
typedef enum {
    /// As `docker pull`: `targets/releases`, then `targets`, and no other delegation.
    TAGTRUST_LOOKUP_DOCKER = 0,
    /// As `notary lookup`: `targets`, then all delegations.
    TAGTRUST_LOOKUP_NOTARY = 1,
} tagtrust_lookup;

#if defined(TAGTRUST_HTTP)
/// Verifies images, and publishes them. It keeps connections and what it has
/// verified, so make one and use it from all threads, at once if you like. Freed
/// with `tagtrust_client_free`.
typedef struct tagtrust_client tagtrust_client;
#endif

/// Settings of a client; what is not set is as Docker has it. Freed with
/// `tagtrust_config_free`.
///
/// A setting that is refused, as by `TAGTRUST_INVALID_ARGUMENT`, is remembered,
/// and `tagtrust_client_new` and `tagtrust_trusted_set_new` then fail with its
/// error: it is enough to look at their status.
typedef struct tagtrust_config tagtrust_config;

#if defined(TAGTRUST_SIGNING)
/// Changes of one repository in the making: one refresh and one upload for all
/// of them, however many. Freed with `tagtrust_edit_free`.
///
/// Functions that add a step do nothing else. A step that is refused, as by
/// `TAGTRUST_INVALID_ARGUMENT`, is remembered, and all functions that end the
/// edit then fail with its error: it is enough to look at their status. The edit
/// stays as it is when it is ended, so what `tagtrust_edit_dry_run` shows can
/// then be published.
typedef struct tagtrust_edit tagtrust_edit;
#endif

/// Why a call failed. Freed with `tagtrust_error_free`; several threads may
/// read it at once.
typedef struct tagtrust_error tagtrust_error;

/// An image that its publisher signed. Freed with `tagtrust_image_free`;
/// several threads may read it at once.
typedef struct tagtrust_image tagtrust_image;

#if defined(TAGTRUST_HTTP)
/// The signed tags, signers and keys of a repository. Freed with
/// `tagtrust_inspection_free`; several threads may read it at once.
typedef struct tagtrust_inspection tagtrust_inspection;
#endif

#if defined(TAGTRUST_SIGNING)
/// A text: JSON, or private keys in PEM. Freed with `tagtrust_text_free`, which
/// wipes it; several threads may read it at once.
typedef struct tagtrust_text tagtrust_text;

/// What was published, or staged, or what would be. Freed with
/// `tagtrust_publication_free`; several threads may read it at once.
typedef struct tagtrust_publication tagtrust_publication;
#endif

#if defined(TAGTRUST_SERVER)
/// A running trust server. It works in threads of its own, and any number can run
/// at once. Freed with `tagtrust_server_free`.
typedef struct tagtrust_server tagtrust_server;

/// Settings of a server; what is not set is as the functions say. Freed with
/// `tagtrust_server_config_free`.
///
/// A setting that is refused is remembered, and `tagtrust_server_start` then
/// fails with its error: it is enough to look at its status.
typedef struct tagtrust_server_config tagtrust_server_config;
#endif

/// The trust data of one repository, from files that the caller hands over:
/// verification without a trust directory and without a request. Freed with
/// `tagtrust_trusted_set_free`.
///
/// What was seen before is the caller's to know: of that, only known roots count
/// here. An older timestamp that has not expired is accepted, and with it
/// everything that was current then.
typedef struct tagtrust_trusted_set tagtrust_trusted_set;

/// Gives the time in seconds since 1970 in UTC.
typedef int64_t (*tagtrust_clock_callback)(void *data);

/// Gets a message: `level` is 1 for errors, 2 for warnings, 3 for information,
/// 4 for debugging, 5 for more of that; `target` is the part of the library.
///
/// A message is a line of English for people. It may quote what servers say. The
/// callback may be called from any thread, and from several at once.
typedef void (*tagtrust_log_callback)(void *data,
                                      int level,
                                      const char *target,
                                      const char *message);

#if defined(TAGTRUST_SIGNING)
/// Writes the passphrase of a private key to `buffer`, in UTF-8, and returns its
/// length in bytes without a NUL. A negative number, or one above `capacity`,
/// means that there is none. The library wipes the buffer.
///
/// `key_id` is the key's ID, or for a file whose key is not known yet its name.
/// With `create` it is the passphrase of a new key, at least 8 bytes. `attempt`
/// counts from 0, and goes up when the last answer was too short or wrong; the
/// same wrong answer twice ends it.
typedef ptrdiff_t (*tagtrust_passphrase_callback)(void *data,
                                                  const char *key_id,
                                                  const char *role,
                                                  bool create,
                                                  uint32_t attempt,
                                                  char *buffer,
                                                  size_t capacity);

/// Writes the signature over `length` bytes of `message` to `signature`, and
/// returns its length. A negative number, or one above `capacity`, means that it
/// could not be made.
///
/// For an ECDSA key SHA-256 and r||s or DER, for an RSA key PSS with SHA-256 and
/// a salt of 32 bytes. The library checks it with the public key.
typedef ptrdiff_t (*tagtrust_sign_callback)(void *data,
                                            const uint8_t *message,
                                            size_t length,
                                            uint8_t *signature,
                                            size_t capacity);
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// The version of the library that is loaded, such as "0.1.0"; never freed.
///
/// `TAGTRUST_VERSION` is the version of the header.
const char *tagtrust_version(void);

#if defined(TAGTRUST_HTTP)
/// Makes a client. The configuration stays the caller's, and later changes to
/// it do not matter to the client. Nothing is fetched yet.
tagtrust_status tagtrust_client_new(const tagtrust_config *config,
                                    tagtrust_client **client,
                                    tagtrust_error **error);

/// Frees a client. What it gave stays, and so do its edits.
void tagtrust_client_free(tagtrust_client *client);

/// The digest that the publisher signed for a reference.
///
/// `registry/repository:tag` as Docker reads it, so "alpine" is
/// `docker.io/library/alpine:latest`. With a digest as well, both must match;
/// with a digest alone, some tag that counts must have it.
tagtrust_status tagtrust_client_verify(const tagtrust_client *client,
                                       const char *reference,
                                       tagtrust_image **image,
                                       tagtrust_error **error);

/// As `tagtrust_client_verify` for `count` references, several at a time, each
/// repository fetched once.
///
/// `images` and `errors` (which may be NULL) are arrays of `count` pointers:
/// after the call `images[i]` is the image of `references[i]` and `errors[i]`
/// NULL, or the other way round. `TAGTRUST_OK` only if all are trusted, else
/// the status of the first that is not.
tagtrust_status tagtrust_client_verify_many(const tagtrust_client *client,
                                            const char *const *references,
                                            size_t count,
                                            tagtrust_image **images,
                                            tagtrust_error **errors);

/// What `docker trust inspect` shows of a repository (`registry/repository`) or
/// of one tag in it. A tag that is not signed is no error here.
tagtrust_status tagtrust_client_inspect(const tagtrust_client *client,
                                        const char *reference,
                                        tagtrust_inspection **inspection,
                                        tagtrust_error **error);

/// Directory with the cached metadata and the private keys. Default: `trust` in
/// Docker's directory.
///
/// If it cannot be written, what is seen first could not be remembered: a repository
/// of which it holds nothing yet is a `TAGTRUST_STORE_ERROR`.
tagtrust_status tagtrust_config_set_trust_dir(tagtrust_config *config, const char *path);

/// Docker's directory, with `config.json`, `tls/` and `trust/`. Default:
/// `$DOCKER_CONFIG`, else `~/.docker`.
tagtrust_status tagtrust_config_set_docker_config(tagtrust_config *config,
                                                  const char *path);

/// URL of the trust server. Default: `$DOCKER_CONTENT_TRUST_SERVER`, else
/// `https://notary.docker.io` for Docker Hub and the registry itself for others.
tagtrust_status tagtrust_config_set_server(tagtrust_config *config, const char *url);

/// PEM file with the only CAs that may vouch for the server. Default: the
/// system's and those in Docker's `tls/` directory.
tagtrust_status tagtrust_config_set_ca_file(tagtrust_config *config, const char *path);

/// PEM files with the certificate and key that the client shows to the server.
tagtrust_status tagtrust_config_set_client_cert(tagtrust_config *config,
                                                const char *certificate,
                                                const char *key);

/// User and password. Default: Docker's `config.json` and its helpers.
tagtrust_status tagtrust_config_set_credentials(tagtrust_config *config,
                                                const char *username,
                                                const char *password);

/// Bounds the requests of one verification or inspection of one repository; when
/// publishing, each exchange with the server has it anew (several tries, at most 64,
/// if others publish). Waiting for another process's lock on the trust directory,
/// and for callbacks, is not counted. Default: 60 seconds.
tagtrust_status tagtrust_config_set_timeout_ms(tagtrust_config *config,
                                               uint64_t milliseconds);

/// How long an answer of the server is taken for the current one, so that no
/// request is made. Default: zero, ask every time.
tagtrust_status tagtrust_config_set_offline_max_age_ms(tagtrust_config *config,
                                                       uint64_t milliseconds);

/// Refuse to answer if the server cannot be asked. Default: the cached
/// timestamp serves until it expires, and `tagtrust_image_fresh` is false.
/// `tagtrust_config_set_offline_max_age_ms` comes before this, and its answers
/// count as fresh.
tagtrust_status tagtrust_config_set_require_fresh(tagtrust_config *config, bool required);

/// How many repositories `tagtrust_client_verify_many` asks for at a time, at
/// least one. Default: 8.
tagtrust_status tagtrust_config_set_parallelism(tagtrust_config *config, size_t threads);

/// Allows `http://` to other machines. Whoever is on the way reads the
/// credentials and can hold back new trust data.
tagtrust_status tagtrust_config_set_danger_plain_http(tagtrust_config *config,
                                                      bool allowed);
#endif

/// A configuration with Docker's defaults.
tagtrust_config *tagtrust_config_new(void);

/// Frees a configuration.
void tagtrust_config_free(tagtrust_config *config);

/// Where the time comes from. Default: the system's clock.
tagtrust_status tagtrust_config_set_clock(tagtrust_config *config,
                                          tagtrust_clock_callback now,
                                          void *data);

/// Pins a root key ID (64 hex digits) for a repository such as
/// "registry.example/team/app", or for all whose name starts with what stands
/// before a final `*`. Called again for the same name it adds one more.
///
/// The first pin of any kind ends trust on first use, unless
/// `tagtrust_config_set_trust_on_first_use` allows it for all other repositories.
tagtrust_status tagtrust_config_pin_certificate(tagtrust_config *config,
                                                const char *name,
                                                const char *key_id);

/// Pins the CA certificates in a PEM file for repositories whose name starts
/// with `prefix`: root certificates must chain to one of them. The file is read
/// now; it replaces an earlier one for the same prefix.
tagtrust_status tagtrust_config_pin_ca(tagtrust_config *config,
                                       const char *prefix,
                                       const char *pem_file,
                                       tagtrust_error **error);

/// Whether the first root that is seen of a repository without a pin is
/// trusted, and from then on its successors. Whoever answers first can choose
/// the keys. Default: as Docker, true as long as nothing is pinned.
tagtrust_status tagtrust_config_set_trust_on_first_use(tagtrust_config *config,
                                                       bool allowed);

/// Where a tag is looked for: a `tagtrust_lookup`. Default: `TAGTRUST_LOOKUP_DOCKER`.
tagtrust_status tagtrust_config_set_lookup(tagtrust_config *config, int lookup);

/// Requires the signature of a signer, such as "alice" for the delegation
/// `targets/alice`, for a repository or for all whose name starts with what
/// stands before a final `*`. Every requirement that matches must hold.
tagtrust_status tagtrust_config_require_signer(tagtrust_config *config,
                                               const char *repository,
                                               const char *signer);

/// Requires the signatures of at least `threshold` of `count` signers, from 1
/// up to all of them; otherwise as `tagtrust_config_require_signer`.
tagtrust_status tagtrust_config_require_threshold(tagtrust_config *config,
                                                  const char *repository,
                                                  const char *const *signers,
                                                  size_t count,
                                                  size_t threshold);

#if defined(TAGTRUST_SIGNING)
/// Begins changes of a repository (`registry/repository`).
tagtrust_status tagtrust_edit_new(const tagtrust_client *client,
                                  const char *repository,
                                  tagtrust_edit **edit,
                                  tagtrust_error **error);

/// Frees an edit. What was not published or staged is forgotten.
void tagtrust_edit_free(tagtrust_edit *edit);

/// Makes the repository: see `tagtrust_client_init`.
tagtrust_status tagtrust_edit_init(tagtrust_edit *edit,
                                   const char *root_key,
                                   const char *targets_key,
                                   bool local_snapshot);

/// Signs a tag.
///
/// `digest` and `size` are those of the manifest or index; if `digest` is NULL,
/// the registry is asked. `custom` is JSON to sign with it, or NULL. Without
/// roles (`count` zero) it is signed as Docker does: in every first-level
/// delegation that admits it and that we hold a key for, or in `targets` if
/// there is no delegation.
tagtrust_status tagtrust_edit_sign(tagtrust_edit *edit,
                                   const char *tag,
                                   const char *digest,
                                   uint64_t size,
                                   const char *custom,
                                   const char *const *roles,
                                   size_t count);

/// Removes the signatures of a tag from `count` roles, or without roles from
/// every first-level delegation and from `targets`, where we hold a key.
tagtrust_status tagtrust_edit_revoke(tagtrust_edit *edit,
                                     const char *tag,
                                     const char *const *roles,
                                     size_t count);

/// As `tagtrust_edit_revoke` for all tags.
tagtrust_status tagtrust_edit_revoke_all(tagtrust_edit *edit,
                                         const char *const *roles,
                                         size_t count);

/// Adds a signer as Docker does: its keys may sign for `targets/<name>` and
/// `targets/releases`, all tags. `public_keys` is the text of its PEM files.
tagtrust_status tagtrust_edit_add_signer(tagtrust_edit *edit,
                                         const char *name,
                                         const char *public_keys);

/// Removes a signer as Docker does. If nobody else's signature is left on the
/// tags of `targets/releases`, they are signed anew with a key at hand; without
/// one it needs `force`, and no tag counts until somebody signs.
tagtrust_status tagtrust_edit_remove_signer(tagtrust_edit *edit,
                                            const char *name,
                                            bool force);

/// Declares a delegation, such as "targets/team/qa", with the keys of a PEM text
/// and `count` paths: prefixes of the tags that it may sign, "" for all. One
/// that exists gets them added; `public_keys` may then be NULL.
tagtrust_status tagtrust_edit_add_delegation(tagtrust_edit *edit,
                                             const char *role,
                                             const char *public_keys,
                                             const char *const *paths,
                                             size_t count);

/// Ends a delegation and all below it.
tagtrust_status tagtrust_edit_remove_delegation(tagtrust_edit *edit, const char *role);

/// Takes keys and paths from a delegation.
tagtrust_status tagtrust_edit_remove_from_delegation(tagtrust_edit *edit,
                                                     const char *role,
                                                     const char *const *key_ids,
                                                     size_t key_id_count,
                                                     const char *const *paths,
                                                     size_t path_count);

/// Takes keys from all delegations.
tagtrust_status tagtrust_edit_purge_keys(tagtrust_edit *edit,
                                         const char *const *key_ids,
                                         size_t count);

/// Gives "root", "targets", "snapshot" or "timestamp" other keys: with
/// `server_managed` a new one on the server, else `count` that are at hand, or
/// without any a new one on this machine.
tagtrust_status tagtrust_edit_rotate_key(tagtrust_edit *edit,
                                         const char *role,
                                         bool server_managed,
                                         const char *const *key_ids,
                                         size_t count);

/// Sets how many keys of a role must sign.
tagtrust_status tagtrust_edit_set_threshold(tagtrust_edit *edit,
                                            const char *role,
                                            uint32_t threshold);

/// Signs the file of `targets` or of a delegation anew as it is.
tagtrust_status tagtrust_edit_witness(tagtrust_edit *edit, const char *role);

/// Signs anew whatever expires within this time and whose keys are at hand.
tagtrust_status tagtrust_edit_renew(tagtrust_edit *edit, uint64_t within_seconds);

/// Adds the changes that were staged before, here or by `notary`. Publishing
/// ends them.
tagtrust_status tagtrust_edit_staged(tagtrust_edit *edit);

/// Signs what changes and uploads it. If others publish at the same time, the
/// changes are made anew on top of theirs. After an error nothing is published,
/// except perhaps after `TAGTRUST_UNREACHABLE`: its message says if the upload may
/// have been stored. It can be tried again.
tagtrust_status tagtrust_edit_publish(const tagtrust_edit *edit,
                                      tagtrust_publication **publication,
                                      tagtrust_error **error);

/// What would change. Needs no private key, makes none and publishes nothing. What
/// it fetches is cached, with trust on first use, as by `tagtrust_client_verify`.
tagtrust_status tagtrust_edit_dry_run(const tagtrust_edit *edit,
                                      tagtrust_publication **publication,
                                      tagtrust_error **error);

/// Stages the changes in Notary's changelist instead of publishing them:
/// `tagtrust_client_publish` or `notary publish` does that later. Rotations and
/// thresholds cannot be staged, nor can what makes a repository.
tagtrust_status tagtrust_edit_stage(const tagtrust_edit *edit,
                                    tagtrust_publication **publication,
                                    tagtrust_error **error);

/// Signs what changes with the keys at hand, for others to add theirs with
/// `tagtrust_client_cosign`. The proposal is a small JSON file without secrets.
tagtrust_status tagtrust_edit_sign_partial(const tagtrust_edit *edit,
                                           tagtrust_text **proposal,
                                           tagtrust_error **error);
#endif

/// The class of the error; `TAGTRUST_INVALID_ARGUMENT` where there is none.
tagtrust_status tagtrust_error_status(const tagtrust_error *error);

/// The name of the class, such as "TagNotSigned". Never freed.
const char *tagtrust_error_name(const tagtrust_error *error);

/// What happened and where: role, key IDs, what was expected and found. One
/// line of English for people, not for programs.
const char *tagtrust_error_message(const tagtrust_error *error);

/// True if the answer is "not trusted"; false if there is no answer.
bool tagtrust_error_is_refusal(const tagtrust_error *error);

/// Frees an error.
void tagtrust_error_free(tagtrust_error *error);

/// Registry and repository, such as "docker.io/library/alpine".
const char *tagtrust_image_repository(const tagtrust_image *image);

/// The tag. For a reference by digest alone the first that has it.
const char *tagtrust_image_tag(const tagtrust_image *image);

/// How many tags there are: one, or for a reference by digest alone all that
/// count and have it.
size_t tagtrust_image_tag_count(const tagtrust_image *image);

/// One of these tags, in ascending order; NULL from `tagtrust_image_tag_count` on.
const char *tagtrust_image_tag_at(const tagtrust_image *image, size_t index);

/// Digest of the manifest or index: "sha256:" and 64 hex digits.
const char *tagtrust_image_digest(const tagtrust_image *image);

/// Size of the manifest or index in bytes.
uint64_t tagtrust_image_size(const tagtrust_image *image);

/// `repository@digest`: what a runtime then pulls.
const char *tagtrust_image_pinned_reference(const tagtrust_image *image);

/// The role that publishes the tag, such as "targets/releases" or "targets".
const char *tagtrust_image_role(const tagtrust_image *image);

/// How many signers signed this digest for this tag; zero if only the
/// repository's owner did.
size_t tagtrust_image_signer_count(const tagtrust_image *image);

/// The name of a signer, in ascending order; NULL from
/// `tagtrust_image_signer_count` on.
const char *tagtrust_image_signer(const tagtrust_image *image, size_t index);

/// Until when this answer holds, in seconds since 1970 in UTC.
int64_t tagtrust_image_expires(const tagtrust_image *image);

/// False if the server could not be asked and the cached timestamp served.
bool tagtrust_image_fresh(const tagtrust_image *image);

/// Frees an image.
void tagtrust_image_free(tagtrust_image *image);

#if defined(TAGTRUST_HTTP)
/// The object that `docker trust inspect` prints, indented by four spaces.
const char *tagtrust_inspection_json(const tagtrust_inspection *inspection);

/// What `docker trust inspect --pretty` prints.
const char *tagtrust_inspection_pretty(const tagtrust_inspection *inspection);

/// The chain of trust as a tree: each role below the one that says which keys
/// may sign for it. Keys that may sign and have not stand in parentheses.
///
/// Keys that would go beyond `width` characters stand on lines of their own; 0
/// sets no limit.
const char *tagtrust_inspection_tree(const tagtrust_inspection *inspection, size_t width);

/// The chain of trust as a picture: a self-contained SVG file with a card for
/// each role, readable on light and on dark pages. Nothing in it runs or is
/// loaded from elsewhere.
const char *tagtrust_inspection_svg(const tagtrust_inspection *inspection);

/// Frees an inspection.
void tagtrust_inspection_free(tagtrust_inspection *inspection);
#endif

#if defined(TAGTRUST_SIGNING)
/// All private keys: root keys first, then by repository, role and ID. JSON: an
/// array of objects with `id`, `role`, `gun` (the repository, or null) and
/// `location`, which is the file, or "signer" for one of
/// `tagtrust_config_add_signer`.
tagtrust_status tagtrust_client_keys(const tagtrust_client *client,
                                     tagtrust_text **json,
                                     tagtrust_error **error);

/// Makes a signer's key as `docker trust key generate` does: the private half
/// goes to the trust directory, the public one to `<name>.pub` in `directory`.
/// JSON: an object with `id` and `public_key_file`.
tagtrust_status tagtrust_client_generate_key(const tagtrust_client *client,
                                             const char *name,
                                             const char *directory,
                                             tagtrust_text **json,
                                             tagtrust_error **error);

/// As `tagtrust_client_generate_key`, with an Ed25519 key: every Notary client
/// verifies and signs with such a key, but `docker trust signer add` does not
/// read its public file.
tagtrust_status tagtrust_client_generate_ed25519_key(const tagtrust_client *client,
                                                     const char *name,
                                                     const char *directory,
                                                     tagtrust_text **json,
                                                     tagtrust_error **error);

/// Loads the private keys in a file into the trust directory, as `docker trust
/// key load` does. `name`, which may be NULL, becomes the role of keys whose file
/// has none. JSON: the loaded keys, as of `tagtrust_client_keys`.
tagtrust_status tagtrust_client_load_key(const tagtrust_client *client,
                                         const char *file,
                                         const char *name,
                                         tagtrust_text **json,
                                         tagtrust_error **error);

/// Imports private keys from the text of a PEM file, such as
/// `tagtrust_client_export_keys` and `notary key export` write. `role` and `gun`,
/// which may be NULL, are for keys whose headers do not say. JSON: the imported
/// keys, as of `tagtrust_client_keys`.
tagtrust_status tagtrust_client_import_keys(const tagtrust_client *client,
                                            const char *pem,
                                            const char *role,
                                            const char *gun,
                                            tagtrust_text **json,
                                            tagtrust_error **error);

/// The private keys with `count` IDs, or those for one repository (`gun`), or
/// with neither of them all: PEM, byte for byte what `notary key export` writes.
/// Each stays encrypted as it is on disk.
tagtrust_status tagtrust_client_export_keys(const tagtrust_client *client,
                                            const char *gun,
                                            const char *const *key_ids,
                                            size_t count,
                                            tagtrust_text **pem,
                                            tagtrust_error **error);

/// Encrypts a key with another passphrase; if it is NULL, the client's callback
/// or environment variable is asked for the new one too.
tagtrust_status tagtrust_client_change_passphrase(const tagtrust_client *client,
                                                  const char *key_id,
                                                  const char *passphrase,
                                                  tagtrust_error **error);

/// Removes a private key. Without a copy it is gone for good.
tagtrust_status tagtrust_client_remove_key(const tagtrust_client *client,
                                           const char *key_id,
                                           tagtrust_error **error);
#endif

/// Says where messages of the library go, for the whole process: those up to
/// `max_level`, from 1 (errors) to 5. Without it, or with NULL for `callback`
/// (whatever the other two are), nowhere.
///
/// It may be called again at any time, but not from a callback. When it returns,
/// the callback of before is not running any more and will not be called again.
tagtrust_status tagtrust_set_log(tagtrust_log_callback callback,
                                 void *data,
                                 int max_level,
                                 tagtrust_error **error);

#if defined(TAGTRUST_SIGNING)
/// Registry and repository, such as "docker.io/library/alpine".
const char *tagtrust_publication_repository(const tagtrust_publication *publication);

/// True if something was uploaded: not by a dry run, not by staging, and not if
/// everything was as it should be already.
bool tagtrust_publication_published(const tagtrust_publication *publication);

/// How often it was tried: more than once if others published at the same time.
uint32_t tagtrust_publication_attempts(const tagtrust_publication *publication);

/// How many changes there are; zero if everything was as it should be already.
size_t tagtrust_publication_change_count(const tagtrust_publication *publication);

/// A change in words, for people. NULL from `tagtrust_publication_change_count` on.
const char *tagtrust_publication_change(const tagtrust_publication *publication,
                                        size_t index);

/// How many files were signed, or would be.
size_t tagtrust_publication_file_count(const tagtrust_publication *publication);

/// The role of a file, such as "targets/releases". NULL from
/// `tagtrust_publication_file_count` on.
const char *tagtrust_publication_file_role(const tagtrust_publication *publication,
                                           size_t index);

/// The version of a file; 0 from `tagtrust_publication_file_count` on.
int64_t tagtrust_publication_file_version(const tagtrust_publication *publication,
                                          size_t index);

/// When a file expires, in seconds since 1970 in UTC; 0 from
/// `tagtrust_publication_file_count` on.
int64_t tagtrust_publication_file_expires(const tagtrust_publication *publication,
                                          size_t index);

/// How many warnings there are.
size_t tagtrust_publication_warning_count(const tagtrust_publication *publication);

/// What a publisher should know besides, for people. NULL from
/// `tagtrust_publication_warning_count` on.
const char *tagtrust_publication_warning(const tagtrust_publication *publication,
                                         size_t index);

/// All of it as a JSON object, with the IDs of the keys that signed each file,
/// and with the action, type, role and path of each change.
const char *tagtrust_publication_json(const tagtrust_publication *publication);

/// Frees a publication.
void tagtrust_publication_free(tagtrust_publication *publication);

/// Makes a repository: a root key is made or reused, the timestamp key is the
/// server's, and the first root and targets are published.
///
/// `root_key` and `targets_key` are IDs of keys at hand. NULL: as Docker, the
/// root key on disk with the lowest ID, else a new one; and a new targets key.
/// With `local_snapshot` the snapshot key is made here, otherwise the server has
/// it. With `unpublished` the files are only written to the trust directory, and
/// publishing the first change uploads them.
tagtrust_status tagtrust_client_init(const tagtrust_client *client,
                                     const char *repository,
                                     const char *root_key,
                                     const char *targets_key,
                                     bool local_snapshot,
                                     bool unpublished,
                                     tagtrust_publication **publication,
                                     tagtrust_error **error);

/// Removes a repository's cached metadata and staged changes, and with `remote`
/// first everything that the server has of it. Keys stay.
tagtrust_status tagtrust_client_delete(const tagtrust_client *client,
                                       const char *repository,
                                       bool remote,
                                       tagtrust_error **error);

/// Signs `registry/repository:tag` as Docker does, and makes the repository if
/// it does not exist.
///
/// `digest` and `size` are those of the manifest or index; if `digest` is NULL,
/// the registry is asked. With a digest in the reference it must be that. More
/// can be signed with `tagtrust_edit_sign`.
tagtrust_status tagtrust_client_sign(const tagtrust_client *client,
                                     const char *reference,
                                     const char *digest,
                                     uint64_t size,
                                     tagtrust_publication **publication,
                                     tagtrust_error **error);

/// Signs `count` tags: one refresh and one upload for each repository.
///
/// `digests`, or some of them, may be NULL: these the registry is asked for.
/// `publications` and `errors` (which may be NULL) are arrays of `count`
/// pointers. For each repository, in the order of their first tags, one of the
/// two is set at the same place; all other places are NULL. If nothing could be
/// begun, as for a reference that cannot be read, all errors are set.
/// `TAGTRUST_OK` only if all are signed, else the status of the first error.
tagtrust_status tagtrust_client_sign_many(const tagtrust_client *client,
                                          const char *const *references,
                                          const char *const *digests,
                                          const uint64_t *sizes,
                                          size_t count,
                                          tagtrust_publication **publications,
                                          tagtrust_error **errors);

/// Removes the signatures of a tag, or of all tags if the reference has none:
/// see `tagtrust_edit_revoke`.
tagtrust_status tagtrust_client_revoke(const tagtrust_client *client,
                                       const char *reference,
                                       tagtrust_publication **publication,
                                       tagtrust_error **error);

/// Adds a signer, and makes the repository if it does not exist: see
/// `tagtrust_edit_add_signer`.
tagtrust_status tagtrust_client_add_signer(const tagtrust_client *client,
                                           const char *name,
                                           const char *public_keys,
                                           const char *repository,
                                           tagtrust_publication **publication,
                                           tagtrust_error **error);

/// Removes a signer: see `tagtrust_edit_remove_signer`.
tagtrust_status tagtrust_client_remove_signer(const tagtrust_client *client,
                                              const char *name,
                                              const char *repository,
                                              bool force,
                                              tagtrust_publication **publication,
                                              tagtrust_error **error);

/// Gives a role other keys: see `tagtrust_edit_rotate_key`.
tagtrust_status tagtrust_client_rotate_key(const tagtrust_client *client,
                                           const char *repository,
                                           const char *role,
                                           bool server_managed,
                                           const char *const *key_ids,
                                           size_t count,
                                           tagtrust_publication **publication,
                                           tagtrust_error **error);

/// Publishes what is staged, and a repository that was made and not published.
tagtrust_status tagtrust_client_publish(const tagtrust_client *client,
                                        const char *repository,
                                        tagtrust_publication **publication,
                                        tagtrust_error **error);

/// The staged changes, in the order in which they apply. JSON: an array of
/// objects with `action`, `type`, `role`, `path` and `description`.
tagtrust_status tagtrust_client_staged(const tagtrust_client *client,
                                       const char *repository,
                                       tagtrust_text **json,
                                       tagtrust_error **error);

/// Removes `count` staged changes by their numbers, from 0, in the order of
/// `tagtrust_client_staged`. After an error all stay.
tagtrust_status tagtrust_client_unstage(const tagtrust_client *client,
                                        const char *repository,
                                        const uint64_t *numbers,
                                        size_t count,
                                        tagtrust_error **error);

/// Removes all staged changes.
tagtrust_status tagtrust_client_unstage_all(const tagtrust_client *client,
                                            const char *repository,
                                            tagtrust_error **error);

/// All delegations. JSON: an array of objects with `name`, `paths`, `key_ids`
/// and `threshold`.
tagtrust_status tagtrust_client_delegations(const tagtrust_client *client,
                                            const char *repository,
                                            tagtrust_text **json,
                                            tagtrust_error **error);

/// The files that expire within this time or have expired, the first one first.
/// JSON: an array of objects with `role`, `version`, `expires` (RFC 3339 in UTC)
/// and `can_sign`, whether a key for it is at hand.
tagtrust_status tagtrust_client_expiring(const tagtrust_client *client,
                                         const char *repository,
                                         uint64_t within_seconds,
                                         tagtrust_text **json,
                                         tagtrust_error **error);

/// Signs anew what expires within this time and whose keys are at hand. For what
/// has expired already there is `tagtrust_client_recover`.
tagtrust_status tagtrust_client_renew(const tagtrust_client *client,
                                      const char *repository,
                                      uint64_t within_seconds,
                                      tagtrust_publication **publication,
                                      tagtrust_error **error);

/// Signs anew whatever has expired or expires within this time, so that a
/// repository can be used again that nobody can verify any more. What is signed
/// is what the server has now, checked in everything but its age: look at what
/// it would be with `dry_run` first.
tagtrust_status tagtrust_client_recover(const tagtrust_client *client,
                                        const char *repository,
                                        uint64_t within_seconds,
                                        bool dry_run,
                                        tagtrust_publication **publication,
                                        tagtrust_error **error);

/// What a proposal is about: look at it before you sign. JSON: an object with
/// `repository`, `changes` (as of `tagtrust_client_staged`) and `signers`, for
/// each role the IDs of the keys that have signed.
tagtrust_status tagtrust_proposal_summary(const char *proposal,
                                          tagtrust_text **json,
                                          tagtrust_error **error);

/// Adds our signatures to a proposal of `tagtrust_edit_sign_partial` or of this
/// function.
tagtrust_status tagtrust_client_cosign(const tagtrust_client *client,
                                       const char *proposal,
                                       tagtrust_text **signed_proposal,
                                       tagtrust_error **error);

/// Puts the signatures of `count` copies of one proposal together, adds ours,
/// and publishes it.
tagtrust_status tagtrust_client_publish_proposals(const tagtrust_client *client,
                                                  const char *const *proposals,
                                                  size_t count,
                                                  tagtrust_publication **publication,
                                                  tagtrust_error **error);

/// Where the passphrases of private keys come from. Default:
/// `$DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE` for root keys,
/// `$DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE` for all others.
tagtrust_status tagtrust_config_set_passphrase(tagtrust_config *config,
                                               tagtrust_passphrase_callback passphrase,
                                               void *data);

/// Adds a private key that is elsewhere, such as in an HSM, and signs through a
/// callback. It comes before a key with the same ID on disk.
///
/// `public_key` is the text of a PEM file with one `PUBLIC KEY`, ECDSA or RSA.
tagtrust_status tagtrust_config_add_signer(tagtrust_config *config,
                                           const char *public_key,
                                           tagtrust_sign_callback sign,
                                           void *data,
                                           tagtrust_error **error);

/// How long new files of a role last, in seconds: of "root", "targets",
/// "snapshot", one delegation, or with "delegations" all others of these.
/// Default: 3650 days for the root, 1095 for others, as in Notary.
tagtrust_status tagtrust_config_set_expiry(tagtrust_config *config,
                                           const char *role,
                                           uint64_t seconds);

/// Makes the snapshot keys of new repositories here, as `notary` does. Default:
/// the server has them, as in Docker.
tagtrust_status tagtrust_config_set_local_snapshot(tagtrust_config *config, bool local);
#endif

#if defined(TAGTRUST_SERVER)
/// Starts a server, which answers when this returns. The configuration stays the
/// caller's, and later changes to it do not matter to the server.
///
/// `TAGTRUST_INVALID_CONFIGURATION` also if the address is taken;
/// `TAGTRUST_STORE_ERROR` if the storage cannot be used.
tagtrust_status tagtrust_server_start(const tagtrust_server_config *config,
                                      tagtrust_server **server,
                                      tagtrust_error **error);

/// Where it answers, such as "http://127.0.0.1:34567": for
/// `tagtrust_config_set_server`. It stays when the server is stopped.
const char *tagtrust_server_url(const tagtrust_server *server);

/// The certificate that it made for itself, PEM: written to a file, it is what
/// `tagtrust_config_set_ca_file` takes. NULL if it made none.
const char *tagtrust_server_certificate_pem(const tagtrust_server *server);

/// Reads TLS files and users again, and opens the access log anew. If a file
/// cannot be used, what was read before still holds.
tagtrust_status tagtrust_server_reload(const tagtrust_server *server,
                                       tagtrust_error **error);

/// Lets requests that have begun end, for a few seconds at most, and stops. Does
/// nothing if it was stopped already, is none, or in a callback.
void tagtrust_server_stop(const tagtrust_server *server);

/// Stops a server if it is running, and frees it. A callback in one of its own
/// threads does not wait for its end.
void tagtrust_server_free(tagtrust_server *server);

/// A configuration of a server in memory, on a free port of 127.0.0.1, over
/// plain HTTP, which everybody may use.
tagtrust_server_config *tagtrust_server_config_new(void);

/// Reads a configuration file of notary-server, with its environment variables
/// `NOTARY_SERVER_...`.
tagtrust_status tagtrust_server_config_from_file(const char *path,
                                                 tagtrust_server_config **config,
                                                 tagtrust_error **error);

/// Frees a configuration of a server.
void tagtrust_server_config_free(tagtrust_server_config *config);

/// Where to listen, such as "127.0.0.1:4443", or ":4443" for all addresses of the
/// machine. Port 0 takes a free one. Default: "127.0.0.1:0".
tagtrust_status tagtrust_server_config_set_listen(tagtrust_server_config *config,
                                                  const char *address);

/// Where repositories and keys are kept: "memory", "sqlite:FILE", which is made if
/// it is not there, or "postgres://USER:PASSWORD@HOST/DATABASE", which any number
/// of servers share. Default: "memory".
tagtrust_status tagtrust_server_config_set_storage(tagtrust_server_config *config,
                                                   const char *storage);

/// TLS with a certificate that the server makes for itself, new with each start:
/// `tagtrust_server_certificate_pem` has it. Default: plain HTTP.
tagtrust_status tagtrust_server_config_set_tls_self_signed(tagtrust_server_config *config);

/// TLS with PEM files, read again by `tagtrust_server_reload`. `client_ca` may be
/// NULL; else clients need a certificate under one of those in there.
tagtrust_status tagtrust_server_config_set_tls(tagtrust_server_config *config,
                                               const char *certificate,
                                               const char *key,
                                               const char *client_ca);

/// Adds a passphrase that protects the server's own keys where they are kept.
/// The first one is for new keys; others are for those that are under them. Each
/// has a name, such as "default". Default: the server makes one, in memory, or for
/// SQLite in "FILE.passphrase". PostgreSQL needs one.
tagtrust_status tagtrust_server_config_add_passphrase(tagtrust_server_config *config,
                                                      const char *name,
                                                      const char *passphrase);

/// Docker's token scheme: the URL of the token server, the name of this service,
/// who issues the tokens, and a PEM file with the certificates under which they
/// are signed. Default: everybody may do everything.
tagtrust_status tagtrust_server_config_set_token_auth(tagtrust_server_config *config,
                                                      const char *realm,
                                                      const char *service,
                                                      const char *issuer,
                                                      const char *root_certificates);

/// Users and their passwords, as `htpasswd -B` writes them; all of them may do
/// everything. With `anonymous_pull` anyone may read.
tagtrust_status tagtrust_server_config_set_password_file(tagtrust_server_config *config,
                                                         const char *path,
                                                         bool anonymous_pull);

/// Adds a prefix of the repositories that are served, which ends in "/". Default: all.
tagtrust_status tagtrust_server_config_add_gun_prefix(tagtrust_server_config *config,
                                                      const char *prefix);

/// Stores nothing, only serves. Default: false.
tagtrust_status tagtrust_server_config_set_read_only(tagtrust_server_config *config,
                                                     bool read_only);

/// How many versions of each role to keep besides those in use. Default: all.
tagtrust_status tagtrust_server_config_set_keep_versions(tagtrust_server_config *config,
                                                         size_t count);

/// How long snapshots and timestamps that the server signs are valid, in seconds.
/// Default: 1095 and 14 days, as in Notary.
tagtrust_status tagtrust_server_config_set_lifetimes(tagtrust_server_config *config,
                                                     uint64_t snapshot,
                                                     uint64_t timestamp);

/// Whether the page "/ui/" is there. Default: true.
tagtrust_status tagtrust_server_config_set_ui(tagtrust_server_config *config, bool ui);

/// A file to which a line of JSON is appended for each request. Default: none.
tagtrust_status tagtrust_server_config_set_access_log(tagtrust_server_config *config,
                                                      const char *path);
#endif

/// The name of a status, such as "TagNotSigned"; NULL for an unknown number.
/// Never freed.
const char *tagtrust_status_name(int status);

#if defined(TAGTRUST_SIGNING)
/// The text, with a NUL after it.
const char *tagtrust_text_data(const tagtrust_text *text);

/// Its length in bytes, without the NUL.
size_t tagtrust_text_length(const tagtrust_text *text);

/// Wipes and frees a text.
void tagtrust_text_free(tagtrust_text *text);
#endif

/// Starts from the file of a root.
///
/// Of the configuration, which may be NULL, the pins, the policy and the clock
/// count. `known_roots` begins with the root that was trusted before. If its keys
/// did not sign `root` too (TAGTRUST_ROOT_NOT_TRUSTED), all versions between the
/// two follow, oldest first: each must be signed by its own keys and those of the
/// one before, and all but `root` may have expired. None may be NULL. With a count
/// of zero, where both arrays may be NULL, the pins alone decide.
tagtrust_status tagtrust_trusted_set_new(const tagtrust_config *config,
                                         const char *repository,
                                         const uint8_t *const *known_roots,
                                         const size_t *known_root_lengths,
                                         size_t known_root_count,
                                         const uint8_t *root,
                                         size_t root_length,
                                         tagtrust_trusted_set **set,
                                         tagtrust_error **error);

/// Adds the timestamp, which comes first. If it is refused the set stays as it was.
tagtrust_status tagtrust_trusted_set_add_timestamp(tagtrust_trusted_set *set,
                                                   const uint8_t *file,
                                                   size_t length,
                                                   tagtrust_error **error);

/// Adds the snapshot, which comes second, as `tagtrust_trusted_set_add_timestamp`.
/// A snapshot that names another root is refused: start anew with that root.
tagtrust_status tagtrust_trusted_set_add_snapshot(tagtrust_trusted_set *set,
                                                  const uint8_t *file,
                                                  size_t length,
                                                  tagtrust_error **error);

/// The role whose file comes next: "timestamp", "snapshot", "targets", then
/// delegations such as "targets/releases". NULL if the files are all there.
const char *tagtrust_trusted_set_next_role(const tagtrust_trusted_set *set);

/// Adds the file of the role that `tagtrust_trusted_set_next_role` names. If it
/// is refused the set stays as it was. A delegation that expired or is short of
/// signatures is no error: it does not count.
tagtrust_status tagtrust_trusted_set_add_role(tagtrust_trusted_set *set,
                                              const uint8_t *file,
                                              size_t length,
                                              tagtrust_error **error);

/// The digest that the publisher signed for a tag, or for a whole reference to
/// an image in this repository, as `tagtrust_client_verify` reads it. What has
/// none of "/", ":" and "@" is a tag.
///
/// All files must be there, and none may have expired since it was added. The
/// image is not fresh: nobody was asked.
tagtrust_status tagtrust_trusted_set_verify(const tagtrust_trusted_set *set,
                                            const char *reference_or_tag,
                                            tagtrust_image **image,
                                            tagtrust_error **error);

/// Frees a trusted set. Its images stay.
void tagtrust_trusted_set_free(tagtrust_trusted_set *set);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TAGTRUST_H */
