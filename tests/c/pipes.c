/* Connections that others break off do not end the process, as SIGPIPE would.
 *
 *     pipes WORK_DIR
 */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "functions.h"

static void break_off(unsigned port, unsigned requests) {
    static const char request[] = "GET /ui/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const struct linger at_once = {1, 0};
    struct sockaddr_in address;
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connection >= 0 && connect(connection, (struct sockaddr *)&address, sizeof address) == 0);
    for (unsigned i = 0; i < requests; i++)
        CHECK(send(connection, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1);
    /* A reset after the end of what is sent makes the server's next write fail with EPIPE. */
    CHECK(shutdown(connection, SHUT_WR) == 0);
    usleep(requests * 50);
    CHECK(setsockopt(connection, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0 && close(connection) == 0);
}

static bool blocks_sigpipe(void) {
    sigset_t blocked;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    return sigismember(&blocked, SIGPIPE) == 1;
}

int main(int argc, char **argv) {
    void *live[HANDLES];
    tagtrust_image *image;
    unsigned port;
    CHECK(argc == 2 && signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    make_objects(live, argv[1]);
    CHECK(sscanf(tagtrust_server_url((tagtrust_server *)live[A_SERVER]), "http://127.0.0.1:%u", &port) == 1);
    for (unsigned i = 0; i < 300; i++)
        break_off(port, 1 + i % 40);
    CHECK(tagtrust_client_verify((tagtrust_client *)live[A_CLIENT], a_reference, &image, NULL) == TAGTRUST_OK);
    tagtrust_image_free(image);
    free_objects(live);
    /* What the caller has set stays. */
    CHECK(!blocks_sigpipe() && signal(SIGPIPE, SIG_DFL) == SIG_DFL);
    return 0;
}
