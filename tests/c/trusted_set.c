/* Verification of files alone.
 *
 *     trusted_set GUN TAG DIGEST NOW DIRECTORY
 *
 * DIRECTORY has the files of a repository that `docker trust` signed, by role.
 */
#include "check.h"

static const char *gun, *tag, *digest, *directory;
static int64_t now;
static unsigned char contents[3][1 << 20];

typedef struct {
    const unsigned char *bytes;
    size_t length;
} file;

static int64_t clock_of(void *data) {
    return *(const int64_t *)data;
}

static file load(int place, const char *role) {
    char path[4096];
    file loaded = {contents[place], 0};
    snprintf(path, sizeof path, "%s/%s.json", directory, role);
    FILE *stream = fopen(path, "rb");
    CHECK(stream != NULL);
    loaded.length = fread(contents[place], 1, sizeof contents[place], stream);
    CHECK(loaded.length > 0 && loaded.length < sizeof contents[place]);
    fclose(stream);
    return loaded;
}

static tagtrust_config *make_config(int64_t *time) {
    tagtrust_config *config = tagtrust_config_new();
    CHECK(tagtrust_config_set_clock(config, clock_of, time) == TAGTRUST_OK);
    return config;
}

static tagtrust_trusted_set *open_set(const tagtrust_config *config) {
    tagtrust_trusted_set *set = GARBAGE(tagtrust_trusted_set);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    file root = load(0, "root");
    CHECK(tagtrust_trusted_set_new(config, gun, NULL, NULL, 0, root.bytes, root.length, &set, &error) == TAGTRUST_OK);
    CHECK(set != NULL && error == NULL);
    return set;
}

/* All files, in the order in which they are asked for. */
static tagtrust_trusted_set *complete_set(const tagtrust_config *config) {
    tagtrust_trusted_set *set = open_set(config);
    const char *first = tagtrust_trusted_set_next_role(set), *role;
    while ((role = tagtrust_trusted_set_next_role(set)) != NULL) {
        tagtrust_error *error = GARBAGE(tagtrust_error);
        file next = load(0, role);
        CHECK(tagtrust_trusted_set_add_role(set, next.bytes, next.length, &error) == TAGTRUST_OK);
        CHECK(error == NULL);
    }
    /* It lives as long as the set. */
    CHECK(is_text(first, "timestamp"));
    return set;
}

static void check_signed(const tagtrust_trusted_set *set, const char *reference) {
    tagtrust_image *image = GARBAGE(tagtrust_image);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_trusted_set_verify(set, reference, &image, &error) == TAGTRUST_OK);
    CHECK(error == NULL);
    CHECK(is_text(tagtrust_image_repository(image), gun));
    CHECK(is_text(tagtrust_image_tag(image), tag));
    CHECK(is_text(tagtrust_image_digest(image), digest));
    CHECK(!tagtrust_image_fresh(image));
    CHECK(tagtrust_image_expires(image) > now);
    tagtrust_image_free(image);
}

static void answers(void) {
    tagtrust_config *config = make_config(&now);
    tagtrust_trusted_set *set = complete_set(config);
    char reference[1024];
    tagtrust_config_free(config);
    check_signed(set, tag);
    snprintf(reference, sizeof reference, "%s:%s", gun, tag);
    check_signed(set, reference);
    snprintf(reference, sizeof reference, "%s@%s", gun, digest);
    check_signed(set, reference);
    FAILS(tagtrust_image, TAGTRUST_TAG_NOT_SIGNED, tagtrust_trusted_set_verify, set, "not-signed");
    FAILS(tagtrust_image, TAGTRUST_INVALID_REFERENCE, tagtrust_trusted_set_verify, set, "r.example/other:1");
    FAILS(tagtrust_image, TAGTRUST_INVALID_REFERENCE, tagtrust_trusted_set_verify, set, "");
    tagtrust_trusted_set_free(set);
}

static void *verify_often(void *set) {
    for (int i = 0; i < 5; i++) {
        check_signed((const tagtrust_trusted_set *)set, tag);
        CHECK(tagtrust_trusted_set_next_role((const tagtrust_trusted_set *)set) == NULL);
    }
    return NULL;
}

static void threads(void) {
    tagtrust_config *config = make_config(&now);
    tagtrust_trusted_set *set = complete_set(config);
    in_threads(verify_often, set);
    tagtrust_trusted_set_free(set);
    tagtrust_config_free(config);
}

/* Refused, and the set stays as it was. */
static void wrong_files(void) {
    tagtrust_config *config = make_config(&now);
    tagtrust_trusted_set *set = open_set(config);
    file timestamp = load(0, "timestamp"), snapshot = load(1, "snapshot"), targets = load(2, "targets");
    REFUSES(TAGTRUST_TAMPERED, tagtrust_trusted_set_add_timestamp, set, snapshot.bytes, snapshot.length);
    REFUSES(TAGTRUST_TAMPERED, tagtrust_trusted_set_add_timestamp, set, timestamp.bytes, timestamp.length - 1);
    REFUSES(TAGTRUST_TAMPERED, tagtrust_trusted_set_add_timestamp, set, NULL, 0);
    REFUSES(TAGTRUST_INVALID_INPUT, tagtrust_trusted_set_add_snapshot, set, snapshot.bytes, snapshot.length);
    CHECK(is_text(tagtrust_trusted_set_next_role(set), "timestamp"));
    CHECK(tagtrust_trusted_set_add_timestamp(set, timestamp.bytes, timestamp.length, NULL) == TAGTRUST_OK);
    REFUSES(TAGTRUST_TAMPERED, tagtrust_trusted_set_add_snapshot, set, targets.bytes, targets.length);
    CHECK(tagtrust_trusted_set_add_snapshot(set, snapshot.bytes, snapshot.length, NULL) == TAGTRUST_OK);
    FAILS(tagtrust_image, TAGTRUST_INVALID_INPUT, tagtrust_trusted_set_verify, set, tag);
    CHECK(is_text(tagtrust_trusted_set_next_role(set), "targets"));
    tagtrust_trusted_set_free(set);
    tagtrust_config_free(config);
}

static void roots(void) {
    tagtrust_config *config = make_config(&now);
    int64_t later = now + 365 * 86400;
    tagtrust_config *in_a_year = make_config(&later);
    file root = load(0, "root"), timestamp = load(1, "timestamp");
    tagtrust_trusted_set *set = GARBAGE(tagtrust_trusted_set);
    const unsigned char *known[2] = {root.bytes, timestamp.bytes};
    const size_t lengths[2] = {root.length, timestamp.length}, no_lengths[2] = {0, 0};
    CHECK(tagtrust_trusted_set_new(config, gun, known, lengths, 1, root.bytes, root.length, &set, NULL) ==
          TAGTRUST_OK);
    tagtrust_trusted_set_free(set);
    /* An empty known root is a mistake, and not the same as none. */
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_INPUT, tagtrust_trusted_set_new, config, gun, known, no_lengths, 1,
          root.bytes, root.length);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_INPUT, tagtrust_trusted_set_new, config, gun, known + 1, lengths + 1, 1,
          root.bytes, root.length);
    FAILS(tagtrust_trusted_set, TAGTRUST_ROOT_NOT_TRUSTED, tagtrust_trusted_set_new, config, gun, known, lengths, 2,
          root.bytes, root.length);
    FAILS(tagtrust_trusted_set, TAGTRUST_TAMPERED, tagtrust_trusted_set_new, config, gun, NULL, NULL, 0,
          timestamp.bytes, timestamp.length);
    FAILS(tagtrust_trusted_set, TAGTRUST_ROOT_NOT_TRUSTED, tagtrust_trusted_set_new, config, "r.example/other", NULL,
          NULL, 0, root.bytes, root.length);
    CHECK(tagtrust_trusted_set_new(in_a_year, gun, NULL, NULL, 0, root.bytes, root.length, &set, NULL) == TAGTRUST_OK);
    REFUSES(TAGTRUST_EXPIRED, tagtrust_trusted_set_add_timestamp, set, timestamp.bytes, timestamp.length);
    tagtrust_trusted_set_free(set);
    CHECK(tagtrust_config_set_trust_on_first_use(config, false) == TAGTRUST_OK);
    FAILS(tagtrust_trusted_set, TAGTRUST_ROOT_NOT_TRUSTED, tagtrust_trusted_set_new, config, gun, NULL, NULL, 0,
          root.bytes, root.length);
    tagtrust_config_free(config);
    tagtrust_config_free(in_a_year);
}

static void the_configuration_counts(void) {
    int64_t time = now;
    tagtrust_config *config = make_config(&time);
    CHECK(tagtrust_config_require_signer(config, gun, "nobody") == TAGTRUST_OK);
    tagtrust_trusted_set *set = complete_set(config);
    FAILS(tagtrust_image, TAGTRUST_POLICY_VIOLATION, tagtrust_trusted_set_verify, set, tag);
    time += 365 * 86400;
    FAILS(tagtrust_image, TAGTRUST_EXPIRED, tagtrust_trusted_set_verify, set, tag);
    tagtrust_trusted_set_free(set);
    CHECK(tagtrust_config_require_signer(config, "no name", "nobody") == TAGTRUST_OK);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_CONFIGURATION, tagtrust_trusted_set_new, config, gun, NULL, NULL, 0,
          contents[0], 1);
    tagtrust_config_free(config);
}

static int messages;

static void log_that_looks(void *set, int level, const char *target, const char *message) {
    CHECK(level == 2 && target != NULL && strstr(message, "targets/alice") != NULL);
    CHECK(is_text(tagtrust_trusted_set_next_role((const tagtrust_trusted_set *)set), "targets/alice"));
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_add_role, (tagtrust_trusted_set *)set, contents[0], 1);
    FAILS(tagtrust_image, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_verify, (tagtrust_trusted_set *)set, tag);
    messages++;
}

/* What is said about a file that does not count is said while it is added. */
static void a_log_callback_can_look_at_the_set(void) {
    int64_t time = now;
    tagtrust_config *config = make_config(&time);
    tagtrust_trusted_set *set = open_set(config);
    const char *role;
    tagtrust_config_free(config);
    CHECK(tagtrust_set_log(log_that_looks, set, 2, NULL) == TAGTRUST_OK);
    while ((role = tagtrust_trusted_set_next_role(set)) != NULL) {
        file next = load(0, role);
        /* Only that delegation has expired. */
        time = is_text(role, "targets/alice") ? now + INT64_C(20) * 365 * 86400 : now;
        CHECK(tagtrust_trusted_set_add_role(set, next.bytes, next.length, NULL) == TAGTRUST_OK);
    }
    CHECK(tagtrust_set_log(NULL, NULL, 0, NULL) == TAGTRUST_OK && messages == 1);
    tagtrust_trusted_set_free(set);
}

static void wrong_arguments(void) {
    tagtrust_trusted_set *set = open_set(NULL);
    tagtrust_config *freed = tagtrust_config_new();
    const unsigned char byte = 0;
    const unsigned char *const bytes[2] = {&byte, NULL};
    const size_t lengths[2] = {1, 0};
    tagtrust_config_free(freed);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, NULL, NULL, NULL, 0, &byte,
          1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, NOT_UTF8, NULL, NULL, 0,
          &byte, 1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, gun, NULL, lengths, 1, &byte,
          1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, gun, bytes, NULL, 1, &byte,
          1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, gun, bytes, lengths, 2,
          &byte, 1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, NULL, gun, NULL, NULL, 0, NULL, 1);
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_REFERENCE, tagtrust_trusted_set_new, NULL, "r.example/app:1", NULL,
          NULL, 0, NULL, 0);
    /* Not the defaults, which trust on first use. */
    FAILS(tagtrust_trusted_set, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_new, freed, gun, NULL, NULL, 0, &byte,
          1);
    CHECK(tagtrust_trusted_set_new(NULL, gun, NULL, NULL, 0, &byte, 1, NULL, NULL) == TAGTRUST_INVALID_ARGUMENT);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_add_timestamp, NULL, &byte, 1);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_add_timestamp, set, NULL, 1);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_add_snapshot, NULL, &byte, 1);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_add_role, NULL, &byte, 1);
    FAILS(tagtrust_image, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_verify, NULL, tag);
    FAILS(tagtrust_image, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_verify, set, NULL);
    FAILS(tagtrust_image, TAGTRUST_INVALID_ARGUMENT, tagtrust_trusted_set_verify, set, NOT_UTF8);
    CHECK(tagtrust_trusted_set_next_role(NULL) == NULL);
    tagtrust_trusted_set_free(NULL);
    tagtrust_trusted_set_free(set);
}

int main(int argc, char **argv) {
    CHECK(argc == 6);
    gun = argv[1];
    tag = argv[2];
    digest = argv[3];
    now = strtoll(argv[4], NULL, 10);
    directory = argv[5];
    answers();
    threads();
    wrong_files();
    roots();
    the_configuration_counts();
    a_log_callback_can_look_at_the_set();
    wrong_arguments();
    return 0;
}
