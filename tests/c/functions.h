/* All functions of the header as a table, and an object of each type to call them with.
 * calls.h is written by calls.py. C99 and C++. */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "check.h"

enum handle {
    NOTHING,
    A_CLIENT,
    A_CONFIG,
    A_EDIT,
    A_ERROR,
    A_IMAGE,
    A_INSPECTION,
    A_PUBLICATION,
    A_SERVER,
    A_SERVER_CONFIG,
    A_TEXT,
    A_TRUSTED_SET,
    HANDLES
};

enum result { STATUS, VALUE, VOID };

#define TEXTS 5

struct arguments {
    void *handle;
    const char *text[TEXTS];
    uint64_t number;
    bool no_output;
};

struct answer {
    tagtrust_status status; /* TAGTRUST_OK for functions that have none */
    bool is_something;      /* not NULL, 0 or false */
};

struct text {
    const char *name, *usual;
    bool may_be_null, is_bytes;
};

struct function {
    const char *name;
    struct answer (*call)(const struct arguments *given);
    enum handle handle;
    enum result result;
    bool handle_may_be_null, has_output;
    size_t text_count;
    struct text texts[TEXTS];
};

static const char a_digest[] = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
static const char a_repository[] = "registry.example/team/app", a_reference[] = "registry.example/team/app:1.2";
static const char a_public_key[] = "-----BEGIN PUBLIC KEY-----\n"
                                   "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIrsMzrjs20O792GHS749dKqOOD2L\n"
                                   "Vf9AV25bE/U5Mp6p086zXSanPROa293Up9nGzzamFvshWblZcBASd05Kbg==\n"
                                   "-----END PUBLIC KEY-----\n";

static inline size_t length_of(const char *text) {
    return text ? strlen(text) : 1;
}

static int64_t a_clock_callback(void *data) {
    (void)data;
    return 1900000000;
}

static ptrdiff_t a_passphrase_callback(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                                       char *buffer, size_t capacity) {
    static const char answer[] = "correct horse";
    (void)data, (void)key_id, (void)role, (void)create, (void)attempt, (void)capacity;
    memcpy(buffer, answer, sizeof answer - 1);
    return (ptrdiff_t)sizeof answer - 1;
}

static ptrdiff_t a_sign_callback(void *data, const uint8_t *message, size_t length, uint8_t *signature,
                                 size_t capacity) {
    (void)data, (void)message, (void)length, (void)signature, (void)capacity;
    return -1;
}

static void a_log_callback(void *data, int level, const char *target, const char *message) {
    (void)data;
    CHECK(level >= 1 && level <= 5 && target != NULL && message != NULL);
}

#include "calls.h"

#define FUNCTIONS (sizeof functions / sizeof *functions)

static inline bool frees(const struct function *function) {
    size_t length = strlen(function->name);
    return strcmp(function->name + length - 5, "_free") == 0;
}

static inline struct arguments usual_arguments(const struct function *function, void *handle) {
    struct arguments given = {handle, {NULL}, 0, false};
    for (size_t i = 0; i < function->text_count; i++)
        given.text[i] = function->texts[i].usual;
    return given;
}

static inline void free_object(enum handle type, void *object) {
    for (size_t i = 0; i < FUNCTIONS; i++)
        if (functions[i].handle == type && frees(&functions[i])) {
            struct arguments given = usual_arguments(&functions[i], object);
            functions[i].call(&given);
            return;
        }
    abort();
}

static inline size_t read_whole(const char *directory, const char *name, char *content, size_t capacity) {
    char path[1024];
    size_t length;
    FILE *file;
    CHECK(snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path);
    file = fopen(path, "rb");
    CHECK(file != NULL);
    length = fread(content, 1, capacity, file);
    CHECK(length > 0 && length < capacity && fclose(file) == 0);
    return length;
}

/* A client of a server with a trust directory of its own; `clock` may be NULL. */
static inline tagtrust_client *client_of(const tagtrust_server *server, const char *trust_dir,
                                         tagtrust_clock_callback clock, void *data) {
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    CHECK(tagtrust_config_set_server(config, tagtrust_server_url(server)) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, trust_dir) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_docker_config(config, trust_dir) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, a_passphrase_callback, NULL) == TAGTRUST_OK);
    if (clock)
        CHECK(tagtrust_config_set_clock(config, clock, data) == TAGTRUST_OK);
    client = make_client(config);
    tagtrust_config_free(config);
    return client;
}

/* A complete set of a_repository, of what a client keeps in its trust directory. */
static inline tagtrust_trusted_set *trusted_set_of(const char *trust_dir) {
    char metadata[1024], file[65536];
    const char *role;
    size_t length;
    tagtrust_trusted_set *set;
    CHECK(snprintf(metadata, sizeof metadata, "%s/tuf/%s/metadata", trust_dir, a_repository) < (int)sizeof metadata);
    length = read_whole(metadata, "root.json", file, sizeof file);
    CHECK(tagtrust_trusted_set_new(NULL, a_repository, NULL, NULL, 0, (const uint8_t *)file, length, &set, NULL) ==
          TAGTRUST_OK);
    length = read_whole(metadata, "timestamp.json", file, sizeof file);
    CHECK(tagtrust_trusted_set_add_timestamp(set, (const uint8_t *)file, length, NULL) == TAGTRUST_OK);
    length = read_whole(metadata, "snapshot.json", file, sizeof file);
    CHECK(tagtrust_trusted_set_add_snapshot(set, (const uint8_t *)file, length, NULL) == TAGTRUST_OK);
    while ((role = tagtrust_trusted_set_next_role(set)) != NULL) {
        char name[256];
        CHECK(snprintf(name, sizeof name, "%s.json", role) < (int)sizeof name);
        length = read_whole(metadata, name, file, sizeof file);
        CHECK(tagtrust_trusted_set_add_role(set, (const uint8_t *)file, length, NULL) == TAGTRUST_OK);
    }
    return set;
}

/* An object of each type: a server in memory, a client of it, and what that says of a_reference. */
static inline void make_objects(void *objects[HANDLES], const char *work_dir) {
    char trust_dir[512];
    static int made;
    tagtrust_client *client;
    tagtrust_server_config *server_config = tagtrust_server_config_new();
    tagtrust_server *server;
    tagtrust_publication *publication;
    tagtrust_image *image;
    tagtrust_inspection *inspection;
    tagtrust_text *text;
    tagtrust_edit *edit;
    tagtrust_error *error;
    CHECK(snprintf(trust_dir, sizeof trust_dir, "%s/trust%d", work_dir, made++) < (int)sizeof trust_dir);
    CHECK(tagtrust_server_start(server_config, &server, NULL) == TAGTRUST_OK);
    client = client_of(server, trust_dir, NULL, NULL);
    CHECK(tagtrust_client_sign(client, a_reference, a_digest, 7, &publication, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_client_verify(client, a_reference, &image, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_client_inspect(client, a_reference, &inspection, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_client_keys(client, &text, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_edit_new(client, a_repository, &edit, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_edit_new(client, NULL, NULL, &error) == TAGTRUST_INVALID_ARGUMENT);
    objects[NOTHING] = NULL;
    objects[A_CLIENT] = client;
    objects[A_CONFIG] = tagtrust_config_new();
    objects[A_EDIT] = edit;
    objects[A_ERROR] = error;
    objects[A_IMAGE] = image;
    objects[A_INSPECTION] = inspection;
    objects[A_PUBLICATION] = publication;
    objects[A_SERVER] = server;
    objects[A_SERVER_CONFIG] = server_config;
    objects[A_TEXT] = text;
    objects[A_TRUSTED_SET] = trusted_set_of(trust_dir);
}

static inline void free_objects(void *objects[HANDLES]) {
    for (int type = NOTHING + 1; type < HANDLES; type++)
        free_object((enum handle)type, objects[type]);
}

#endif
