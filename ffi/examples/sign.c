/* Signs a tag, and makes its repository if it does not exist.
 *
 *     cc sign.c -o sign -ltagtrust
 *     ./sign registry.example/team/app:1.2 sha256:... 1570
 *     ./sign registry.example/team/app:1.2               (what the registry has)
 *
 * Exit status: 0 signed, 1 not signed, 2 usage.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tagtrust.h>

enum { SIGNED = 0, NOT_SIGNED = 1, USAGE = 2 };

/* Asks for the passphrase of a key. A terminal should not show it: see termios(3). */
static ptrdiff_t ask(void *data, const char *key_id, const char *role, bool create, uint32_t attempt, char *buffer,
                     size_t capacity) {
    (void)data;
    fprintf(stderr, "%sPassphrase for %s %s key %.7s: ", attempt ? "That was not it. " : "", create ? "the new" : "the",
            role, key_id);
    if (!fgets(buffer, (int)capacity, stdin))
        return -1;
    return (ptrdiff_t)strcspn(buffer, "\r\n");
}

static void print(const tagtrust_publication *publication) {
    for (size_t i = 0; i < tagtrust_publication_change_count(publication); i++)
        printf("%s\n", tagtrust_publication_change(publication, i));
    for (size_t i = 0; i < tagtrust_publication_warning_count(publication); i++)
        fprintf(stderr, "warning: %s\n", tagtrust_publication_warning(publication, i));
    if (!tagtrust_publication_published(publication))
        printf("It was signed already.\n");
}

static int sign(const tagtrust_config *config, const char *reference, const char *digest, uint64_t size) {
    tagtrust_client *client;
    tagtrust_publication *publication = NULL;
    tagtrust_error *error;
    int result = NOT_SIGNED;

    if (tagtrust_client_new(config, &client, &error) == TAGTRUST_OK &&
        tagtrust_client_sign(client, reference, digest, size, &publication, &error) == TAGTRUST_OK) {
        print(publication);
        result = SIGNED;
    } else {
        fprintf(stderr, "%s: %s\n", tagtrust_error_name(error), tagtrust_error_message(error));
    }
    tagtrust_error_free(error);
    tagtrust_publication_free(publication);
    tagtrust_client_free(client);
    return result;
}

int main(int argc, char **argv) {
    tagtrust_config *config = tagtrust_config_new();
    int next = 1, result = USAGE;

    tagtrust_config_set_passphrase(config, ask, NULL);
    for (; next + 1 < argc && strncmp(argv[next], "--", 2) == 0; next += 2) {
        if (strcmp(argv[next], "--server") == 0)
            tagtrust_config_set_server(config, argv[next + 1]);
        else if (strcmp(argv[next], "--ca-file") == 0)
            tagtrust_config_set_ca_file(config, argv[next + 1]);
        else if (strcmp(argv[next], "--trust-dir") == 0)
            tagtrust_config_set_trust_dir(config, argv[next + 1]);
        else
            break;
    }
    if (next + 1 == argc && argv[next][0] != '-')
        result = sign(config, argv[next], NULL, 0);
    else if (next + 3 == argc && argv[next][0] != '-')
        result = sign(config, argv[next], argv[next + 1], strtoull(argv[next + 2], NULL, 10));
    else
        fprintf(stderr, "usage: %s [--server URL] [--ca-file FILE] [--trust-dir DIR] REFERENCE [DIGEST SIZE]\n",
                argv[0]);
    tagtrust_config_free(config);
    return result;
}
