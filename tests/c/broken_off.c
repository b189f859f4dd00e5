/* A client whose connections, credential helper and name server break off goes on: nothing ends
 * the process, as SIGPIPE would.
 *
 *     broken_off WORK_DIR      (a new directory, as an absolute path)
 */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "functions.h"

#define ROUNDS 10
#define NO_LIMIT SIZE_MAX

static const char *work_dir;

/* Writes to pipes that nobody reads any more, and look-ups of names. */
static unsigned broken_pipes, look_ups;

static void count(unsigned *counter) {
    __atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

/* In the place of libc's, for the library too: a machine so busy that whoever reads a pipe has ended
 * before something is written to it. */
ssize_t write(int file, const void *bytes, size_t length) {
    struct stat status;
    ssize_t written;
    bool is_pipe = fstat(file, &status) == 0 && S_ISFIFO(status.st_mode);
    if (is_pipe)
        usleep(200000);
    written = syscall(SYS_write, file, bytes, length);
    if (is_pipe && written < 0 && errno == EPIPE)
        count(&broken_pipes);
    return written;
}

/* With so small a buffer that a client waits in the middle of a large upload. */
int connect(int connection, const struct sockaddr *address, socklen_t length) {
    const int buffer = 8192;
    setsockopt(connection, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    return (int)syscall(SYS_connect, connection, address, length);
}

/* As glibc's when a name server breaks off a connection: it writes without MSG_NOSIGNAL. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int ends[2];
    (void)name, (void)service, (void)hints, (void)found;
    count(&look_ups);
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
    CHECK(write(ends[1], "", 1) == -1);
    close(ends[1]);
    return EAI_AGAIN;
}

/* What stands between client and server: it breaks off each connection on which the client has sent
 * so many bytes. */
static struct {
    struct sockaddr_in server;
    int listener;
    size_t limit;
    unsigned broken;
} between;

static int connect_to_server(void) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connection >= 0);
    CHECK(connect(connection, (struct sockaddr *)&between.server, sizeof between.server) == 0);
    return connection;
}

static void break_off(int connection) {
    const struct linger at_once = {1, 0};
    count(&between.broken);
    /* A reset after the end of what is sent makes the other side's next write fail with EPIPE. */
    shutdown(connection, SHUT_WR);
    usleep(2000);
    setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

static void *forward(void *data) {
    char chunk[8192];
    struct pollfd ends[2] = {{(int)(intptr_t)data, POLLIN, 0}, {connect_to_server(), POLLIN, 0}};
    const size_t limit = __atomic_load_n(&between.limit, __ATOMIC_SEQ_CST);
    size_t from_client = 0;
    bool is_open = limit > 0;
    while (is_open && poll(ends, 2, -1) > 0)
        for (int from = 0; from < 2 && is_open; from++) {
            ssize_t length = ends[from].revents ? recv(ends[from].fd, chunk, sizeof chunk, 0) : 0;
            if (!ends[from].revents)
                continue;
            from_client += from == 0 && length > 0 ? (size_t)length : 0;
            is_open = length > 0 && from_client < limit &&
                      send(ends[1 - from].fd, chunk, (size_t)length, MSG_NOSIGNAL) == length;
        }
    if (from_client >= limit)
        break_off(ends[0].fd);
    close(ends[0].fd);
    close(ends[1].fd);
    return NULL;
}

static void *accept_all(void *unused) {
    for (;;) {
        pthread_t thread;
        int connection = accept(between.listener, NULL, NULL);
        CHECK(connection >= 0);
        CHECK(pthread_create(&thread, NULL, forward, (void *)(intptr_t)connection) == 0);
        CHECK(pthread_detach(thread) == 0);
    }
    return unused;
}

static struct sockaddr_in loopback(unsigned port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static unsigned port_of(const tagtrust_server *server) {
    return (unsigned)atoi(strrchr(tagtrust_server_url(server), ':') + 1);
}

/* Gives the port. It forwards to whatever server `between` names. */
static unsigned start_forwarding(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    const int buffer = 8192;
    pthread_t thread;
    between.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(setsockopt(between.listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer) == 0);
    CHECK(bind(between.listener, (struct sockaddr *)&address, length) == 0 && listen(between.listener, 64) == 0);
    CHECK(getsockname(between.listener, (struct sockaddr *)&address, &length) == 0);
    CHECK(pthread_create(&thread, NULL, accept_all, NULL) == 0 && pthread_detach(thread) == 0);
    return ntohs(address.sin_port);
}

static void break_off_after(size_t limit) {
    __atomic_store_n(&between.limit, limit, __ATOMIC_SEQ_CST);
}

static const char *path(const char *name) {
    static char place[1024];
    CHECK(snprintf(place, sizeof place, "%s/%s", work_dir, name) < (int)sizeof place);
    return place;
}

static void write_file(const char *name, const char *content, mode_t mode) {
    FILE *file = fopen(path(name), "w");
    CHECK(file != NULL && fputs(content, file) >= 0 && fclose(file) == 0);
    CHECK(chmod(path(name), mode) == 0);
}

static tagtrust_server *start(bool with_tls, const char *users) {
    tagtrust_server_config *config = tagtrust_server_config_new();
    tagtrust_server *server;
    if (with_tls)
        CHECK(tagtrust_server_config_set_tls_self_signed(config) == TAGTRUST_OK);
    if (users)
        CHECK(tagtrust_server_config_set_password_file(config, users, false) == TAGTRUST_OK);
    CHECK(tagtrust_server_start(config, &server, NULL) == TAGTRUST_OK);
    tagtrust_server_config_free(config);
    between.server = loopback(port_of(server));
    return server;
}

/* A client with its own connections, of a server that answers at `host`. */
static tagtrust_client *client_at(const char *host, unsigned port, const tagtrust_server *server, const char *name) {
    const char *certificate = tagtrust_server_certificate_pem(server);
    char url[64];
    tagtrust_config *config = tagtrust_config_new();
    tagtrust_client *client;
    snprintf(url, sizeof url, "%s://%s:%u", certificate ? "https" : "http", host, port);
    CHECK(tagtrust_config_set_server(config, url) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_trust_dir(config, path(name)) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_docker_config(config, work_dir) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_passphrase(config, a_passphrase_callback, NULL) == TAGTRUST_OK);
    CHECK(tagtrust_config_set_require_fresh(config, true) == TAGTRUST_OK);
    if (certificate) {
        write_file("ca.pem", certificate, 0600);
        CHECK(tagtrust_config_set_ca_file(config, path("ca.pem")) == TAGTRUST_OK);
    }
    client = make_client(config);
    tagtrust_config_free(config);
    return client;
}

static tagtrust_edit *large_edit(const tagtrust_client *client) {
    char custom[8192], tag[16];
    tagtrust_edit *edit;
    memset(custom, 'x', sizeof custom);
    custom[0] = custom[sizeof custom - 2] = '"';
    custom[sizeof custom - 1] = 0;
    CHECK(tagtrust_edit_new(client, a_repository, &edit, NULL) == TAGTRUST_OK);
    for (unsigned i = 0; i < 128; i++) {
        snprintf(tag, sizeof tag, "large-%u", i);
        CHECK(tagtrust_edit_sign(edit, tag, a_digest, 7, custom, NULL, 0) == TAGTRUST_OK);
    }
    return edit;
}

/* The connection ends in the middle of a request, or before it. */
static void requests(unsigned port, const tagtrust_server *server, const char *name) {
    const size_t limits[] = {0, 1, 350};
    for (unsigned round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < (tagtrust_server_certificate_pem(server) ? 3 : 2); i++) {
            tagtrust_client *client = client_at("127.0.0.1", port, server, name);
            unsigned before = between.broken;
            break_off_after(limits[i]);
            check_fails(client, a_reference, TAGTRUST_UNREACHABLE);
            CHECK(between.broken > before);
            tagtrust_client_free(client);
        }
}

/* The connection ends while the client is sending more than its buffer holds. */
static void uploads(unsigned port, const tagtrust_server *server, const char *name) {
    unsigned met = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        tagtrust_client *client = client_at("127.0.0.1", port, server, name);
        tagtrust_edit *edit = large_edit(client);
        tagtrust_publication *publication;
        tagtrust_error *error;
        break_off_after((100 + 10 * round) * 1024);
        CHECK(tagtrust_edit_publish(edit, &publication, &error) == TAGTRUST_UNREACHABLE);
        met += strstr(tagtrust_error_message(error), "Broken pipe") != NULL;
        tagtrust_error_free(error);
        tagtrust_edit_free(edit);
        tagtrust_client_free(client);
    }
    /* Each was a SIGPIPE, had the client not asked for none. */
    CHECK(met == ROUNDS);
}

static void connections_break_off(bool with_tls, const char *name) {
    unsigned port;
    tagtrust_server *server = start(with_tls, NULL);
    tagtrust_client *client;
    tagtrust_publication *publication;
    tagtrust_image *image;
    tagtrust_edit *edit;
    between.broken = 0;
    break_off_after(NO_LIMIT);
    port = start_forwarding();
    client = client_at("127.0.0.1", port, server, name);
    CHECK(tagtrust_client_sign(client, a_reference, a_digest, 7, &publication, NULL) == TAGTRUST_OK);
    tagtrust_publication_free(publication);
    requests(port, server, name);
    uploads(port, server, name);

    /* A connection that was broken off is replaced, and nothing was published by half. */
    break_off_after(NO_LIMIT);
    edit = large_edit(client);
    CHECK(tagtrust_edit_publish(edit, &publication, NULL) == TAGTRUST_OK);
    tagtrust_publication_free(publication);
    tagtrust_edit_free(edit);
    CHECK(tagtrust_client_verify(client, a_reference, &image, NULL) == TAGTRUST_OK);
    tagtrust_image_free(image);
    tagtrust_client_free(client);
    tagtrust_server_free(server);
}

/* It ends without reading for which registry it is asked. */
static void a_credential_helper_ends_at_once(void) {
    tagtrust_server *server;
    tagtrust_client *client;
    char search[4096];
    /* Nobody knows alice's password. */
    write_file("users", "alice:$2y$05$abcdefghijklmnopqrstuuKq8oV2ZgH3jT0xQv7mJ5nB1cD4eF6gS\n", 0600);
    write_file("config.json", "{\"credsStore\": \"hasty\"}", 0600);
    write_file("docker-credential-hasty", "#!/bin/sh\nexit 1\n", 0700);
    snprintf(search, sizeof search, "%s:%s", work_dir, getenv("PATH"));
    CHECK(setenv("PATH", search, 1) == 0);
    server = start(false, path("users"));
    client = client_at("127.0.0.1", port_of(server), server, "helper");
    broken_pipes = 0;
    check_fails(client, a_reference, TAGTRUST_UNAUTHORIZED);
    CHECK(broken_pipes > 0);
    tagtrust_client_free(client);
    tagtrust_server_free(server);
}

static void a_name_server_breaks_off(void) {
    tagtrust_server *server = start(true, NULL);
    tagtrust_client *client = client_at("localhost", port_of(server), server, "names");
    broken_pipes = look_ups = 0;
    check_fails(client, a_reference, TAGTRUST_UNREACHABLE);
    CHECK(look_ups > 0 && broken_pipes == look_ups);
    tagtrust_client_free(client);
    tagtrust_server_free(server);
}

static bool blocks_sigpipe(void) {
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    return sigismember(&blocked, SIGPIPE) == 1;
}

int main(int argc, char **argv) {
    CHECK(argc == 2 && signal(SIGPIPE, SIG_DFL) != SIG_ERR && !blocks_sigpipe());
    work_dir = argv[1];
    connections_break_off(false, "plain");
    connections_break_off(true, "tls");
    a_name_server_breaks_off();
    a_credential_helper_ends_at_once();
    /* What the caller has set stays. */
    CHECK(!blocks_sigpipe() && signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    return 0;
}
