/*
 * tagtrust: which digest did a publisher sign for registry/repository:tag?
 * Docker Content Trust (Notary v1), verified in your process.
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
 * Strings. In: NUL-terminated UTF-8 that nobody changes during the call; the
 * library keeps copies. Out: NUL-terminated UTF-8 that belongs to its object
 * and lives as long; do not free or change it.
 *
 * Wrong arguments. NULL where there must be something, and strings that are not
 * UTF-8, are answered with TAGTRUST_INVALID_ARGUMENT. Functions that read an
 * object answer NULL with NULL, 0 or false. Other pointers must be valid.
 *
 * Settings. Whether a name, URL or file can be used is looked at when the client
 * is made: tagtrust_client_new answers TAGTRUST_INVALID_CONFIGURATION. Only
 * tagtrust_config_pin_ca reads its file at once.
 *
 * Threads. A client may be used by any number of threads at once. Images,
 * inspections and errors may be read by several at once. A configuration
 * belongs to one thread at a time. Nothing may be used once it is freed. A
 * child after fork must not use what its parent made.
 *
 * Panics. A defect of the library ends as TAGTRUST_INTERNAL, with a report on
 * stderr: no panic or exception leaves it, and the client stays usable. Nor may
 * one enter: a callback must return.
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

/// How a call ended.
///
/// 1 to 9 are mistakes of the caller, 10 to 29 refusals (the image is not
/// trusted), 30 to 39 mean that it could not be decided, 99 is a defect of the
/// library. Whatever is not `TAGTRUST_OK` means: do not use the image. Numbers
/// are never reused, and new ones may come.
typedef enum {
    /// Done; for a verification: trusted.
    TAGTRUST_OK = 0,
    /// The image reference cannot be read.
    TAGTRUST_INVALID_REFERENCE = 1,
    /// A setting cannot be used.
    TAGTRUST_INVALID_CONFIGURATION = 2,
    /// An argument is NULL that may not be, or not UTF-8.
    TAGTRUST_INVALID_ARGUMENT = 3,
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

/// Verifies images. It keeps connections and what it has verified, so make one
/// and use it from all threads, at once if you like. Freed with
/// `tagtrust_client_free`, once no other thread uses it.
typedef struct tagtrust_client tagtrust_client;

/// Settings of a client; what is not set is as Docker has it. Freed with
/// `tagtrust_config_free`; one thread at a time may use it.
typedef struct tagtrust_config tagtrust_config;

/// Why a call failed. Freed with `tagtrust_error_free`; several threads may
/// read it at once.
typedef struct tagtrust_error tagtrust_error;

/// An image that its publisher signed. Freed with `tagtrust_image_free`;
/// several threads may read it at once.
typedef struct tagtrust_image tagtrust_image;

/// The signed tags, signers and keys of a repository. Freed with
/// `tagtrust_inspection_free`; several threads may read it at once.
typedef struct tagtrust_inspection tagtrust_inspection;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// The version of the library that is loaded, such as "0.1.0"; never freed.
///
/// `TAGTRUST_VERSION` is the version of the header.
const char *tagtrust_version(void);

/// Makes a client. The configuration stays the caller's, and later changes to
/// it do not matter to the client. Nothing is fetched yet.
tagtrust_status tagtrust_client_new(const tagtrust_config *config,
                                    tagtrust_client **client,
                                    tagtrust_error **error);

/// Frees a client. Images and inspections that it gave stay.
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

/// A configuration with Docker's defaults.
tagtrust_config *tagtrust_config_new(void);

/// Frees a configuration.
void tagtrust_config_free(tagtrust_config *config);

/// Directory with the cached metadata. Default: `trust` in Docker's directory.
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

/// How long the answer about one repository may take in all, from the first
/// request to the last. Default: 60 seconds.
tagtrust_status tagtrust_config_set_timeout_ms(tagtrust_config *config,
                                               uint64_t milliseconds);

/// How long an answer of the server is taken for the current one, so that no
/// request is made. Default: zero, ask every time.
tagtrust_status tagtrust_config_set_offline_max_age_ms(tagtrust_config *config,
                                                       uint64_t milliseconds);

/// Refuse to answer if the server cannot be asked. Default: the cached
/// timestamp serves until it expires, and `tagtrust_image_fresh` is false.
tagtrust_status tagtrust_config_set_require_fresh(tagtrust_config *config, bool required);

/// How many repositories `tagtrust_client_verify_many` asks for at a time, at
/// least one. Default: 8.
tagtrust_status tagtrust_config_set_parallelism(tagtrust_config *config, size_t threads);

/// Allows `http://` to other machines. Whoever is on the way reads the
/// credentials and can hold back new trust data.
tagtrust_status tagtrust_config_set_danger_plain_http(tagtrust_config *config,
                                                      bool allowed);

/// Where the time comes from: `now(data)` gives seconds since 1970 in UTC.
/// Default: the system's clock.
///
/// It is called from every thread that uses a client made with this, from
/// several at once, as long as there is such a client. It must not unwind.
tagtrust_status tagtrust_config_set_clock(tagtrust_config *config,
                                          int64_t (*now)(void *data),
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

/// The class of the error; `TAGTRUST_INVALID_ARGUMENT` for NULL.
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

/// The object that `docker trust inspect` prints, indented by four spaces.
const char *tagtrust_inspection_json(const tagtrust_inspection *inspection);

/// What `docker trust inspect --pretty` prints.
const char *tagtrust_inspection_pretty(const tagtrust_inspection *inspection);

/// Frees an inspection.
void tagtrust_inspection_free(tagtrust_inspection *inspection);

/// The name of a status, such as "TagNotSigned"; NULL for an unknown number.
/// Never freed.
const char *tagtrust_status_name(int status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TAGTRUST_H */
