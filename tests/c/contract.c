/* The contract at the top of tagtrust.h for verifying, without a trust server.
 *
 *     contract TRUST_DIR NOT_PEM      (a new directory; a file that is not PEM)
 */
#include "check.h"

#define POISON_COUNT 5

static const char *const names[] = {"alice", "bob"};
static const char *const with_null[] = {"alice", NULL};
static const char *const with_noise[] = {"alice", NOT_UTF8};

static int64_t now_1970(void *data) {
    ++*(int *)data;
    return 0;
}

static void version(void) {
    char numbers[64];
    snprintf(numbers, sizeof numbers, "%d.%d.%d", TAGTRUST_VERSION_MAJOR, TAGTRUST_VERSION_MINOR,
             TAGTRUST_VERSION_PATCH);
    CHECK(is_text(tagtrust_version(), TAGTRUST_VERSION));
    CHECK(strncmp(TAGTRUST_VERSION, numbers, strlen(numbers)) == 0);
}

static void status_names(void) {
    CHECK(TAGTRUST_OK == 0);
    CHECK(is_text(tagtrust_status_name(TAGTRUST_OK), "OK"));
    CHECK(is_text(tagtrust_status_name(TAGTRUST_TAG_NOT_SIGNED), "TagNotSigned"));
    CHECK(is_text(tagtrust_status_name(TAGTRUST_CONFLICT), "Conflict"));
    CHECK(tagtrust_status_name(5) == NULL);
    CHECK(tagtrust_status_name(-1) == NULL);
}

static void null_objects(void) {
    CHECK(tagtrust_error_status(NULL) == TAGTRUST_INVALID_ARGUMENT);
    CHECK(is_text(tagtrust_error_name(NULL), "InvalidArgument"));
    CHECK(tagtrust_error_message(NULL) == NULL);
    CHECK(!tagtrust_error_is_refusal(NULL));
    CHECK(tagtrust_image_repository(NULL) == NULL);
    CHECK(tagtrust_image_tag(NULL) == NULL);
    CHECK(tagtrust_image_tag_count(NULL) == 0);
    CHECK(tagtrust_image_tag_at(NULL, 0) == NULL);
    CHECK(tagtrust_image_digest(NULL) == NULL);
    CHECK(tagtrust_image_size(NULL) == 0);
    CHECK(tagtrust_image_pinned_reference(NULL) == NULL);
    CHECK(tagtrust_image_role(NULL) == NULL);
    CHECK(tagtrust_image_signer_count(NULL) == 0);
    CHECK(tagtrust_image_signer(NULL, 0) == NULL);
    CHECK(tagtrust_image_expires(NULL) == 0);
    CHECK(!tagtrust_image_fresh(NULL));
    CHECK(tagtrust_inspection_json(NULL) == NULL);
    CHECK(tagtrust_inspection_pretty(NULL) == NULL);
    CHECK(tagtrust_inspection_tree(NULL, 80) == NULL);
    CHECK(tagtrust_inspection_svg(NULL) == NULL);
    for (int twice = 0; twice < 2; twice++) {
        tagtrust_config_free(NULL);
        tagtrust_client_free(NULL);
        tagtrust_image_free(NULL);
        tagtrust_inspection_free(NULL);
        tagtrust_error_free(NULL);
    }
}

/* Calls every setter that takes a string with this one, in each place. */
static void wrong_string(tagtrust_config *config, const char *wrong) {
    tagtrust_error *error;
#define WRONG(call) CHECK((call) == TAGTRUST_INVALID_ARGUMENT)
    WRONG(tagtrust_config_set_trust_dir(config, wrong));
    WRONG(tagtrust_config_set_docker_config(config, wrong));
    WRONG(tagtrust_config_set_server(config, wrong));
    WRONG(tagtrust_config_set_ca_file(config, wrong));
    WRONG(tagtrust_config_set_client_cert(config, wrong, "key"));
    WRONG(tagtrust_config_set_client_cert(config, "certificate", wrong));
    WRONG(tagtrust_config_set_credentials(config, wrong, "password"));
    WRONG(tagtrust_config_set_credentials(config, "username", wrong));
    WRONG(tagtrust_config_pin_certificate(config, wrong, "id"));
    WRONG(tagtrust_config_pin_certificate(config, "r/a", wrong));
    WRONG(tagtrust_config_pin_ca(config, wrong, "file", &error));
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    WRONG(tagtrust_config_pin_ca(config, "r/", wrong, NULL));
    WRONG(tagtrust_config_require_signer(config, wrong, "alice"));
    WRONG(tagtrust_config_require_signer(config, "r/a", wrong));
    WRONG(tagtrust_config_require_threshold(config, wrong, names, 2, 1));
}

static void wrong_settings(void) {
    tagtrust_config *config = tagtrust_config_new();
    wrong_string(config, NULL);
    wrong_string(config, NOT_UTF8);
    WRONG(tagtrust_config_set_clock(config, NULL, NULL));
    WRONG(tagtrust_config_set_lookup(config, 2));
    WRONG(tagtrust_config_set_lookup(config, -1));
    WRONG(tagtrust_config_require_threshold(config, "r/a", NULL, 2, 1));
    WRONG(tagtrust_config_require_threshold(config, "r/a", with_null, 2, 1));
    WRONG(tagtrust_config_require_threshold(config, "r/a", with_noise, 2, 1));
    WRONG(tagtrust_config_require_threshold(config, "r/a", names, 2, 0));
    WRONG(tagtrust_config_require_threshold(config, "r/a", names, 2, 3));
    WRONG(tagtrust_config_require_threshold(config, "r/a", NULL, 0, 0));
    tagtrust_config_free(config);
}

static void null_config(const char *not_pem) {
    int calls = 0;
    tagtrust_error *error = GARBAGE(tagtrust_error);
    WRONG(tagtrust_config_set_trust_dir(NULL, "dir"));
    WRONG(tagtrust_config_set_docker_config(NULL, "dir"));
    WRONG(tagtrust_config_set_server(NULL, "https://localhost"));
    WRONG(tagtrust_config_set_ca_file(NULL, "file"));
    WRONG(tagtrust_config_set_client_cert(NULL, "certificate", "key"));
    WRONG(tagtrust_config_set_credentials(NULL, "username", "password"));
    WRONG(tagtrust_config_set_timeout_ms(NULL, 1));
    WRONG(tagtrust_config_set_offline_max_age_ms(NULL, 1));
    WRONG(tagtrust_config_set_require_fresh(NULL, true));
    WRONG(tagtrust_config_set_parallelism(NULL, 1));
    WRONG(tagtrust_config_set_danger_plain_http(NULL, true));
    WRONG(tagtrust_config_set_clock(NULL, now_1970, &calls));
    WRONG(tagtrust_config_set_trust_on_first_use(NULL, true));
    WRONG(tagtrust_config_set_lookup(NULL, TAGTRUST_LOOKUP_DOCKER));
    WRONG(tagtrust_config_pin_certificate(NULL, "r/a", "id"));
    WRONG(tagtrust_config_pin_ca(NULL, "r/", not_pem, &error));
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    WRONG(tagtrust_config_require_signer(NULL, "r/a", "alice"));
    WRONG(tagtrust_config_require_threshold(NULL, "r/a", names, 2, 1));
}

static void pin_files(const char *not_pem) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_config_pin_ca(config, "r/", not_pem, &error) == TAGTRUST_INVALID_CONFIGURATION);
    check_error(error, TAGTRUST_INVALID_CONFIGURATION);
    CHECK(tagtrust_config_pin_ca(config, "r/", "/nonexistent/ca.pem", &error) == TAGTRUST_INVALID_CONFIGURATION);
    CHECK(strstr(tagtrust_error_message(error), "/nonexistent/ca.pem") != NULL);
    check_error(error, TAGTRUST_INVALID_CONFIGURATION);
    CHECK(tagtrust_config_pin_ca(config, "r/", not_pem, NULL) == TAGTRUST_INVALID_CONFIGURATION);
    tagtrust_config_free(config);
}

/* What is refused for its value: misuse.c has what is refused as NULL or as no text. */
static void refused_settings(const char *not_pem) {
    const uint8_t *const root = (const uint8_t *)"{}";
#define REMEMBERED(expected, setter, ...)                                                                              \
    do {                                                                                                               \
        tagtrust_config *config = tagtrust_config_new();                                                               \
        tagtrust_client *client = GARBAGE(tagtrust_client);                                                            \
        tagtrust_error *error = GARBAGE(tagtrust_error);                                                               \
        CHECK(tagtrust_config_set_trust_on_first_use(config, false) == TAGTRUST_OK);                                   \
        CHECK(setter(config, __VA_ARGS__) == (expected));                                                              \
        CHECK(tagtrust_config_set_trust_on_first_use(config, true) == TAGTRUST_OK);                                    \
        CHECK(tagtrust_client_new(config, &client, &error) == (expected) && client == NULL);                           \
        CHECK(strncmp(tagtrust_error_message(error), #setter ": ", strlen(#setter ": ")) == 0);                        \
        check_error(error, (expected));                                                                                \
        FAILS(tagtrust_trusted_set, (expected), tagtrust_trusted_set_new, config, "r/a", NULL, NULL, 0, root, 2);      \
        /* The first one stays. */                                                                                     \
        WRONG(tagtrust_config_set_server(config, NULL));                                                               \
        FAILS(tagtrust_client, (expected), tagtrust_client_new, config);                                               \
        tagtrust_config_free(config);                                                                                  \
    } while (0)
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_set_clock, NULL, NULL);
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_set_lookup, 2);
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_require_threshold, "r/a", NULL, 2, 1);
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_require_threshold, "r/a", with_null, 2, 1);
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_require_threshold, "r/a", names, 2, 0);
    REMEMBERED(TAGTRUST_INVALID_ARGUMENT, tagtrust_config_require_threshold, "r/a", names, 2, 3);
    REMEMBERED(TAGTRUST_INVALID_CONFIGURATION, tagtrust_config_pin_ca, "r/", not_pem, NULL);
    REMEMBERED(TAGTRUST_INVALID_CONFIGURATION, tagtrust_config_pin_ca, "r/", "/nonexistent/ca.pem", NULL);
}

static void unusable_server(void) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client = GARBAGE(tagtrust_client);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_config_set_server(config, "http://example.com") == TAGTRUST_OK);
    CHECK(tagtrust_client_new(config, &client, &error) == TAGTRUST_INVALID_CONFIGURATION);
    CHECK(client == NULL);
    check_error(error, TAGTRUST_INVALID_CONFIGURATION);
    CHECK(tagtrust_client_new(config, &client, NULL) == TAGTRUST_INVALID_CONFIGURATION);
    CHECK(tagtrust_config_set_danger_plain_http(config, true) == TAGTRUST_OK);
    tagtrust_client_free(make_client(config));
    tagtrust_config_free(config);
}

static void wrong_calls(const tagtrust_config *config, const tagtrust_client *client) {
    tagtrust_client *made = GARBAGE(tagtrust_client);
    tagtrust_inspection *inspection = GARBAGE(tagtrust_inspection);
    tagtrust_error *error = GARBAGE(tagtrust_error);

    WRONG(tagtrust_client_new(NULL, &made, &error));
    CHECK(made == NULL);
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    WRONG(tagtrust_client_new(config, NULL, &error));
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    WRONG(tagtrust_client_new(NULL, NULL, NULL));

    check_fails(NULL, "r/a", TAGTRUST_INVALID_ARGUMENT);
    check_fails(client, NULL, TAGTRUST_INVALID_ARGUMENT);
    check_fails(client, NOT_UTF8, TAGTRUST_INVALID_ARGUMENT);
    check_fails(client, "", TAGTRUST_INVALID_REFERENCE);
    WRONG(tagtrust_client_verify(client, "r/a", NULL, &error));
    check_error(error, TAGTRUST_INVALID_ARGUMENT);

    WRONG(tagtrust_client_inspect(NULL, "r/a", &inspection, &error));
    CHECK(inspection == NULL);
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    WRONG(tagtrust_client_inspect(client, NULL, &inspection, NULL));
    WRONG(tagtrust_client_inspect(client, NOT_UTF8, &inspection, NULL));
    WRONG(tagtrust_client_inspect(client, "r/a", NULL, NULL));
}

/* Nothing of an array may stay as it was. */
static void check_many(const tagtrust_client *client, const char *const *references, size_t count,
                       const tagtrust_status *expected) {
    tagtrust_image *images[POISON_COUNT];
    tagtrust_error *errors[POISON_COUNT];
    for (size_t i = 0; i < POISON_COUNT; i++) {
        images[i] = GARBAGE(tagtrust_image);
        errors[i] = GARBAGE(tagtrust_error);
    }
    CHECK(tagtrust_client_verify_many(client, references, count, images, errors) == expected[0]);
    for (size_t i = 0; i < count; i++) {
        CHECK(images[i] == NULL);
        check_error(errors[i], expected[i]);
    }
    for (size_t i = count; i < POISON_COUNT; i++)
        CHECK(images[i] == GARBAGE(tagtrust_image) && errors[i] == GARBAGE(tagtrust_error));
}

static void many(const tagtrust_client *client) {
    const char *references[] = {"127.0.0.1:1/a:1", NULL, NOT_UTF8, "r/UPPER"};
    const tagtrust_status expected[] = {TAGTRUST_UNREACHABLE, TAGTRUST_INVALID_ARGUMENT, TAGTRUST_INVALID_ARGUMENT,
                                        TAGTRUST_INVALID_REFERENCE};
    const tagtrust_status invalid[] = {TAGTRUST_INVALID_ARGUMENT, TAGTRUST_INVALID_ARGUMENT};
    tagtrust_image *images[4] = {GARBAGE(tagtrust_image), NULL, NULL, NULL};
    tagtrust_error *errors[4] = {GARBAGE(tagtrust_error), NULL, NULL, NULL};

    check_many(client, references, 4, expected);
    check_many(NULL, references, 2, invalid);
    check_many(client, NULL, 2, invalid);
    CHECK(tagtrust_client_verify_many(client, references, 4, images, NULL) == TAGTRUST_UNREACHABLE);
    CHECK(images[0] == NULL);
    WRONG(tagtrust_client_verify_many(client, references, 1, NULL, errors));
    check_error(errors[0], TAGTRUST_INVALID_ARGUMENT);
    CHECK(tagtrust_client_verify_many(client, NULL, 0, NULL, NULL) == TAGTRUST_OK);
    WRONG(tagtrust_client_verify_many(NULL, NULL, SIZE_MAX, NULL, NULL));
    WRONG(tagtrust_client_verify_many(client, NULL, SIZE_MAX, NULL, NULL));
}

static void *unreachable(void *client) {
    check_fails((const tagtrust_client *)client, "127.0.0.1:1/a:1", TAGTRUST_UNREACHABLE);
    return NULL;
}

static void *read_error(void *error) {
    CHECK(tagtrust_error_status((const tagtrust_error *)error) == TAGTRUST_INVALID_REFERENCE);
    CHECK(strstr(tagtrust_error_message((const tagtrust_error *)error), "UPPER") != NULL);
    return NULL;
}

int main(int argc, char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    tagtrust_image *image;
    tagtrust_error *error;
    int calls = 0;

    CHECK(argc == 3 && config != NULL);
    version();
    status_names();
    null_objects();
    null_config(argv[2]);
    wrong_settings();
    pin_files(argv[2]);
    refused_settings(argv[2]);
    unusable_server();

    CHECK(tagtrust_config_set_trust_dir(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_docker_config(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_server(config, "http://127.0.0.1:1") == TAGTRUST_OK);
    CHECK(tagtrust_config_set_credentials(config, "username", "password") == TAGTRUST_OK);
    CHECK(tagtrust_config_set_timeout_ms(config, UINT64_MAX) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_offline_max_age_ms(config, UINT64_MAX) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_parallelism(config, 0) == TAGTRUST_OK);
    client = make_client(config);
    wrong_calls(config, client);
    check_fails(client, "127.0.0.1:1/a:1", TAGTRUST_UNREACHABLE);
    many(client);
    tagtrust_client_free(client);

    CHECK(tagtrust_config_set_clock(config, now_1970, &calls) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_timeout_ms(config, 60000) == TAGTRUST_OK);
    client = make_client(config);
    check_fails(client, "127.0.0.1:1/a:1", TAGTRUST_UNREACHABLE);
    CHECK(calls > 0);
    tagtrust_client_free(client);
    tagtrust_config_free(config);

    config = tagtrust_config_new();
    CHECK(tagtrust_config_set_trust_dir(config, argv[1]) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_server(config, "http://127.0.0.1:1") == TAGTRUST_OK);
    client = make_client(config);
    tagtrust_config_free(config);
    in_threads(unreachable, client);
    CHECK(tagtrust_client_verify(client, "r/UPPER", &image, &error) == TAGTRUST_INVALID_REFERENCE);
    tagtrust_client_free(client);
    in_threads(read_error, error);
    tagtrust_error_free(error);
    return 0;
}
