/* Publishing on a trust server.
 *
 *     publish SERVER CA_FILE TRUST_DIR WORK_DIR GUN OTHER_GUN
 *
 * WORK_DIR holds hsm.key and hsm.pub, a key that only `openssl` uses here, as if
 * it were in an HSM. Ends with GUN as the test around this expects it.
 */
#include <time.h>

#include "check.h"

#define DAY UINT64_C(86400)

static const char *const digests[] = {
    "sha256:1111111111111111111111111111111111111111111111111111111111111111",
    "sha256:2222222222222222222222222222222222222222222222222222222222222222",
};
static const char *const passphrase = "test-passphrase";
static const char *work_dir, *gun;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    /* What callbacks call back, which must be refused. */
    const tagtrust_client *client;
    tagtrust_edit *edit;
    int asked, signatures;
    bool hsm_is_broken, wrong_passphrase;
} state;

static void calls_back(void) {
    tagtrust_publication *publication;
    if (!state.client)
        return;
    check_fails(state.client, "r/a", TAGTRUST_INVALID_ARGUMENT);
    FAILS(tagtrust_publication, TAGTRUST_INVALID_ARGUMENT, tagtrust_client_publish, state.client, gun);
    CHECK(tagtrust_edit_publish(state.edit, &publication, NULL) == TAGTRUST_INVALID_ARGUMENT);
    CHECK(tagtrust_edit_revoke_all(state.edit, NULL, 0) == TAGTRUST_INVALID_ARGUMENT);
}

static ptrdiff_t give_passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                                 char *buffer, size_t capacity) {
    const char *answer = create && attempt == 0 ? "short" : passphrase;
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(data == &state && strlen(key_id) == 64 && strlen(role) > 0 && attempt <= 1);
    state.asked++;
    calls_back();
    if (state.wrong_passphrase)
        answer = "wrong-passphrase";
    CHECK(pthread_mutex_unlock(&lock) == 0);
    CHECK(strlen(answer) <= capacity);
    memcpy(buffer, answer, strlen(answer));
    return (ptrdiff_t)strlen(answer);
}

static const char *in_work_dir(char *path, const char *name) {
    snprintf(path, 512, "%s/%s", work_dir, name);
    return path;
}

static size_t read_file(const char *name, void *content, size_t capacity) {
    char path[512];
    size_t length;
    FILE *file = fopen(in_work_dir(path, name), "rb");
    CHECK(file != NULL);
    length = fread(content, 1, capacity, file);
    fclose(file);
    return length;
}

static ptrdiff_t sign_in_hsm(void *data, const uint8_t *message, size_t length, uint8_t *signature, size_t capacity) {
    char path[512], command[2048];
    FILE *file;
    ptrdiff_t written;
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(data == &state && capacity >= 256);
    state.signatures++;
    calls_back();
    if (state.hsm_is_broken) {
        CHECK(pthread_mutex_unlock(&lock) == 0);
        return -1;
    }
    file = fopen(in_work_dir(path, "message"), "wb");
    CHECK(file != NULL && fwrite(message, 1, length, file) == length && fclose(file) == 0);
    snprintf(command, sizeof command, "cd '%s' && openssl dgst -sha256 -sign hsm.key -out signature message", work_dir);
    CHECK(system(command) == 0);
    written = (ptrdiff_t)read_file("signature", signature, capacity);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return written;
}

/* Checks that a call succeeds. */
static void ok(tagtrust_status status, tagtrust_error *error) {
    if (status != TAGTRUST_OK)
        fprintf(stderr, "%s: %s\n", tagtrust_error_name(error), tagtrust_error_message(error));
    CHECK(status == TAGTRUST_OK && error == NULL);
}

#define PUBLISH(function, ...)                                                                                         \
    do {                                                                                                               \
        tagtrust_publication *out = GARBAGE(tagtrust_publication);                                                     \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        tagtrust_status status = function(__VA_ARGS__, &out, &error);                                                  \
        ok(status, error);                                                                                             \
        CHECK(is_text(tagtrust_publication_repository(out), gun));                                                     \
        CHECK(tagtrust_publication_published(out));                                                                    \
        CHECK(tagtrust_publication_file_count(out) > 0);                                                               \
        tagtrust_publication_free(out);                                                                                \
    } while (0)

#define DO(function, ...)                                                                                              \
    do {                                                                                                               \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        tagtrust_status status = function(__VA_ARGS__, &error);                                                        \
        ok(status, error);                                                                                             \
    } while (0)

/* Checks what a list is, and frees it. */
static void check_text(tagtrust_text *text, const char *expected) {
    CHECK(strlen(tagtrust_text_data(text)) == tagtrust_text_length(text));
    if (!strstr(tagtrust_text_data(text), expected))
        fprintf(stderr, "no %s in %s\n", expected, tagtrust_text_data(text));
    CHECK(strstr(tagtrust_text_data(text), expected) != NULL);
    tagtrust_text_free(text);
}

#define LIST(expected, function, ...)                                                                                  \
    do {                                                                                                               \
        tagtrust_text *out = GARBAGE(tagtrust_text);                                                                   \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        tagtrust_status status = function(__VA_ARGS__, &out, &error);                                                  \
        ok(status, error);                                                                                             \
        check_text(out, expected);                                                                                     \
    } while (0)

static void verify(const tagtrust_client *client, const char *tag, const char *digest, const char *role) {
    char reference[512];
    tagtrust_image *image = GARBAGE(tagtrust_image);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    tagtrust_status status;
    snprintf(reference, sizeof reference, "%s:%s", gun, tag);
    if (!digest) {
        check_fails(client, reference, TAGTRUST_TAG_NOT_SIGNED);
        return;
    }
    status = tagtrust_client_verify(client, reference, &image, &error);
    ok(status, error);
    CHECK(is_text(tagtrust_image_digest(image), digest) && tagtrust_image_size(image) == 7);
    CHECK(is_text(tagtrust_image_role(image), role));
    tagtrust_image_free(image);
}

static tagtrust_config *make_config(char **argv) {
    char public_key[4096] = "";
    tagtrust_config *config = tagtrust_config_new();
    CHECK(tagtrust_config_set_server(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_ca_file(config, argv[2]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, argv[3]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, give_passphrase, &state) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_expiry(config, "root", 365 * DAY) == TAGTRUST_OK);
    CHECK(read_file("hsm.pub", public_key, sizeof public_key - 1) > 0);
    DO(tagtrust_config_add_signer, config, public_key, sign_in_hsm, &state);
    return config;
}

static tagtrust_edit *make_edit(const tagtrust_client *client) {
    tagtrust_edit *edit = GARBAGE(tagtrust_edit);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_edit_new(client, gun, &edit, &error) == TAGTRUST_OK && error == NULL);
    return edit;
}

/* The only key that there is at the beginning. */
static void find_hsm_key(const tagtrust_client *client, char *id) {
    tagtrust_text *keys;
    CHECK(tagtrust_client_keys(client, &keys, NULL) == TAGTRUST_OK);
    CHECK(sscanf(strstr(tagtrust_text_data(keys), "\"id\""), "\"id\": \"%64[0-9a-f]\"", id) == 1);
    check_text(keys, "\"location\": \"signer\"");
}

/* The root key is in the HSM. */
static void init(const tagtrust_client *client, const char *root_key) {
    tagtrust_publication *made;
    tagtrust_error *error;
    tagtrust_status status;
    time_t now = time(NULL);

    state.hsm_is_broken = true;
    FAILS(tagtrust_publication, TAGTRUST_KEY_NOT_FOUND, tagtrust_client_init, client, gun, root_key,
          NULL, false, false);
    FAILS(tagtrust_image, TAGTRUST_NO_TRUST_DATA, tagtrust_client_verify, client, gun);
    state.hsm_is_broken = false;
    state.signatures = state.asked = 0;

    status = tagtrust_client_init(client, gun, root_key, NULL, false, false, &made, &error);
    ok(status, error);
    /* The root certificate and the root. */
    CHECK(state.signatures == 2 && state.asked > 0);
    CHECK(is_text(tagtrust_publication_repository(made), gun));
    CHECK(tagtrust_publication_published(made) && tagtrust_publication_attempts(made) == 1);
    CHECK(tagtrust_publication_file_count(made) == 2);
    CHECK(is_text(tagtrust_publication_file_role(made, 0), "root"));
    CHECK(is_text(tagtrust_publication_file_role(made, 1), "targets"));
    CHECK(tagtrust_publication_file_version(made, 0) == 1);
    CHECK(llabs(tagtrust_publication_file_expires(made, 0) - (now + 365 * (int64_t)DAY)) < 3600);
    CHECK(tagtrust_publication_file_role(made, 2) == NULL);
    CHECK(tagtrust_publication_file_version(made, 2) == 0 && tagtrust_publication_file_expires(made, 2) == 0);
    CHECK(tagtrust_publication_change(made, tagtrust_publication_change_count(made)) == NULL);
    CHECK(tagtrust_publication_warning(made, tagtrust_publication_warning_count(made)) == NULL);
    CHECK(strstr(tagtrust_publication_json(made), "\"published\": true") != NULL);
    tagtrust_publication_free(made);
    FAILS(tagtrust_publication, TAGTRUST_INVALID_INPUT, tagtrust_client_init, client, gun, root_key,
          NULL, false, false);
}

static void sign_and_revoke(const tagtrust_client *client) {
    char tags[3][512];
    const char *const references[] = {tags[0], tags[1], tags[2]};
    const char *const signed_digests[] = {digests[0], digests[0], digests[1]};
    const uint64_t sizes[] = {7, 7, 7};
    tagtrust_publication *made[3];
    tagtrust_error *errors[3];

    for (int i = 0; i < 3; i++)
        snprintf(tags[i], sizeof tags[i], "%s:v%d", gun, i + 1);
    PUBLISH(tagtrust_client_sign, client, tags[0], digests[1], 7);
    verify(client, "v1", digests[1], "targets");
    CHECK(tagtrust_client_sign_many(client, references, signed_digests, sizes, 3, made, errors) == TAGTRUST_OK);
    CHECK(tagtrust_publication_change_count(made[0]) == 3);
    CHECK(strstr(tagtrust_publication_change(made[0], 0), "v1") != NULL);
    CHECK(!made[1] && !made[2] && !errors[0] && !errors[1] && !errors[2]);
    tagtrust_publication_free(made[0]);
    verify(client, "v1", digests[0], "targets");
    verify(client, "v3", digests[1], "targets");
    PUBLISH(tagtrust_client_revoke, client, tags[1]);
    verify(client, "v2", NULL, NULL);
    FAILS(tagtrust_publication, TAGTRUST_TAG_NOT_SIGNED, tagtrust_client_revoke, client, tags[1]);
}

/* Nothing is published before it is. */
static void edits(const tagtrust_client *client) {
    const char *const roles[] = {"targets"};
    tagtrust_publication *planned;
    tagtrust_edit *edit = make_edit(client);
    int before = state.asked;

    CHECK(tagtrust_edit_sign(edit, "v4", digests[0], 7, "{\"build\":4}", roles, 1) == TAGTRUST_OK);
    CHECK(tagtrust_edit_revoke(edit, "v3", NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_dry_run(edit, &planned, NULL) == TAGTRUST_OK);
    CHECK(!tagtrust_publication_published(planned) && tagtrust_publication_change_count(planned) == 2);
    CHECK(is_text(tagtrust_publication_file_role(planned, 0), "targets") && state.asked == before);
    tagtrust_publication_free(planned);
    verify(client, "v4", NULL, NULL);

    /* A callback that comes back is refused, and the call goes on. */
    state.client = client;
    state.edit = edit;
    PUBLISH(tagtrust_edit_publish, edit);
    CHECK(state.asked > before);
    state.client = NULL;
    verify(client, "v4", digests[0], "targets");
    verify(client, "v3", NULL, NULL);
    tagtrust_edit_free(edit);
}

static void staged_changes(const tagtrust_client *client) {
    const uint64_t first[] = {0}, beyond[] = {0, UINT64_MAX};
    tagtrust_publication *made;
    tagtrust_edit *edit = make_edit(client);
    CHECK(tagtrust_edit_sign(edit, "v5", digests[0], 7, NULL, NULL, 0) == TAGTRUST_OK);
    CHECK(tagtrust_edit_sign(edit, "v6", digests[0], 7, NULL, NULL, 0) == TAGTRUST_OK);
    for (int twice = 0; twice < 2; twice++) {
        CHECK(tagtrust_edit_stage(edit, &made, NULL) == TAGTRUST_OK);
        CHECK(!tagtrust_publication_published(made));
        tagtrust_publication_free(made);
        LIST("\"path\": \"v5\"", tagtrust_client_staged, client, gun);
        if (twice == 0)
            DO(tagtrust_client_unstage_all, client, gun);
    }
    tagtrust_edit_free(edit);
    REFUSES(TAGTRUST_INVALID_INPUT, tagtrust_client_unstage, client, gun, beyond, 2);
    DO(tagtrust_client_unstage, client, gun, first, 1);
    LIST("\"path\": \"v6\"", tagtrust_client_staged, client, gun);
    PUBLISH(tagtrust_client_publish, client, gun);
    LIST("[]", tagtrust_client_staged, client, gun);
    verify(client, "v5", NULL, NULL);
    verify(client, "v6", digests[0], "targets");
}

static void *sign_own_tag(void *client) {
    static int next;
    char reference[512];
    CHECK(pthread_mutex_lock(&lock) == 0);
    snprintf(reference, sizeof reference, "%s:thread%d", gun, next++);
    CHECK(pthread_mutex_unlock(&lock) == 0);
    PUBLISH(tagtrust_client_sign, (const tagtrust_client *)client, reference, digests[0], 7);
    return NULL;
}

/* The HSM's key signs the tags of carol too. */
static void signers(const tagtrust_client *client, const char *hsm_key) {
    char carol[4096] = "", alice[4096] = "", reference[512];
    const char *const paths[] = {"rel-", "x"}, *const x[] = {"x"}, *const key_ids[] = {hsm_key};
    tagtrust_publication *planned;
    tagtrust_edit *edit;

    CHECK(read_file("hsm.pub", carol, sizeof carol - 1) > 0);
    PUBLISH(tagtrust_client_add_signer, client, "carol", carol, gun);
    LIST("alice.pub", tagtrust_client_generate_key, client, "alice", work_dir);
    LIST("edward.pub", tagtrust_client_generate_ed25519_key, client, "edward", work_dir);
    CHECK(read_file("alice.pub", alice, sizeof alice - 1) > 0);
    FAILS(tagtrust_text, TAGTRUST_INVALID_INPUT, tagtrust_client_generate_key, client, "alice", work_dir);

    snprintf(reference, sizeof reference, "%s:v7", gun);
    PUBLISH(tagtrust_client_sign, client, reference, digests[1], 7);
    verify(client, "v7", digests[1], "targets/releases");

    edit = make_edit(client);
    CHECK(tagtrust_edit_add_signer(edit, "alice", alice) == TAGTRUST_OK);
    CHECK(tagtrust_edit_add_delegation(edit, "targets/qa", carol, paths, 2) == TAGTRUST_OK);
    PUBLISH(tagtrust_edit_publish, edit);
    tagtrust_edit_free(edit);
    LIST("\"rel-\",\n      \"x\"", tagtrust_client_delegations, client, gun);

    edit = make_edit(client);
    CHECK(tagtrust_edit_remove_from_delegation(edit, "targets/qa", NULL, 0, x, 1) == TAGTRUST_OK);
    CHECK(tagtrust_edit_witness(edit, "targets/carol") == TAGTRUST_OK);
    PUBLISH(tagtrust_edit_publish, edit);
    tagtrust_edit_free(edit);

    edit = make_edit(client);
    CHECK(tagtrust_edit_remove_delegation(edit, "targets/qa") == TAGTRUST_OK);
    CHECK(tagtrust_edit_remove_signer(edit, "alice", true) == TAGTRUST_OK);
    PUBLISH(tagtrust_edit_publish, edit);
    tagtrust_edit_free(edit);
    edit = make_edit(client);
    CHECK(tagtrust_edit_purge_keys(edit, key_ids, 1) == TAGTRUST_OK);
    CHECK(tagtrust_edit_dry_run(edit, &planned, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_publication_change_count(planned) > 0 && tagtrust_publication_warning_count(planned) > 0);
    CHECK(tagtrust_publication_warning(planned, 0) != NULL);
    tagtrust_publication_free(planned);
    tagtrust_edit_free(edit);
    FAILS(tagtrust_publication, TAGTRUST_INVALID_INPUT, tagtrust_client_remove_signer, client, "alice", gun, false);
}

static void rotations(const tagtrust_client *client) {
    PUBLISH(tagtrust_client_rotate_key, client, gun, "targets", false, NULL, 0);
    PUBLISH(tagtrust_client_rotate_key, client, gun, "snapshot", false, NULL, 0);
    PUBLISH(tagtrust_client_rotate_key, client, gun, "snapshot", true, NULL, 0);
    FAILS(tagtrust_publication, TAGTRUST_INVALID_INPUT, tagtrust_client_rotate_key, client, gun, "timestamp", false,
          NULL, 0);
    verify(client, "v7", digests[1], "targets/releases");
}

static void proposals(const tagtrust_client *client, const char *hsm_key) {
    const char *const roles[] = {"targets"}, *const key_ids[] = {hsm_key};
    const char *parts[1];
    tagtrust_text *proposal;
    tagtrust_edit *edit = make_edit(client);
    CHECK(tagtrust_edit_rotate_key(edit, "targets", false, key_ids, 1) == TAGTRUST_OK);
    CHECK(tagtrust_edit_set_threshold(edit, "targets", 1) == TAGTRUST_OK);
    PUBLISH(tagtrust_edit_publish, edit);
    tagtrust_edit_free(edit);

    edit = make_edit(client);
    CHECK(tagtrust_edit_sign(edit, "v8", digests[0], 7, NULL, roles, 1) == TAGTRUST_OK);
    CHECK(tagtrust_edit_sign_partial(edit, &proposal, NULL) == TAGTRUST_OK);
    tagtrust_edit_free(edit);
    parts[0] = tagtrust_text_data(proposal);
    LIST("\"path\": \"v8\"", tagtrust_proposal_summary, parts[0]);
    LIST(hsm_key, tagtrust_proposal_summary, parts[0]);
    /* It has signed already. */
    FAILS(tagtrust_text, TAGTRUST_KEY_NOT_FOUND, tagtrust_client_cosign, client, parts[0]);
    PUBLISH(tagtrust_client_publish_proposals, client, parts, 1);
    FAILS(tagtrust_publication, TAGTRUST_CONFLICT, tagtrust_client_publish_proposals, client, parts, 1);
    tagtrust_text_free(proposal);
    verify(client, "v8", digests[0], "targets");
}

static void expiries(const tagtrust_client *client) {
    tagtrust_publication *made;
    LIST("\"role\": \"root\"", tagtrust_client_expiring, client, gun, 366 * DAY);
    LIST("[]", tagtrust_client_expiring, client, gun, DAY);
    CHECK(tagtrust_client_renew(client, gun, DAY, &made, NULL) == TAGTRUST_OK);
    CHECK(!tagtrust_publication_published(made) && tagtrust_publication_change_count(made) == 0);
    tagtrust_publication_free(made);
    CHECK(tagtrust_client_recover(client, gun, UINT64_MAX, true, &made, NULL) == TAGTRUST_OK);
    CHECK(!tagtrust_publication_published(made) && tagtrust_publication_file_count(made) > 0);
    tagtrust_publication_free(made);
    PUBLISH(tagtrust_client_renew, client, gun, UINT64_MAX);
}

static void keys(const tagtrust_client *client) {
    char path[512], id[65];
    const char *const ids[] = {id};
    const char *pem;
    tagtrust_text *exported, *generated;

    CHECK(tagtrust_client_generate_key(client, "dave", work_dir, &generated, NULL) == TAGTRUST_OK);
    CHECK(sscanf(strstr(tagtrust_text_data(generated), "\"id\""), "\"id\": \"%64[0-9a-f]\"", id) == 1);
    tagtrust_text_free(generated);
    CHECK(tagtrust_client_export_keys(client, NULL, ids, 1, &exported, NULL) == TAGTRUST_OK);
    pem = tagtrust_text_data(exported);
    CHECK(strstr(pem, "ENCRYPTED PRIVATE KEY") && strstr(pem, id) && strlen(pem) == tagtrust_text_length(exported));
    DO(tagtrust_client_remove_key, client, id);
    REFUSES(TAGTRUST_KEY_NOT_FOUND, tagtrust_client_remove_key, client, id);
    FAILS(tagtrust_text, TAGTRUST_KEY_NOT_FOUND, tagtrust_client_export_keys, client, NULL, ids, 1);
    LIST(id, tagtrust_client_import_keys, client, pem, NULL, NULL);
    tagtrust_text_free(exported);

    state.wrong_passphrase = true;
    REFUSES(TAGTRUST_WRONG_PASSPHRASE, tagtrust_client_change_passphrase, client, id, "another-passphrase");
    state.wrong_passphrase = false;
    REFUSES(TAGTRUST_WRONG_PASSPHRASE, tagtrust_client_change_passphrase, client, id, "short");
    DO(tagtrust_client_change_passphrase, client, id, passphrase);
    DO(tagtrust_client_change_passphrase, client, id, NULL);
    LIST("ENCRYPTED PRIVATE KEY", tagtrust_client_export_keys, client, gun, NULL, 0);
    LIST("\"role\": \"erin\"", tagtrust_client_load_key, client, in_work_dir(path, "plain.key"), "erin");
}

/* What is not published yet is published by the first change, and deleted again. */
static void delete_repository(const tagtrust_client *client, const char *root_key, const char *other) {
    tagtrust_publication *made;
    const char *kept = gun;
    gun = other;
    CHECK(tagtrust_client_init(client, gun, root_key, NULL, true, true, &made, NULL) == TAGTRUST_OK);
    CHECK(!tagtrust_publication_published(made));
    tagtrust_publication_free(made);
    FAILS(tagtrust_image, TAGTRUST_NO_TRUST_DATA, tagtrust_client_verify, client, gun);
    PUBLISH(tagtrust_client_publish, client, gun);
    verify(client, "latest", NULL, NULL);
    DO(tagtrust_client_delete, client, gun, true);
    FAILS(tagtrust_image, TAGTRUST_NO_TRUST_DATA, tagtrust_client_verify, client, gun);
    DO(tagtrust_client_delete, client, gun, false);
    gun = kept;
}

int main(int argc, char **argv) {
    char hsm_key[65];
    tagtrust_config *config;
    tagtrust_client *client;

    CHECK(argc == 7);
    work_dir = argv[4];
    gun = argv[5];
    config = make_config(argv);
    client = make_client(config);
    tagtrust_config_free(config);

    find_hsm_key(client, hsm_key);
    init(client, hsm_key);
    sign_and_revoke(client);
    edits(client);
    staged_changes(client);
    in_threads(sign_own_tag, client);
    signers(client, hsm_key);
    proposals(client, hsm_key);
    rotations(client);
    expiries(client);
    keys(client);
    delete_repository(client, hsm_key, argv[6]);
    tagtrust_client_free(client);
    return 0;
}
