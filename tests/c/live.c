/* Verifications against a trust server.
 *
 *     live SERVER CA_FILE TRUST_DIR GUN TAG DIGEST SIZE
 *
 * alice and bob signed the tag; the tag "nope" is not signed.
 */
#include <time.h>

#include "check.h"

#define CALLS 20

static const char *gun, *tag, *digest;
static uint64_t size;
static char signed_tag[512], unsigned_tag[512], by_digest[512];

/* Then the timestamp is expired, and the root certificate not yet. */
static int64_t in_a_year(void *data) {
    return *(const int64_t *)data + 365 * 86400;
}

static tagtrust_config *make_config(char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    CHECK(tagtrust_config_set_server(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_ca_file(config, argv[2]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, argv[3]) == TAGTRUST_OK);
    return config;
}

static void check_image(const tagtrust_image *image) {
    CHECK(is_text(tagtrust_image_repository(image), gun));
    CHECK(is_text(tagtrust_image_tag(image), tag));
    CHECK(tagtrust_image_tag_count(image) == 1);
    CHECK(is_text(tagtrust_image_tag_at(image, 0), tag));
    CHECK(tagtrust_image_tag_at(image, 1) == NULL);
    CHECK(is_text(tagtrust_image_digest(image), digest));
    CHECK(tagtrust_image_size(image) == size);
    CHECK(is_text(tagtrust_image_pinned_reference(image), by_digest));
    CHECK(is_text(tagtrust_image_role(image), "targets/releases"));
    CHECK(tagtrust_image_signer_count(image) == 2);
    CHECK(is_text(tagtrust_image_signer(image, 0), "alice"));
    CHECK(is_text(tagtrust_image_signer(image, 1), "bob"));
    CHECK(tagtrust_image_signer(image, 2) == NULL);
    CHECK(tagtrust_image_expires(image) > 1700000000);
    CHECK(tagtrust_image_fresh(image));
}

static void check_trusted(const tagtrust_client *client, const char *reference) {
    tagtrust_image *image = GARBAGE(tagtrust_image);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    tagtrust_status status = tagtrust_client_verify(client, reference, &image, &error);
    if (error)
        fprintf(stderr, "%s\n", tagtrust_error_message(error));
    CHECK(status == TAGTRUST_OK && error == NULL);
    check_image(image);
    tagtrust_image_free(image);
}

static void *verify_often(void *client) {
    for (int i = 0; i < CALLS; i++) {
        check_trusted((const tagtrust_client *)client, signed_tag);
        check_fails((const tagtrust_client *)client, unsigned_tag, TAGTRUST_TAG_NOT_SIGNED);
    }
    return NULL;
}

static void *read_image(void *image) {
    check_image((const tagtrust_image *)image);
    return NULL;
}

static void many(const tagtrust_client *client) {
    const char *references[] = {signed_tag, unsigned_tag, by_digest};
    tagtrust_image *images[3];
    tagtrust_error *errors[3];
    CHECK(tagtrust_client_verify_many(client, references, 3, images, errors) == TAGTRUST_TAG_NOT_SIGNED);
    CHECK(errors[0] == NULL && images[1] == NULL && errors[2] == NULL);
    check_error(errors[1], TAGTRUST_TAG_NOT_SIGNED);
    check_image(images[0]);
    check_image(images[2]);
    tagtrust_image_free(images[0]);
    tagtrust_image_free(images[2]);
    CHECK(tagtrust_client_verify_many(client, references, 1, images, NULL) == TAGTRUST_OK);
    tagtrust_image_free(images[0]);
}

/* Each text stays as long as the inspection. */
static void *chain_of_trust(void *data) {
    const tagtrust_inspection *inspection = (const tagtrust_inspection *)data;
    const char *tree = tagtrust_inspection_tree(inspection, 0), *narrow = tagtrust_inspection_tree(inspection, 1);
    CHECK(strncmp(tree, gun, strlen(gun)) == 0 && strstr(tree, "targets/alice") != NULL);
    CHECK(strlen(narrow) > strlen(tree) && is_text(tagtrust_inspection_tree(inspection, SIZE_MAX), tree));
    CHECK(tagtrust_inspection_tree(inspection, 1) == narrow && tagtrust_inspection_tree(inspection, 0) == tree);
    CHECK(strncmp(tagtrust_inspection_svg(inspection), "<svg ", 5) == 0);
    CHECK(strstr(tagtrust_inspection_svg(inspection), "targets/alice") != NULL);
    CHECK(tagtrust_inspection_svg(inspection) == tagtrust_inspection_svg(inspection));
    return NULL;
}

static void inspect(const tagtrust_client *client) {
    tagtrust_inspection *inspection;
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_client_inspect(client, gun, &inspection, &error) == TAGTRUST_OK);
    CHECK(error == NULL);
    CHECK(strstr(tagtrust_inspection_json(inspection), digest + strlen("sha256:")) != NULL);
    CHECK(strstr(tagtrust_inspection_pretty(inspection), "alice, bob") != NULL);
    in_threads(chain_of_trust, inspection);
    tagtrust_inspection_free(inspection);
}

/* A client of the configuration, which is freed, must answer with this. */
static void check_config(tagtrust_config *config, tagtrust_status expected) {
    tagtrust_client *client = make_client(config);
    tagtrust_config_free(config);
    if (expected == TAGTRUST_OK)
        check_trusted(client, signed_tag);
    else
        check_fails(client, signed_tag, expected);
    tagtrust_client_free(client);
}

static void settings(char **argv) {
    const char *no_key = "0000000000000000000000000000000000000000000000000000000000000000";
    const char *const signers[] = {"alice", "bob", "carol"};
    int64_t now = (int64_t)time(NULL);
    tagtrust_config *config = make_config(argv);
    CHECK(tagtrust_config_require_signer(config, gun, "alice") == TAGTRUST_OK);
    CHECK(tagtrust_config_require_threshold(config, "*", signers, 3, 2) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_require_fresh(config, true) == TAGTRUST_OK);
    check_config(config, TAGTRUST_OK);

    config = make_config(argv);
    CHECK(tagtrust_config_require_signer(config, gun, "carol") == TAGTRUST_OK);
    check_config(config, TAGTRUST_POLICY_VIOLATION);

    config = make_config(argv);
    CHECK(tagtrust_config_require_threshold(config, "*", signers, 3, 3) == TAGTRUST_OK);
    check_config(config, TAGTRUST_POLICY_VIOLATION);

    config = make_config(argv);
    CHECK(tagtrust_config_set_trust_on_first_use(config, false) == TAGTRUST_OK);
    check_config(config, TAGTRUST_ROOT_NOT_TRUSTED);

    config = make_config(argv);
    CHECK(tagtrust_config_pin_certificate(config, gun, no_key) == TAGTRUST_OK);
    check_config(config, TAGTRUST_ROOT_NOT_TRUSTED);

    /* The pin is for another repository, and its presence ends trust on first use. */
    config = make_config(argv);
    CHECK(tagtrust_config_pin_ca(config, "other.example/", argv[2], NULL) == TAGTRUST_OK);
    check_config(config, TAGTRUST_ROOT_NOT_TRUSTED);

    config = make_config(argv);
    CHECK(tagtrust_config_pin_ca(config, "other.example/", argv[2], NULL) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_on_first_use(config, true) == TAGTRUST_OK);
    check_config(config, TAGTRUST_OK);

    config = make_config(argv);
    CHECK(tagtrust_config_set_clock(config, in_a_year, &now) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_lookup(config, TAGTRUST_LOOKUP_NOTARY) == TAGTRUST_OK);
    check_config(config, TAGTRUST_EXPIRED);
}

int main(int argc, char **argv) {
    tagtrust_config *config;
    tagtrust_client *client;
    tagtrust_image *image;

    CHECK(argc == 8);
    gun = argv[4];
    tag = argv[5];
    digest = argv[6];
    size = strtoull(argv[7], NULL, 10);
    snprintf(signed_tag, sizeof signed_tag, "%s:%s", gun, tag);
    snprintf(unsigned_tag, sizeof unsigned_tag, "%s:nope", gun);
    snprintf(by_digest, sizeof by_digest, "%s@%s", gun, digest);

    config = make_config(argv);
    client = make_client(config);
    /* The client does not need its configuration. */
    tagtrust_config_free(config);
    in_threads(verify_often, client);
    many(client);
    inspect(client);
    /* The image does not need its client. */
    CHECK(tagtrust_client_verify(client, signed_tag, &image, NULL) == TAGTRUST_OK);
    tagtrust_client_free(client);
    in_threads(read_image, image);
    tagtrust_image_free(image);
    settings(argv);
    return 0;
}
