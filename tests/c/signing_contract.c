/* The contract at the top of tagtrust.h for signing, without a trust server.
 *
 *     signing_contract TRUST_DIR PUBLIC_KEY      (a new directory; a PEM file)
 */
#include "check.h"

#define WRONG TAGTRUST_INVALID_ARGUMENT
#define PUBLISHES(expected, function, ...) FAILS(tagtrust_publication, expected, function, __VA_ARGS__)
#define LISTS(expected, function, ...) FAILS(tagtrust_text, expected, function, __VA_ARGS__)

/* Nothing listens there. */
static const char *const repository = "127.0.0.1:1/a", *const tagged = "127.0.0.1:1/a:1";
static const char *const digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
static const char *const names[] = {"targets/alice", "targets/bob"};
static const char *const with_null[] = {"targets/alice", NULL};
static const char *const with_noise[] = {"targets/alice", NOT_UTF8};
static char public_key[4096];

static ptrdiff_t no_passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                               char *buffer, size_t capacity) {
    CHECK(strlen(key_id) == 64 && strlen(role) > 0 && create && attempt == 0 && capacity >= 256);
    ++*(int *)data;
    strcpy(buffer, "not counted");
    return -1;
}

/* Answers with more than there is room for. */
static ptrdiff_t too_long(void *data, const char *key_id, const char *role, bool create, uint32_t attempt, char *buffer,
                          size_t capacity) {
    no_passphrase(data, key_id, role, create, attempt, buffer, capacity);
    return (ptrdiff_t)capacity + 1;
}

static ptrdiff_t no_signature(void *data, const uint8_t *message, size_t length, uint8_t *signature, size_t capacity) {
    (void)data, (void)message, (void)length, (void)signature, (void)capacity;
    return -1;
}

static void null_objects(void) {
    CHECK(tagtrust_publication_repository(NULL) == NULL);
    CHECK(!tagtrust_publication_published(NULL));
    CHECK(tagtrust_publication_attempts(NULL) == 0);
    CHECK(tagtrust_publication_change_count(NULL) == 0);
    CHECK(tagtrust_publication_change(NULL, 0) == NULL);
    CHECK(tagtrust_publication_file_count(NULL) == 0);
    CHECK(tagtrust_publication_file_role(NULL, 0) == NULL);
    CHECK(tagtrust_publication_file_version(NULL, 0) == 0);
    CHECK(tagtrust_publication_file_expires(NULL, 0) == 0);
    CHECK(tagtrust_publication_warning_count(NULL) == 0);
    CHECK(tagtrust_publication_warning(NULL, 0) == NULL);
    CHECK(tagtrust_publication_json(NULL) == NULL);
    CHECK(tagtrust_text_data(NULL) == NULL);
    CHECK(tagtrust_text_length(NULL) == 0);
    for (int twice = 0; twice < 2; twice++) {
        tagtrust_publication_free(NULL);
        tagtrust_text_free(NULL);
        tagtrust_edit_free(NULL);
    }
}

/* Each refusal must keep a client from being made. */
static void refused_settings(void) {
#define REFUSED(expected, setter, ...)                                                                                 \
    do {                                                                                                               \
        tagtrust_config *config = tagtrust_config_new();                                                               \
        tagtrust_client *client = GARBAGE(tagtrust_client);                                                            \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        CHECK(setter(config, __VA_ARGS__) == (expected));                                                              \
        CHECK(tagtrust_client_new(config, &client, &error) == (expected) && client == NULL);                           \
        CHECK(strncmp(tagtrust_error_message(error), #setter ": ", strlen(#setter ": ")) == 0);                        \
        check_error(error, (expected));                                                                                \
        tagtrust_config_free(config);                                                                                  \
    } while (0)
    REFUSED(WRONG, tagtrust_config_set_passphrase, NULL, NULL);
    REFUSED(WRONG, tagtrust_config_set_expiry, NULL, 1);
    REFUSED(WRONG, tagtrust_config_add_signer, public_key, NULL, NULL, NULL);
    REFUSED(TAGTRUST_INVALID_INPUT, tagtrust_config_add_signer, "not PEM", no_signature, NULL, NULL);
}

static void settings(void) {
    int calls = 0;
    tagtrust_config *config = tagtrust_config_new();
    char two_keys[2 * sizeof public_key];
    snprintf(two_keys, sizeof two_keys, "%s%s", public_key, public_key);
    CHECK(tagtrust_config_set_passphrase(NULL, no_passphrase, &calls) == WRONG);
    CHECK(tagtrust_config_set_passphrase(config, NULL, &calls) == WRONG);
    CHECK(tagtrust_config_set_expiry(NULL, "root", 1) == WRONG);
    CHECK(tagtrust_config_set_expiry(config, NULL, 1) == WRONG);
    CHECK(tagtrust_config_set_expiry(config, NOT_UTF8, 1) == WRONG);
    CHECK(tagtrust_config_set_local_snapshot(NULL, true) == WRONG);
    REFUSES(WRONG, tagtrust_config_add_signer, NULL, public_key, no_signature, NULL);
    REFUSES(WRONG, tagtrust_config_add_signer, config, NULL, no_signature, NULL);
    REFUSES(WRONG, tagtrust_config_add_signer, config, NOT_UTF8, no_signature, NULL);
    REFUSES(WRONG, tagtrust_config_add_signer, config, public_key, NULL, NULL);
    REFUSES(TAGTRUST_INVALID_INPUT, tagtrust_config_add_signer, config, "not PEM", no_signature, NULL);
    REFUSES(TAGTRUST_INVALID_INPUT, tagtrust_config_add_signer, config, two_keys, no_signature, NULL);
    tagtrust_config_free(config);
}

/* Every call that takes a client, without one and then with `wrong` in each place. */
static void wrong_string(const tagtrust_client *client, const char *wrong) {
    const char *wrongs[] = {wrong};
    PUBLISHES(WRONG, tagtrust_client_init, client, wrong, NULL, NULL, false, false);
    REFUSES(WRONG, tagtrust_client_delete, client, wrong, false);
    PUBLISHES(WRONG, tagtrust_client_sign, client, wrong, digest, 1);
    PUBLISHES(WRONG, tagtrust_client_revoke, client, wrong);
    PUBLISHES(WRONG, tagtrust_client_add_signer, client, wrong, public_key, repository);
    PUBLISHES(WRONG, tagtrust_client_add_signer, client, "alice", wrong, repository);
    PUBLISHES(WRONG, tagtrust_client_add_signer, client, "alice", public_key, wrong);
    PUBLISHES(WRONG, tagtrust_client_remove_signer, client, wrong, repository, false);
    PUBLISHES(WRONG, tagtrust_client_remove_signer, client, "alice", wrong, false);
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, wrong, "targets", false, NULL, 0);
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, repository, wrong, false, NULL, 0);
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, repository, "targets", false, wrongs, 1);
    PUBLISHES(WRONG, tagtrust_client_publish, client, wrong);
    LISTS(WRONG, tagtrust_client_staged, client, wrong);
    REFUSES(WRONG, tagtrust_client_unstage, client, wrong, NULL, 0);
    REFUSES(WRONG, tagtrust_client_unstage_all, client, wrong);
    LISTS(WRONG, tagtrust_client_delegations, client, wrong);
    LISTS(WRONG, tagtrust_client_expiring, client, wrong, 1);
    PUBLISHES(WRONG, tagtrust_client_renew, client, wrong, 1);
    PUBLISHES(WRONG, tagtrust_client_recover, client, wrong, 1, true);
    LISTS(WRONG, tagtrust_client_cosign, client, wrong);
    PUBLISHES(WRONG, tagtrust_client_publish_proposals, client, wrongs, 1);
    LISTS(WRONG, tagtrust_client_generate_key, client, wrong, ".");
    LISTS(WRONG, tagtrust_client_generate_key, client, "alice", wrong);
    LISTS(WRONG, tagtrust_client_generate_ed25519_key, client, "alice", wrong);
    LISTS(WRONG, tagtrust_client_load_key, client, wrong, "alice");
    LISTS(WRONG, tagtrust_client_import_keys, client, wrong, NULL, NULL);
    LISTS(WRONG, tagtrust_client_export_keys, client, NULL, wrongs, 1);
    REFUSES(WRONG, tagtrust_client_change_passphrase, client, wrong, "passphrase");
    REFUSES(WRONG, tagtrust_client_remove_key, client, wrong);
    FAILS(tagtrust_edit, WRONG, tagtrust_edit_new, client, wrong);
}

/* Where NULL is allowed, what is not UTF-8 still is not. */
static void wrong_optional(const tagtrust_client *client) {
    PUBLISHES(WRONG, tagtrust_client_init, client, repository, NOT_UTF8, NULL, false, false);
    PUBLISHES(WRONG, tagtrust_client_init, client, repository, NULL, NOT_UTF8, false, false);
    PUBLISHES(WRONG, tagtrust_client_sign, client, tagged, NOT_UTF8, 1);
    LISTS(WRONG, tagtrust_client_load_key, client, "file", NOT_UTF8);
    LISTS(WRONG, tagtrust_client_import_keys, client, "pem", NOT_UTF8, NULL);
    LISTS(WRONG, tagtrust_client_import_keys, client, "pem", NULL, NOT_UTF8);
    LISTS(WRONG, tagtrust_client_export_keys, client, NOT_UTF8, NULL, 0);
    REFUSES(WRONG, tagtrust_client_change_passphrase, client, "id", NOT_UTF8);
    LISTS(WRONG, tagtrust_client_export_keys, client, "r/a", names, 2);
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, repository, "snapshot", true, names, 2);
}

static void wrong_arrays(const tagtrust_client *client) {
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, repository, "targets", false, NULL, 1);
    PUBLISHES(WRONG, tagtrust_client_rotate_key, client, repository, "targets", false, NULL, SIZE_MAX);
    PUBLISHES(WRONG, tagtrust_client_publish_proposals, client, NULL, 1);
    PUBLISHES(TAGTRUST_INVALID_INPUT, tagtrust_client_publish_proposals, client, NULL, 0);
    REFUSES(WRONG, tagtrust_client_unstage, client, repository, NULL, 1);
    LISTS(WRONG, tagtrust_client_export_keys, client, NULL, NULL, 1);
}

static void missing_outputs(const tagtrust_client *client) {
    REFUSES(WRONG, tagtrust_client_sign, client, tagged, digest, 1, NULL);
    REFUSES(WRONG, tagtrust_client_init, client, repository, NULL, NULL, false, false, NULL);
    REFUSES(WRONG, tagtrust_client_keys, client, NULL);
    REFUSES(WRONG, tagtrust_client_export_keys, client, NULL, NULL, 0, NULL);
    REFUSES(WRONG, tagtrust_client_generate_key, client, "alice", ".", NULL);
    REFUSES(WRONG, tagtrust_edit_new, client, repository, NULL);
    REFUSES(WRONG, tagtrust_proposal_summary, "{}", NULL);
}

/* As for verify_many: nothing of an array may stay as it was. */
static void check_many(const tagtrust_client *client, const char *const *references, const char *const *digests,
                       const uint64_t *sizes, const tagtrust_status *expected) {
    tagtrust_publication *made[3] = {GARBAGE(tagtrust_publication), GARBAGE(tagtrust_publication),
                                     GARBAGE(tagtrust_publication)};
    tagtrust_error *errors[3] = {GARBAGE(tagtrust_error), GARBAGE(tagtrust_error), GARBAGE(tagtrust_error)};
    CHECK(tagtrust_client_sign_many(client, references, digests, sizes, 2, made, errors) == expected[0]);
    for (size_t i = 0; i < 2; i++) {
        CHECK(made[i] == NULL && (errors[i] == NULL) == (expected[i] == TAGTRUST_OK));
        if (errors[i])
            check_error(errors[i], expected[i]);
    }
    CHECK(made[2] == GARBAGE(tagtrust_publication) && errors[2] == GARBAGE(tagtrust_error));
}

static void many(const tagtrust_client *client) {
    const char *const references[] = {tagged, tagged}, *const one_is_null[] = {tagged, NULL};
    const char *const one_is_wrong[] = {tagged, "r/UPPER"}, *const digests[] = {digest, NULL};
    const char *const noise[] = {digest, NOT_UTF8};
    const uint64_t sizes[] = {1, 1};
    const tagtrust_status invalid[] = {WRONG, WRONG};
    const tagtrust_status reference[] = {TAGTRUST_INVALID_REFERENCE, TAGTRUST_INVALID_REFERENCE};
    /* Two tags of one repository have one result. */
    const tagtrust_status unreachable[] = {TAGTRUST_UNREACHABLE, TAGTRUST_OK};
    tagtrust_publication *made[2] = {GARBAGE(tagtrust_publication), GARBAGE(tagtrust_publication)};

    check_many(client, references, digests, sizes, unreachable);
    check_many(client, references, NULL, NULL, unreachable);
    check_many(client, one_is_wrong, NULL, NULL, reference);
    check_many(client, one_is_null, NULL, NULL, invalid);
    check_many(client, references, noise, sizes, invalid);
    check_many(client, references, digests, NULL, invalid);
    check_many(client, NULL, NULL, NULL, invalid);
    check_many(NULL, references, NULL, NULL, invalid);
    CHECK(tagtrust_client_sign_many(client, references, NULL, NULL, 2, made, NULL) == TAGTRUST_UNREACHABLE);
    CHECK(made[0] == NULL && made[1] == NULL);
    CHECK(tagtrust_client_sign_many(client, references, NULL, NULL, 2, NULL, NULL) == WRONG);
    CHECK(tagtrust_client_sign_many(client, NULL, NULL, NULL, SIZE_MAX, NULL, NULL) == WRONG);
    CHECK(tagtrust_client_sign_many(client, NULL, NULL, NULL, 0, NULL, NULL) == TAGTRUST_OK);
}

static tagtrust_edit *make_edit(const tagtrust_client *client) {
    tagtrust_edit *edit = GARBAGE(tagtrust_edit);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_edit_new(client, repository, &edit, &error) == TAGTRUST_OK);
    CHECK(edit != NULL && error == NULL);
    return edit;
}

/* All ends of an edit must fail like this. */
static void check_ends(const tagtrust_edit *edit, tagtrust_status expected) {
    PUBLISHES(expected, tagtrust_edit_publish, edit);
    PUBLISHES(expected, tagtrust_edit_dry_run, edit);
    PUBLISHES(expected, tagtrust_edit_stage, edit);
    LISTS(expected, tagtrust_edit_sign_partial, edit);
    REFUSES(WRONG, tagtrust_edit_publish, edit, NULL);
}

/* Each step that is refused must keep what comes before and after it from being published. */
static void refused_steps(const tagtrust_client *client) {
#define STEP(expected, step, ...)                                                                                      \
    do {                                                                                                               \
        tagtrust_edit *edit = make_edit(client);                                                                       \
        CHECK(step(NULL, __VA_ARGS__) == WRONG);                                                                       \
        CHECK(tagtrust_edit_witness(edit, "targets") == TAGTRUST_OK);                                                  \
        CHECK(step(edit, __VA_ARGS__) == (expected));                                                                  \
        CHECK(tagtrust_edit_witness(edit, "targets") == TAGTRUST_OK);                                                  \
        check_ends(edit, (expected));                                                                                  \
        tagtrust_edit_free(edit);                                                                                      \
    } while (0)
    const char *const wrongs[] = {NULL, NOT_UTF8};
    for (size_t i = 0; i < 2; i++) {
        STEP(WRONG, tagtrust_edit_sign, wrongs[i], digest, 1, NULL, NULL, 0);
        STEP(WRONG, tagtrust_edit_revoke, wrongs[i], NULL, 0);
        STEP(WRONG, tagtrust_edit_add_signer, wrongs[i], public_key);
        STEP(WRONG, tagtrust_edit_add_signer, "alice", wrongs[i]);
        STEP(WRONG, tagtrust_edit_remove_signer, wrongs[i], false);
        STEP(WRONG, tagtrust_edit_add_delegation, wrongs[i], public_key, NULL, 0);
        STEP(WRONG, tagtrust_edit_remove_delegation, wrongs[i]);
        STEP(WRONG, tagtrust_edit_remove_from_delegation, wrongs[i], NULL, 0, NULL, 0);
        STEP(WRONG, tagtrust_edit_rotate_key, wrongs[i], false, NULL, 0);
        STEP(WRONG, tagtrust_edit_set_threshold, wrongs[i], 2);
        STEP(WRONG, tagtrust_edit_witness, wrongs[i]);
    }
    STEP(WRONG, tagtrust_edit_init, NOT_UTF8, NULL, false);
    STEP(WRONG, tagtrust_edit_init, NULL, NOT_UTF8, false);
    STEP(WRONG, tagtrust_edit_sign, "1", NOT_UTF8, 1, NULL, NULL, 0);
    STEP(WRONG, tagtrust_edit_sign, "1", digest, 1, NOT_UTF8, NULL, 0);
    STEP(WRONG, tagtrust_edit_sign, "1", NULL, 0, "{}", NULL, 0);
    STEP(WRONG, tagtrust_edit_sign, "1", digest, 1, NULL, NULL, 1);
    STEP(WRONG, tagtrust_edit_sign, "1", digest, 1, NULL, with_null, 2);
    STEP(WRONG, tagtrust_edit_revoke, "1", with_noise, 2);
    STEP(WRONG, tagtrust_edit_revoke_all, with_null, 2);
    STEP(WRONG, tagtrust_edit_add_delegation, "targets/a", NOT_UTF8, NULL, 0);
    STEP(WRONG, tagtrust_edit_add_delegation, "targets/a", NULL, with_null, 2);
    STEP(WRONG, tagtrust_edit_remove_from_delegation, "targets/a", with_null, 2, NULL, 0);
    STEP(WRONG, tagtrust_edit_remove_from_delegation, "targets/a", NULL, 0, with_noise, 2);
    STEP(WRONG, tagtrust_edit_purge_keys, NULL, 1);
    STEP(WRONG, tagtrust_edit_rotate_key, "targets", false, with_null, 2);
    STEP(WRONG, tagtrust_edit_rotate_key, "snapshot", true, names, 2);
    STEP(TAGTRUST_INVALID_INPUT, tagtrust_edit_add_signer, "alice", "not PEM");
    STEP(TAGTRUST_INVALID_INPUT, tagtrust_edit_add_delegation, "targets/a", "not PEM", NULL, 0);
    CHECK(tagtrust_edit_renew(NULL, 1) == WRONG);
    CHECK(tagtrust_edit_staged(NULL) == WRONG);
    check_ends(NULL, WRONG);
}

/* The edit is good, and outlives its client. Only the server is missing. */
static void whole_edit(tagtrust_config *config) {
    tagtrust_client *client = make_client(config);
    tagtrust_edit *edit = make_edit(client), *empty = make_edit(client);
    tagtrust_error *error;
    tagtrust_client_free(client);
    CHECK(tagtrust_edit_init(edit, NULL, NULL, true) == TAGTRUST_OK);
    CHECK(tagtrust_edit_sign(edit, "1", digest, 1, "{\"a\":1}", names, 2) == TAGTRUST_OK);
    CHECK(tagtrust_edit_sign(edit, "2", digest, 1, NULL, NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_revoke(edit, "3", names, 2) == TAGTRUST_OK);
    CHECK(tagtrust_edit_revoke_all(edit, NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_add_signer(edit, "alice", public_key) == TAGTRUST_OK);
    CHECK(tagtrust_edit_add_delegation(edit, "targets/a", NULL, names, 2) == TAGTRUST_OK);
    CHECK(tagtrust_edit_rotate_key(edit, "snapshot", true, NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_renew(edit, UINT64_MAX) == TAGTRUST_OK);
    CHECK(tagtrust_edit_staged(edit) == TAGTRUST_OK);
    PUBLISHES(TAGTRUST_UNREACHABLE, tagtrust_edit_publish, edit);
    PUBLISHES(TAGTRUST_UNREACHABLE, tagtrust_edit_publish, edit);
    PUBLISHES(TAGTRUST_UNREACHABLE, tagtrust_edit_dry_run, empty);
    CHECK(tagtrust_edit_witness(edit, NULL) == WRONG);
    CHECK(tagtrust_edit_publish(edit, NULL, &error) == WRONG);
    tagtrust_edit_free(edit);
    tagtrust_edit_free(empty);
    /* The error needs no edit. */
    check_error(error, WRONG);
}

/* A key without a passphrase is not made. */
static void refused_passphrases(tagtrust_config *config, const char *directory) {
    const tagtrust_passphrase_callback callbacks[] = {no_passphrase, too_long};
    for (size_t i = 0; i < 2; i++) {
        int calls = 0;
        tagtrust_client *client;
        tagtrust_text *keys;
        CHECK(tagtrust_config_set_passphrase(config, callbacks[i], &calls) == TAGTRUST_OK);
        client = make_client(config);
        LISTS(TAGTRUST_WRONG_PASSPHRASE, tagtrust_client_generate_key, client, "alice", directory);
        CHECK(calls == 2);
        CHECK(tagtrust_client_keys(client, &keys, NULL) == TAGTRUST_OK);
        CHECK(is_text(tagtrust_text_data(keys), "[]") && tagtrust_text_length(keys) == 2);
        tagtrust_text_free(keys);
        tagtrust_client_free(client);
    }
}

static void *unreachable(void *client) {
    PUBLISHES(TAGTRUST_UNREACHABLE, tagtrust_client_sign, (const tagtrust_client *)client, tagged, digest, 1);
    return NULL;
}

int main(int argc, char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    FILE *file;

    CHECK(argc == 3 && config != NULL);
    file = fopen(argv[2], "r");
    CHECK(file != NULL && fread(public_key, 1, sizeof public_key - 1, file) > 0);
    fclose(file);

    CHECK(tagtrust_config_set_trust_dir(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_docker_config(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_server(config, "http://127.0.0.1:1") == TAGTRUST_OK);
    null_objects();
    settings();
    refused_settings();
    refused_passphrases(config, ".");

    client = make_client(config);
    wrong_string(NULL, NULL);
    LISTS(WRONG, tagtrust_client_keys, (const tagtrust_client *)NULL);
    wrong_string(client, NULL);
    wrong_string(client, NOT_UTF8);
    wrong_optional(client);
    wrong_arrays(client);
    missing_outputs(client);
    LISTS(WRONG, tagtrust_proposal_summary, (const char *)NULL);
    LISTS(WRONG, tagtrust_proposal_summary, NOT_UTF8);
    LISTS(TAGTRUST_INVALID_INPUT, tagtrust_proposal_summary, "{}");
    LISTS(TAGTRUST_INVALID_INPUT, tagtrust_client_cosign, client, "{}");
    REFUSES(TAGTRUST_KEY_NOT_FOUND, tagtrust_client_remove_key, client, "id");
    PUBLISHES(TAGTRUST_INVALID_REFERENCE, tagtrust_client_sign, client, "r/UPPER", digest, 1);
    FAILS(tagtrust_edit, TAGTRUST_INVALID_REFERENCE, tagtrust_edit_new, client, "r/UPPER");
    many(client);
    refused_steps(client);
    in_threads(unreachable, client);
    tagtrust_client_free(client);
    whole_edit(config);

    /* Settings that only the client can judge. */
    CHECK(tagtrust_config_set_local_snapshot(config, true) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_expiry(config, "root", UINT64_MAX) == TAGTRUST_OK);
    tagtrust_client_free(make_client(config));
    CHECK(tagtrust_config_set_expiry(config, "timestamp", 1) == TAGTRUST_OK);
    FAILS(tagtrust_client, TAGTRUST_INVALID_CONFIGURATION, tagtrust_client_new, config);
    tagtrust_config_free(config);
    return 0;
}
