/* A trust server in this process.
 *
 *     server WORK_DIR
 *
 * WORK_DIR is empty, and afterwards holds trust.db, the database of a server that
 * was stopped, with one signed tag.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

static const char *const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
static const char *const reference = "registry.example/team/app:1.2";
static const char *work_dir;

static char *path(const char *name, char place[512]) {
    CHECK(snprintf(place, 512, "%s/%s", work_dir, name) < 512);
    return place;
}

static void write_file(const char *name, const char *content) {
    char place[512];
    FILE *file = fopen(path(name, place), "w");
    CHECK(file != NULL);
    CHECK(fputs(content, file) >= 0);
    CHECK(fclose(file) == 0);
}

static tagtrust_server *start(const tagtrust_server_config *config) {
    tagtrust_server *server = GARBAGE(tagtrust_server);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    tagtrust_status status = tagtrust_server_start(config, &server, &error);
    if (error)
        fprintf(stderr, "%s\n", tagtrust_error_message(error));
    CHECK(status == TAGTRUST_OK && server != NULL && error == NULL);
    return server;
}

static ptrdiff_t passphrase(void *data, const char *key_id, const char *role, bool create, uint32_t attempt,
                            char *buffer, size_t capacity) {
    static const char answer[] = "correct horse";
    (void)data, (void)key_id, (void)role, (void)create, (void)attempt, (void)capacity;
    memcpy(buffer, answer, sizeof answer - 1);
    return (ptrdiff_t)sizeof answer - 1;
}

/* A client of a server; `name` tells its files from those of others. */
static tagtrust_client *client_of(const tagtrust_server *server, const char *name) {
    char place[512], ca_name[64];
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    CHECK(tagtrust_config_set_server(config, tagtrust_server_url(server)) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, path(name, place)) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, passphrase, NULL) == TAGTRUST_OK);
    if (tagtrust_server_certificate_pem(server)) {
        snprintf(ca_name, sizeof ca_name, "%s.pem", name);
        write_file(ca_name, tagtrust_server_certificate_pem(server));
        CHECK(tagtrust_config_set_ca_file(config, path(ca_name, place)) == TAGTRUST_OK);
    }
    client = make_client(config);
    tagtrust_config_free(config);
    return client;
}

static void sign_on(const tagtrust_server *server, const char *name) {
    tagtrust_client *client = client_of(server, name);
    tagtrust_publication *publication;
    tagtrust_error *error;
    if (tagtrust_client_sign(client, reference, digest, 7, &publication, &error) != TAGTRUST_OK)
        fprintf(stderr, "%s\n", tagtrust_error_message(error));
    CHECK(publication != NULL && error == NULL);
    tagtrust_publication_free(publication);
    tagtrust_client_free(client);
}

static void verify_on(const tagtrust_server *server, const char *name) {
    tagtrust_client *client = client_of(server, name);
    tagtrust_image *image;
    CHECK(tagtrust_client_verify(client, reference, &image, NULL) == TAGTRUST_OK);
    CHECK(is_text(tagtrust_image_digest(image), digest));
    CHECK(tagtrust_image_fresh(image));
    tagtrust_image_free(image);
    tagtrust_client_free(client);
}

static void wrong_arguments_are_answered(void) {
    tagtrust_server_config *config = tagtrust_server_config_new();
    CHECK(config != NULL);

#define WRONG(call) CHECK((call) == TAGTRUST_INVALID_ARGUMENT)
    WRONG(tagtrust_server_config_set_listen(NULL, "127.0.0.1:0"));
    WRONG(tagtrust_server_config_set_listen(config, NULL));
    WRONG(tagtrust_server_config_set_listen(config, NOT_UTF8));
    WRONG(tagtrust_server_config_set_storage(NULL, "memory"));
    WRONG(tagtrust_server_config_set_storage(config, NULL));
    WRONG(tagtrust_server_config_set_tls_self_signed(NULL));
    WRONG(tagtrust_server_config_set_tls(NULL, "a", "b", NULL));
    WRONG(tagtrust_server_config_set_tls(config, NULL, "b", NULL));
    WRONG(tagtrust_server_config_set_tls(config, "a", NULL, NULL));
    WRONG(tagtrust_server_config_set_tls(config, "a", "b", NOT_UTF8));
    WRONG(tagtrust_server_config_add_passphrase(NULL, "a", "b"));
    WRONG(tagtrust_server_config_add_passphrase(config, NULL, "b"));
    WRONG(tagtrust_server_config_add_passphrase(config, "a", NULL));
    WRONG(tagtrust_server_config_set_token_auth(NULL, "a", "b", "c", "d"));
    WRONG(tagtrust_server_config_set_token_auth(config, NULL, "b", "c", "d"));
    WRONG(tagtrust_server_config_set_token_auth(config, "a", "b", "c", NULL));
    WRONG(tagtrust_server_config_set_password_file(NULL, "a", false));
    WRONG(tagtrust_server_config_set_password_file(config, NULL, false));
    WRONG(tagtrust_server_config_add_gun_prefix(NULL, "a/"));
    WRONG(tagtrust_server_config_add_gun_prefix(config, NULL));
    WRONG(tagtrust_server_config_set_read_only(NULL, true));
    WRONG(tagtrust_server_config_set_keep_versions(NULL, 1));
    WRONG(tagtrust_server_config_set_lifetimes(NULL, 1, 1));
    WRONG(tagtrust_server_config_set_ui(NULL, true));
    WRONG(tagtrust_server_config_set_access_log(NULL, "a"));
    WRONG(tagtrust_server_config_set_access_log(config, NULL));
    WRONG(tagtrust_server_start(config, NULL, NULL));
#undef WRONG
    FAILS(tagtrust_server, TAGTRUST_INVALID_ARGUMENT, tagtrust_server_start, NULL);
    FAILS(tagtrust_server_config, TAGTRUST_INVALID_ARGUMENT, tagtrust_server_config_from_file, NULL);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_server_reload, NULL);
    CHECK(tagtrust_server_url(NULL) == NULL && tagtrust_server_certificate_pem(NULL) == NULL);
    tagtrust_server_stop(NULL);
    tagtrust_server_free(NULL);
    tagtrust_server_config_free(NULL);

    tagtrust_server_config_free(config);
}

/* A server that was told to use TLS does not start without it. */
static void a_refused_setting_is_remembered(void) {
    tagtrust_server_config *config = tagtrust_server_config_new();
    tagtrust_server *server = GARBAGE(tagtrust_server);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    CHECK(tagtrust_server_config_set_tls(config, "certificate", NULL, NULL) == TAGTRUST_INVALID_ARGUMENT);
    CHECK(tagtrust_server_config_set_tls_self_signed(config) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_listen(config, NULL) == TAGTRUST_INVALID_ARGUMENT);
    CHECK(tagtrust_server_start(config, &server, &error) == TAGTRUST_INVALID_ARGUMENT && server == NULL);
    CHECK(is_text(tagtrust_error_message(error), "tagtrust_server_config_set_tls: invalid argument: key is NULL"));
    check_error(error, TAGTRUST_INVALID_ARGUMENT);
    FAILS(tagtrust_server, TAGTRUST_INVALID_ARGUMENT, tagtrust_server_start, config);
    tagtrust_server_config_free(config);
}

/* Changes a new configuration and starts a server with it. */
#define START_FAILS(expected, setter, ...)                                                                             \
    do {                                                                                                               \
        tagtrust_server_config *config = tagtrust_server_config_new();                                                 \
        CHECK(setter(config, __VA_ARGS__) == TAGTRUST_OK);                                                             \
        FAILS(tagtrust_server, (expected), tagtrust_server_start, config);                                             \
        tagtrust_server_config_free(config);                                                                           \
    } while (0)

static void what_cannot_be_used_is_said_when_it_starts(void) {
    char place[512];
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_listen, "127.0.0.1");
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_storage, "mysql://a:b@c/d");
    START_FAILS(TAGTRUST_STORE_ERROR, tagtrust_server_config_set_storage, "sqlite:/nonexistent/trust.db");
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_tls, "/nonexistent", "/nonexistent", NULL);
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_password_file, "/nonexistent", true);
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_add_gun_prefix, "no-slash");
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_keep_versions, 0);
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_set_lifetimes, 1, UINT64_MAX);
    write_file("broken.json", "{");
    FAILS(tagtrust_server_config, TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_from_file, "/nonexistent");
    FAILS(tagtrust_server_config, TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_from_file,
          path("broken.json", place));

    tagtrust_server_config *config = tagtrust_server_config_new();
    tagtrust_server *server = start(config);
    CHECK(tagtrust_server_config_set_listen(config, tagtrust_server_url(server) + strlen("http://")) == TAGTRUST_OK);
    FAILS(tagtrust_server, TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_start, config);
    tagtrust_server_free(server);
    tagtrust_server_config_free(config);
}

static void a_database_outlives_its_server(void) {
    char place[512], storage[600];
    tagtrust_server_config *config = tagtrust_server_config_new();
    tagtrust_server *server;
    snprintf(storage, sizeof storage, "sqlite:%s", path("trust.db", place));
    CHECK(tagtrust_server_config_set_storage(config, storage) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_tls_self_signed(config) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_add_gun_prefix(config, "registry.example/") == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_lifetimes(config, 7 * 86400, 86400) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_access_log(config, path("access.log", place)) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_ui(config, false) == TAGTRUST_OK);
    server = start(config);
    CHECK(strncmp(tagtrust_server_url(server), "https://127.0.0.1:", 18) == 0);
    CHECK(tagtrust_server_reload(server, NULL) == TAGTRUST_OK);
    sign_on(server, "database");
    tagtrust_server_free(server);

    CHECK(tagtrust_server_config_set_read_only(config, true) == TAGTRUST_OK);
    CHECK(tagtrust_server_config_set_keep_versions(config, 3) == TAGTRUST_OK);
    server = start(config);
    tagtrust_server_config_free(config);
    verify_on(server, "reader");
    tagtrust_server_stop(server);
    tagtrust_server_stop(server);
    CHECK(tagtrust_server_url(server) && tagtrust_server_certificate_pem(server));
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_server_reload, server);
    tagtrust_client *client = client_of(server, "late");
    check_fails(client, reference, TAGTRUST_UNREACHABLE);
    tagtrust_client_free(client);
    tagtrust_server_free(server);
}

/* Without a key: what protects one is worth minutes under valgrind. */
static void passphrases_have_names(void) {
    tagtrust_server_config *config = tagtrust_server_config_new();
    CHECK(tagtrust_server_config_add_passphrase(config, "First", "correct horse") == TAGTRUST_OK);
    CHECK(tagtrust_server_config_add_passphrase(config, "second", "another horse") == TAGTRUST_OK);
    tagtrust_server_free(start(config));
    tagtrust_server_config_free(config);
    START_FAILS(TAGTRUST_INVALID_CONFIGURATION, tagtrust_server_config_add_passphrase, "first", "");
}

static void a_file_of_notary_server_is_read(void) {
    char place[512];
    tagtrust_server_config *config = GARBAGE(tagtrust_server_config);
    tagtrust_error *error = GARBAGE(tagtrust_error);
    write_file("server.json", "{\"server\": {\"http_addr\": \"127.0.0.1:0\"}, \"trust_service\": {\"type\": \"local\"},"
                              " \"storage\": {\"backend\": \"memory\"}}");
    CHECK(tagtrust_server_config_from_file(path("server.json", place), &config, &error) == TAGTRUST_OK);
    CHECK(config != NULL && error == NULL);
    tagtrust_server *server = start(config);
    sign_on(server, "from-file");
    tagtrust_server_free(server);
    tagtrust_server_config_free(config);
}

static void *uses_and_stops(void *data) {
    const tagtrust_server *server = (const tagtrust_server *)data;
    CHECK(strlen(tagtrust_server_url(server)) > 0);
    tagtrust_server_reload(server, NULL);
    tagtrust_server_stop(server);
    return NULL;
}

static void several_run_at_once_and_threads_share_them(void) {
    tagtrust_server_config *config = tagtrust_server_config_new();
    tagtrust_server *one = start(config), *other = start(config);
    tagtrust_client *client;
    tagtrust_server_config_free(config);
    CHECK(strcmp(tagtrust_server_url(one), tagtrust_server_url(other)) != 0);
    sign_on(one, "one");
    client = client_of(other, "other");
    check_fails(client, reference, TAGTRUST_NO_TRUST_DATA);
    tagtrust_client_free(client);
    in_threads(uses_and_stops, one);
    tagtrust_server_free(one);
    tagtrust_server_free(other);
}

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    tagtrust_server *server;
    bool is_done;
} logged = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, false};

/* In a thread of the server's, where its end cannot be waited for. */
static void log_that_frees(void *data, int level, const char *target, const char *message) {
    tagtrust_server *other = GARBAGE(tagtrust_server);
    tagtrust_server_config *config;
    if (level != 4 || strstr(message, "no TLS handshake") == NULL)
        return;
    CHECK(data == &logged && target != NULL);
    tagtrust_server_stop(logged.server);
    REFUSES(TAGTRUST_INVALID_ARGUMENT, tagtrust_server_reload, logged.server);
    config = tagtrust_server_config_new();
    CHECK(tagtrust_server_start(config, &other, NULL) == TAGTRUST_INVALID_ARGUMENT && other == NULL);
    tagtrust_server_config_free(config);
    tagtrust_server_free(logged.server);
    CHECK(pthread_mutex_lock(&logged.mutex) == 0);
    logged.is_done = true;
    CHECK(pthread_cond_broadcast(&logged.changed) == 0);
    CHECK(pthread_mutex_unlock(&logged.mutex) == 0);
}

static int connect_to(const tagtrust_server *server) {
    struct sockaddr_in address;
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(tagtrust_server_url(server), ':') + 1));
    CHECK(connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) == 0);
    return connection;
}

static void a_log_callback_can_free_the_server_that_speaks(void) {
    static const char no_handshake[] = "GET / HTTP/1.1\r\n\r\n";
    tagtrust_server_config *config = tagtrust_server_config_new();
    int connection;
    CHECK(tagtrust_server_config_set_tls_self_signed(config) == TAGTRUST_OK);
    logged.server = start(config);
    tagtrust_server_config_free(config);
    CHECK(tagtrust_set_log(log_that_frees, &logged, 4, NULL) == TAGTRUST_OK);
    connection = connect_to(logged.server);
    CHECK(write(connection, no_handshake, sizeof no_handshake - 1) > 0);
    CHECK(pthread_mutex_lock(&logged.mutex) == 0);
    while (!logged.is_done)
        CHECK(pthread_cond_wait(&logged.changed, &logged.mutex) == 0);
    CHECK(pthread_mutex_unlock(&logged.mutex) == 0);
    CHECK(tagtrust_set_log(NULL, NULL, 0, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_server_url(logged.server) == NULL);
    close(connection);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    work_dir = argv[1];
    a_log_callback_can_free_the_server_that_speaks();
    wrong_arguments_are_answered();
    a_refused_setting_is_remembered();
    what_cannot_be_used_is_said_when_it_starts();
    a_database_outlives_its_server();
    passphrases_have_names();
    a_file_of_notary_server_is_read();
    several_run_at_once_and_threads_share_them();
    return 0;
}
